"""Which attempt a log record belongs to, also for records of libraries that a handler calls."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

_fields: ContextVar[Mapping[str, str | int] | None] = ContextVar("flowlang_attempt", default=None)

#: There in every attempt; `trace`, the id of the trace that it belongs to, where there is one.
NAMES: Final = ("run", "pipeline", "step", "attempt", "handler")


def bind(fields: Mapping[str, str | int]) -> None:
    """Give all records that are made in this context of variables these fields."""
    _fields.set(fields)


class AttemptFields(logging.Filter):
    """Adds the fields of the current attempt to each record; put it on a log handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is not there; never drops a record."""
        for name, value in (_fields.get() or {}).items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True
