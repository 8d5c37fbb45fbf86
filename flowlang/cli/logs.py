"""Where the log records of long-running commands go: stderr, as text or as one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from typing import Final

from flowlang.clock import rfc3339
from flowlang.settings import LogFormat, Settings

#: What every record has; the rest was given by whoever logged, and is shown.
_STANDARD: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "color_message",
}


def set_up_logs(settings: Settings) -> None:
    """Write log records of this process to stderr, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format is LogFormat.JSON else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    if settings.log_level == "info":  # starts and stops are told by us
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        logging.getLogger("dramatiq").setLevel(logging.WARNING)


class TextLines(logging.Formatter):
    """`2026-01-01T12:00:03.120Z info flowlang.service: text  run=r00-… step=pay`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record on one line, a traceback below it."""
        extra = "".join(f" {name}={value}" for name, value in _extra(record).items())
        head = f"{rfc3339(int(record.created * 1000))} {record.levelname.lower()} {record.name}: "
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
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
        if record.exc_info:
            content["error"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
