"""Where a run stands in a trace: W3C trace context, read strictly and written anew; ids that follow from those of runs.

A trace context that is not exactly what the recommendation says is none at all: whoever sent it is not refused, and a
trace is not continued by guess. Of `tracestate` we change nothing, since none of its members is ours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec

#: Members and characters of a `tracestate` that is passed on.
MAX_MEMBERS: Final = 32
MAX_STATE: Final = 512

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = re.compile(r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_SAMPLED: Final = 1


class Trace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a trace: what happened before, and what happens now belongs below.

    Attributes:
        trace: Id of the trace, 32 hex digits.
        span: Id of the span that comes before, 16 hex digits.
        sampled: Whether whoever began it records it.
        state: `tracestate` as it came; empty: none.
    """

    trace: str
    span: str
    sampled: bool = False
    state: str = ""

    @property
    def parent(self) -> str:
        """As a `traceparent`."""
        return f"00-{self.trace}-{self.span}-{int(self.sampled):02x}"

    def below(self, ident: str) -> Trace:
        """The place below what has an id of ours, in the same trace."""
        return Trace(self.trace, span_id(ident), self.sampled, self.state)

    def headers(self) -> dict[str, str]:
        """As headers of a request."""
        headers = {"traceparent": self.parent}
        return headers | {"tracestate": self.state} if self.state else headers


def read_trace(headers: Mapping[str, str]) -> Trace | None:
    """Read `traceparent` and `tracestate`.

    Args:
        headers: With lower-case names.

    Returns:
        The place; None when there is none, or it is not written as it has to be. A wrong `tracestate` alone is left
        out.
    """
    found = _PARENT.fullmatch(headers.get("traceparent", ""))
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None) or not (int(trace, 16) and int(span, 16)):
        return None
    return Trace(trace, span, bool(int(flags, 16) & _SAMPLED), _state(headers.get("tracestate", "")))


def _state(text: str) -> str:
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = set()
    for member in members:
        key, equals, value = member.partition("=")
        if not equals or _KEY.fullmatch(key) is None or _VALUE.fullmatch(value) is None:
            return ""
        keys.add(key)
    state = ",".join(members)
    return "" if len(keys) < len(members) or len(members) > MAX_MEMBERS or len(state) > MAX_STATE else state


def trace_id(ident: str) -> str:
    """The id of the trace that begins with a run."""
    return _hex(ident, 32)


def span_id(ident: str) -> str:
    """The id of the span of a run, or of an attempt."""
    return _hex(ident, 16)


def attempt_id(run: str, step: str, number: int, began_ms: int) -> str:
    """What the id of an attempt's span follows from; the same number may begin twice, so its beginning is in it."""
    return f"{run}\n{step}\n{number}\n{began_ms}"


def _hex(text: str, digits: int) -> str:
    return hashlib.sha256(f"span\n{text}".encode()).hexdigest()[:digits]
