"""What log records are given and cleaned of: which attempt they belong to, and what must not be shown.

Both count for records of libraries that a handler calls, too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from flowlang.redaction import SECRETS, LazyMask, Mask

_fields: ContextVar[Mapping[str, str | int] | None] = ContextVar("flowlang_attempt", default=None)

_hidden: ContextVar[LazyMask | None] = ContextVar("flowlang_hidden", default=None)

#: There in every attempt; `trace`, the id of the trace that it belongs to, where there is one.
NAMES: Final = ("run", "pipeline", "step", "attempt", "handler")


#: What every record has; the rest was given by whoever logged.
STANDARD: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "color_message",
}


def bind(fields: Mapping[str, str | int], hidden: LazyMask | None = None) -> None:
    """Give all records that are made in this context of variables these fields, and hide what these must not show."""
    _fields.set(fields)
    _hidden.set(hidden)


@contextmanager
def hiding(hidden: LazyMask) -> Iterator[None]:
    """Hide in records that are made meanwhile what these must not show."""
    token = _hidden.set(hidden)
    try:
        yield
    finally:
        _hidden.reset(token)


class AttemptFields(logging.Filter):
    """Adds the fields of the current attempt to each record; put it on a log handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is not there; never drops a record."""
        for name, value in (_fields.get() or {}).items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


class Cleaned(logging.Filter):
    """Hides secrets and the sensitive data of the current attempt in each record; put it on a log handler.

    It changes the record, so handlers that come later get it cleaned as well.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean message, traceback and given fields; never drops a record."""
        lazy, mask = _hidden.get(), SECRETS.mask
        if lazy is not None:
            mask |= lazy()
        if mask:
            _clean(record, mask)
        return True


def _clean(record: logging.LogRecord, mask: Mask) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - whoever formats it says what is wrong with it
        record.args = tuple(mask.tree(list(record.args))) if isinstance(record.args, tuple) else None
    else:
        record.msg, record.args = mask.text(message), None
    if record.exc_info:
        record.exc_text = mask.text(logging.Formatter().formatException(record.exc_info))
        record.exc_info = None
    elif record.exc_text:
        record.exc_text = mask.text(record.exc_text)
    if record.stack_info:
        record.stack_info = mask.text(record.stack_info)
    for name in record.__dict__.keys() - STANDARD:
        record.__dict__[name] = _cleaned(record.__dict__[name], mask)


def _cleaned(value: object, mask: Mask) -> object:
    """A field that was given: JSON data as such, anything else as the text that it would be written as."""
    if isinstance(value, str | int | float | dict | list | tuple | None):
        return mask.tree(value)
    return mask.text(str(value))
