"""CloudEvents 1.0 over HTTP: binary, structured and batch mode, as events of ours.

`id` and `source` together say which event it is, so that one that is sent again is the same event. `type` is the name,
`time` the time, `data` the data, which has to be JSON. `subject`, `dataschema` and extensions are kept as `event.user`,
and `traceparent` with `tracestate` say which trace it belongs to.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes

from flowlang import jsondata
from flowlang.engine.schemas import Failure
from flowlang.errors import FlowError
from flowlang.expr import EvaluationError, Timestamp
from flowlang.rates import Rate
from flowlang.server.addresses import is_sender
from flowlang.server.problems import HttpProblem
from flowlang.server.protocols.names import event_name
from flowlang.service import DataError, IncomingEvent
from flowlang.telemetry import read_trace

STRUCTURED: Final = "application/cloudevents"
BATCH: Final = "application/cloudevents-batch"
#: Characters of a `source`: it is kept with each event, and is part of what an event is known by.
MAX_SOURCE: Final = 500

#: What a sender asks with, before it sends.
REQUEST_ORIGIN: Final = "webhook-request-origin"
REQUEST_RATE: Final = "webhook-request-rate"
REQUEST_CALLBACK: Final = "webhook-request-callback"

#: An event and a batch in the JSON format, for the OpenAPI document.
CLOUD_EVENT: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "source": {"type": "string", "minLength": 1, "maxLength": MAX_SOURCE},
        "type": {"type": "string", "minLength": 1},
        "time": {"type": ["string", "null"], "format": "date-time"},
        "datacontenttype": {"type": ["string", "null"]},
        "subject": {"type": ["string", "null"]},
        "data": {},
        "data_base64": {"type": "string"},
    },
    "additionalProperties": {"type": ["string", "boolean", "integer", "null"]},
    "propertyNames": {"pattern": "^([a-z0-9]{1,64}|data_base64)$"},
}
CLOUD_EVENTS: Final[Mapping[str, Any]] = {"type": "array", "items": CLOUD_EVENT, "minItems": 1, "maxItems": 1000}

Mode = Literal["binary", "structured", "batch"]

_PREFIX: Final = "ce-"
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: Attributes that have a place of their own in an event of ours.
_PLACED: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "datacontenttype", "traceparent", "tracestate"}
)
_POSITIVE = re.compile(r"[1-9][0-9]{0,17}")
_MINUTE_US: Final = 60_000_000
_INT32: Final = range(-(2**31), 2**31)


def mode_of(headers: Mapping[str, str]) -> Mode | None:
    """In which mode a request carries CloudEvents; None: in none.

    Args:
        headers: With lower-case names.

    Raises:
        HttpProblem: 415 when the events are written in a format other than JSON.
    """
    mode = _mode_of_type(headers.get("content-type", ""))
    return mode or ("binary" if f"{_PREFIX}specversion" in headers else None)


@lru_cache(maxsize=64)
def _mode_of_type(content_type: str) -> Literal["structured", "batch"] | None:
    declared = _media_type(content_type)
    for prefix, mode in ((BATCH, "batch"), (STRUCTURED, "structured")):
        if declared == f"{prefix}+json":
            return "batch" if mode == "batch" else "structured"
        if declared == prefix or declared.startswith(f"{prefix}+"):
            raise HttpProblem(415, "body.type", f"of CloudEvents, the JSON format is read: {prefix}+json")
    return None


def check_content(headers: Mapping[str, str]) -> None:
    """Check that the body of an event in binary mode is JSON, or that nothing is said of it.

    Raises:
        HttpProblem: 415 otherwise.
    """
    declared = headers.get("content-type", "")
    if declared and not _is_json(declared):
        raise HttpProblem(415, "body.type", f"the data of a CloudEvent has to be JSON, this one's is {declared[:100]}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpProblem(415, "body.encoding", "send the body without content-encoding")


def from_binary(headers: Mapping[str, str], body: bytes) -> IncomingEvent:
    """Read an event whose attributes are headers, and whose data is the body.

    Args:
        headers: With lower-case names; `check_content` has passed them.
        body: As it came.

    Raises:
        DataError: naming the attribute that is missing or wrong.
        JsonError: when the body is no JSON that we take.
    """
    attributes = {
        name.removeprefix(_PREFIX): _header_text(name, value)
        for name, value in headers.items()
        if name.startswith(_PREFIX)
    }
    return _event(attributes, jsondata.loads_strict(body) if body.strip() else {})


def from_json(tree: Any) -> IncomingEvent:
    """Read an event in the JSON format.

    Args:
        tree: As it was read.

    Raises:
        DataError: naming the attribute that is missing or wrong.
    """
    if not isinstance(tree, dict):
        raise _wrong("(root)", "a CloudEvent is an object")
    attributes = {
        name: value for name, value in tree.items() if name not in {"data", "data_base64"} and value is not None
    }
    declared = attributes.get("datacontenttype", "application/json")
    if not isinstance(declared, str) or not _is_json(declared):
        raise _wrong("datacontenttype", f"the data has to be JSON, this one's is {str(declared)[:100]}")
    if "data_base64" not in tree:
        return _event(attributes, tree.get("data", {}))
    if "data" in tree:
        raise _wrong("data_base64", "an event has `data` or `data_base64`, not both")
    return _event(attributes, _unpacked(tree["data_base64"]))


def permission(headers: Mapping[str, str], rate: Rate | None) -> dict[str, str]:
    """Answer a sender that asks, before it sends, whether it is expected here (HTTP 1.1 Web Hooks, abuse protection).

    Whoever may answer has let it in by its key, so it is. The callback that it may offer is not used: the answer is
    here, and a server that calls addresses of strangers can be made to call any.

    Args:
        headers: With lower-case names.
        rate: How much its key may send; None: there is no bound.

    Returns:
        Headers that say whom we expect, and how many requests of them in a minute.

    Raises:
        HttpProblem: 422 for a name or a rate that is none.
    """
    origin, asked = headers.get(REQUEST_ORIGIN, ""), headers.get(REQUEST_RATE)
    if not is_sender(origin):
        raise _unfit(REQUEST_ORIGIN, "is the DNS name of the system that sends, such as eventemitter.example.com")
    if asked is not None and _POSITIVE.fullmatch(asked) is None:
        raise _unfit(REQUEST_RATE, "is a whole number of requests in a minute, from 1 on")
    allowed = "*" if rate is None else str(max(1, rate.limit * _MINUTE_US // rate.period_us))
    return {"webhook-allowed-origin": origin, "webhook-allowed-rate": allowed}


def _unfit(header: str, why: str) -> HttpProblem:
    return HttpProblem(422, "parameters", "headers do not fit", failures=[Failure(f"header.{header}", why)])


def _event(attributes: Mapping[str, Any], data: Any) -> IncomingEvent:
    for name, value in attributes.items():
        _check_attribute(name, value)
    version = _text(attributes, "specversion")
    if version != "1.0":
        raise _wrong("specversion", f"version 1.0 is read, this one is {version[:20]}")
    source = _text(attributes, "source")
    if len(source) > MAX_SOURCE:
        raise _wrong("source", f"a source has up to {MAX_SOURCE} characters, this one has {len(source)}")
    traced = {name: attributes[name] for name in ("traceparent", "tracestate") if name in attributes}
    others = {name: value for name, value in sorted(attributes.items()) if name not in _PLACED}
    return IncomingEvent(
        name=event_name(_text(attributes, "type")),
        data=data,
        id=_text(attributes, "id"),
        user=others or None,
        source=f"cloudevents/{source}",
        time_ms=None if "time" not in attributes else _time_ms(_text(attributes, "time")),
        trace=read_trace({name: str(value) for name, value in traced.items()}),
    )


def _check_attribute(name: str, value: Any) -> None:
    if _ATTRIBUTE.fullmatch(name) is None:
        raise _wrong(name[:64], "an attribute's name is made of lower-case letters and digits, up to 64")
    if isinstance(value, bool | str):
        return
    if not isinstance(value, int) or value not in _INT32:
        raise _wrong(name, "an attribute is a text, true or false, or a whole number of 32 bits")


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name)
    if not isinstance(value, str) or not value:
        raise _wrong(name, "is required, a text that is not empty")
    return value


def _time_ms(text: str) -> int:
    try:
        return Timestamp.parse(text).ns // 1_000_000
    except EvaluationError as error:
        raise _wrong("time", f"a time is written as 2026-06-10T12:00:00Z: {error}") from error


def _unpacked(text: Any) -> Any:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _wrong("data_base64", "is no base64") from error
    try:
        return jsondata.loads_strict(raw)
    except jsondata.JsonError as error:
        raise _wrong("data_base64", str(error)) from error


def _header_text(name: str, value: str) -> str:
    """The text that a header stands for: quotes off, then one round of percent-decoding."""
    value = value.strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        value = _ESCAPED.sub(r"\1", quoted[1])
    if _BROKEN.search(value):
        raise _wrong(name, "a `%` begins two hex digits, and stands for itself as %25")
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong(name, "is no percent-encoded UTF-8") from error


def _is_json(declared: str) -> bool:
    kind = _media_type(declared)
    subtype = kind.partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def _media_type(declared: str) -> str:
    return declared.partition(";")[0].strip().lower()


def _wrong(where: str, why: str) -> FlowError:
    return DataError(f"{where}: {why}", (Failure(where, why),))
