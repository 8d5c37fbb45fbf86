"""Reading requests: wholly or not at all, within bounds, and only what they declare themselves to be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from flowlang import jsondata
from flowlang.server.exchange import Exchange
from flowlang.server.problems import HttpProblem

BODY_BYTES = 1024 * 1024
_FORMS = {"application/x-www-form-urlencoded": "form", "multipart/form-data": "multipart"}
READ_SECONDS = 30.0  #: for a whole body; who sends a byte a second holds no connection for ever

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class ClientGoneError(Exception):
    """The client hung up before its body was complete: there is nobody to answer and nothing to keep."""


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name; one that is sent several times is joined by commas, as HTTP says."""
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = _lower_case(name), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


@lru_cache(maxsize=256)  # senders send the same ones again and again; a head has a bound, and so have they
def _lower_case(name: bytes) -> str:
    return name.decode("latin-1").lower()


def check_type(headers: Mapping[str, str]) -> None:
    """Check that a body is declared as plain JSON.

    Raises:
        HttpProblem: 415 otherwise; a compressed body is refused too, it has no size until it is unpacked.
    """
    body_kind(headers, ("json",))


def body_kind(headers: Mapping[str, str], taken: Collection[str]) -> str:
    """What a body is declared to be: `json`, `form` or `multipart`. Nobody looks into it to find out.

    Args:
        headers: Of the request, lower-case names.
        taken: The kinds that are taken here.

    Raises:
        HttpProblem: 415 when it is none of them, or compressed.
    """
    kind = _kind_of(headers.get("content-type", ""))
    if kind not in taken:
        wanted = {"json": "JSON with content-type: application/json"}
        wanted |= {each: f"a form with content-type: {name}" for name, each in _FORMS.items()}
        raise HttpProblem(415, "body.type", f"send {' or '.join(wanted[each] for each in taken)}")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise HttpProblem(415, "body.encoding", "send the body without content-encoding")
    return kind


@lru_cache(maxsize=64)
def _kind_of(content_type: str) -> str:
    declared = content_type.partition(";")[0].strip().lower()
    is_json = declared == "application/json" or (declared.startswith("application/") and declared.endswith("+json"))
    return "json" if is_json else _FORMS.get(declared, "")


async def read_body(
    receive: Receive, headers: Mapping[str, str], limit: int = BODY_BYTES, seconds: float = READ_SECONDS
) -> bytes:
    """Read a whole body.

    Args:
        receive: Of the connection.
        headers: Of the request, lower-case names.
        limit: Bytes; a body that says or turns out to be longer is not read to its end.
        seconds: For all of it.

    Raises:
        HttpProblem: 413 beyond the limit, 408 beyond the time.
        ClientGoneError: when the client hung up.
    """
    declared = headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    whole = receive.whole() if isinstance(receive, Exchange) else None
    if whole is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGoneError
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError as error:
        raise HttpProblem(408, "body.timeout", f"the body did not arrive within {seconds:g} s") from error


def _too_large(limit: int) -> HttpProblem:
    return HttpProblem(413, "body.too-large", f"a body may have {limit} bytes")


async def read_json(receive: Receive, headers: Mapping[str, str], limit: int = BODY_BYTES) -> Any:
    """Read a body as strict JSON. Raises: as `check_type` and `read_body`, and JsonError."""
    check_type(headers)
    return jsondata.loads_strict(await read_body(receive, headers, limit))
