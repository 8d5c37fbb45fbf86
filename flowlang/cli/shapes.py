"""Answers of the use cases in two shapes: plain JSON values for programs, short texts for people."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec

from flowlang.durations import format_duration


def plain(value: Any) -> Any:
    """An answer as JSON values; fields that are not set are left out."""
    return msgspec.to_builtins(value)


def moment(text: str | None) -> str:
    """A time as lists show it, in UTC to the second: `2026-01-01 12:00:03`; a dash for none."""
    return "-" if text is None else f"{dt.datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S}"


def took(started: str | None, ended: str | None) -> str:
    """How long something took; a dash while nobody knows."""
    if started is None or ended is None:
        return "-"
    span = dt.datetime.fromisoformat(ended) - dt.datetime.fromisoformat(started)
    return "0ms" if span <= dt.timedelta(0) else format_duration(span)


def error_text(error: dict[str, Any] | None) -> str:
    """An error on one line: class, code and message."""
    if error is None:
        return ""
    kind = "/".join(filter(None, (error.get("class"), error.get("code"))))
    return f"{kind}: {error['message']}" if error.get("message") else kind


def json_line(value: Any) -> str:
    """JSON data on one line, as people compare it."""
    return json.dumps(value, ensure_ascii=False)


def plural(count: int, noun: str) -> str:
    """`1 run`, `2 runs`, `2 processes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"
