"""Where the log records of long-running commands go: stderr, as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from typing import Final

from flowlang.clock import rfc3339
from flowlang.settings import LogFormat, Settings
from flowlang.worker.logfields import STANDARD, AttemptFields, Cleaned

_CLEANED: Final = Cleaned()


def set_up_logs(settings: Settings) -> None:
    """Write log records of this process to stderr, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(AttemptFields())
    handler.addFilter(_CLEANED)
    handler.setFormatter(JsonLines() if settings.log_format is LogFormat.JSON else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    if settings.log_level == "info":  # starts and stops are told by us
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        logging.getLogger("dramatiq").setLevel(logging.WARNING)


def clean_logs(handlers: Iterable[logging.Handler | None]) -> None:
    """Hide what must not be shown in what others write of log records.

    Args:
        handlers: Of whoever has set logs up; where nobody has, `logging.lastResort`.
    """
    for handler in handlers:
        if handler is not None and _CLEANED not in handler.filters:
            handler.addFilter(_CLEANED)


class TextLines(logging.Formatter):
    """`2026-01-01T12:00:03.120Z info flowlang.service: text  run=r00-… step=pay`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record on one line, a traceback below it."""
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        head = f"{rfc3339(int(record.created * 1000))} {record.levelname.lower()} {record.name}: "
        trace = f"\n{told}" if (told := _traceback(self, record)) else ""
        return f"{head}{record.getMessage()}{' ' if extra else ''}{extra}{trace}"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record, with what was given as `extra` as fields of their own."""
        content: dict[str, object] = {
            "at": rfc3339(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if told := _traceback(self, record):
            content["error"] = told
        return json.dumps(content, ensure_ascii=False, default=str)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """A record's traceback: as it was cleaned, or as it is."""
    return record.exc_text or (formatter.formatException(record.exc_info) if record.exc_info else "")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in STANDARD}
