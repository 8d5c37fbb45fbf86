"""A request and its answer on a connection of ours, past the messages of ASGI where there is nothing to wait for.

Most requests are there as a whole when they are looked at, and most answers go out at once. ASGI has messages, events
and a time limit for the others, which take as long as all else that is done for a small request. Under another server
there is no exchange, and everything goes by messages; so it does where something stands around the application.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

#: Where a request's exchange is, among the extensions of its ASGI scope.
EXTENSION: Final = "flowlang.exchange"

_NAME: Final = re.compile(r"[a-z0-9-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Exchange:
    """One request with its answer.

    Args:
        cycle: What uvicorn keeps of it.
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def is_of(self, receive: object, send: object) -> bool:
        """Whether these are the connection's own."""
        return receive == self._cycle.receive and send == self._cycle.send

    async def __call__(self) -> Mapping[str, Any]:
        """The next message, as ASGI's `receive`."""
        return await self._cycle.receive()

    def whole(self) -> bytes | None:
        """The body, when all of it is there; it is given once. None: ask for messages."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.message_event.clear()
        return body

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> bool:
        """Send the whole answer at once.

        Args:
            status: Of HTTP.
            headers: With lower-case names, without those of length and connection.
            body: All of it.

        Returns:
            Whether it was sent, or there is nobody to send it to; False when it has to go by messages.

        Raises:
            ValueError: when a header cannot be sent.
        """
        cycle = self._cycle
        if cycle.disconnected:
            return True
        if cycle.response_started or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
            return False
        parts = [_status_line(status)]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        parts += [_line(name, value) for name, value in headers.items()]
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        if status != HTTPStatus.NO_CONTENT:  # which has no content, and so no length of it
            parts.append(b"content-length: %d\r\n" % len(body))
        parts += (b"\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join(parts))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


def exchange_of(scope: Mapping[str, Any], receive: object, send: object) -> Exchange | None:
    """The exchange of a request, where its connection is one of ours and nothing stands between.

    Args:
        scope: Of the request.
        receive: What the application got with it.
        send: The same. What has put itself around the application, and gives others, wants to see the messages.
    """
    exchange: Exchange | None = scope.get("extensions", {}).get(EXTENSION)
    return exchange if exchange is not None and exchange.is_of(receive, send) else None


@cache
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode("ascii")


@lru_cache(maxsize=512)  # nearly all answers have the same ones
def _line(name: str, value: str) -> bytes:
    if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        raise ValueError(f"the header {name!r} cannot be sent with the value {value!r}")
    return f"{name}: {value}\r\n".encode("latin-1")
