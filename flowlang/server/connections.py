"""Connections: how large a request's head may be, how long a client may take, and how many there may be at a time.

uvicorn waits for a head without end, for as many headers as come, and for a client that reads nothing. Here each of
these has a bound, and is refused by a problem document like all else. What a body may have is in `bodies`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flowlang.server.addresses import holder_of
from flowlang.server.exchange import EXTENSION, Exchange
from flowlang.server.problems import HttpProblem, problem_reply

#: Of the request line and all headers.
HEAD_BYTES: Final = 16 * 1024
HEADERS: Final = 100
#: For a whole head, from the connection's first moment or the request's first byte on.
HEAD_SECONDS: Final = 10.0
#: For a client to take what waits to be sent.
TAKING_SECONDS: Final = 30.0
#: Connections at a time, of a process.
MOST: Final = 1_000
#: Of them, those of an address: half, so that nobody takes all alone.
MOST_OF_ONE: Final = 500


class Connection(HttpToolsProtocol):
    """A connection of a client."""

    most: ClassVar[int] = MOST
    most_of_one: ClassVar[int] = MOST_OF_ONE
    held: ClassVar[Counter[str]] = Counter()  #: connections that were let in, by holder
    head_seconds: ClassVar[float] = HEAD_SECONDS
    taking_seconds: ClassVar[float] = TAKING_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # a path may hold a key
        self._head_timer: asyncio.TimerHandle | None = None
        self._taking_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_body = False  # of a request that may have been answered before its body was there
        self._refusal: HttpProblem | None = None
        self._holder: str | None = None

    @staticmethod
    def whose(peer: str) -> str | None:
        """The holder of a connection from an address; None has no bound."""
        return holder_of(peer)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin, if there is room."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._refuse(_busy("too many connections"))
        elif not self._hold():
            self._refuse(_busy("too many connections of this address; close some, or use those that are open again"))
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._head_arrived()
        self._taken()
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        cycle: Any = self.cycle  # None before the first request
        in_body, idle = self._in_body, cycle is None or cycle.response_complete
        if idle and not in_body:
            self._head_bytes += len(data)
        super().data_received(data)
        if not idle or self.transport.is_closing():
            return
        if self._head_bytes > HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._head_timer is None and (self._head_bytes or in_body):
            self._expect_head()  # of most requests the head is there at once, and needs no timer

    def on_headers_complete(self) -> None:
        """Serve a request whose head is there."""
        self._head_arrived()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES or len(self.headers) > HEADERS:
            self._refusal = _TOO_LARGE
            raise _TOO_LARGE  # the parser makes it an error of its own, and uvicorn calls `send_400_response`
        self._in_body = True
        super().on_headers_complete()
        cycle: Any = self.cycle  # None before the first request
        scope: Any = self.scope
        if cycle is not None and cycle.scope is scope:
            scope["extensions"] = {EXTENSION: Exchange(cycle)}

    def on_message_complete(self) -> None:
        """Look for the next head from here on."""
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or what we have said is too much of it."""
        del msg
        self._refuse(self._refusal or HttpProblem(400, "http.malformed", "that is no HTTP that we take"))

    def pause_writing(self) -> None:
        """The client does not read."""
        self._taking_timer = self.loop.call_later(self.taking_seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._taken()
        super().resume_writing()

    def _hold(self) -> bool:
        """Count the connection to whose it is; False when they have too many."""
        holder = self.whose(self.client[0] if self.client else "")
        if holder is None:
            return True
        if self.held[holder] >= self.most_of_one:
            return False
        self.held[holder] += 1
        self._holder = holder
        return True

    def _let_go(self) -> None:
        holder, self._holder = self._holder, None
        if holder is not None:
            self.held[holder] -= 1
            if not self.held[holder]:
                del self.held[holder]

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._head_bytes = 0

    def _taken(self) -> None:
        if self._taking_timer is not None:
            self._taking_timer.cancel()
            self._taking_timer = None

    def _is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes:
            detail = f"the head of the request did not arrive within {self.head_seconds:g} s"
            self._refuse(HttpProblem(408, "head.timeout", detail))
        else:
            self.transport.close()

    def _refuse(self, problem: HttpProblem) -> None:
        """Say why, and hang up; nothing that comes afterwards is read."""
        self._head_arrived()
        reply = problem_reply(problem)
        lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        headers = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body)
        self.transport.close()


_TOO_LARGE: Final = HttpProblem(
    431, "head.too-large", f"a request line and its headers may have {HEAD_BYTES} bytes, in {HEADERS} headers"
)


def _busy(detail: str) -> HttpProblem:
    return HttpProblem(503, "server.busy", detail, headers={"retry-after": "1"})


def at_most(
    connections: int, of_one: int = MOST_OF_ONE, whose: Callable[[str], str | None] = holder_of
) -> type[Connection]:
    """The protocol of a server that has only so many connections at a time.

    Args:
        connections: At most, of all.
        of_one: At most, of the same holder.
        whose: From an address to its holder; None has no bound.
    """
    own = {"most": connections, "most_of_one": of_one, "whose": staticmethod(whose), "held": Counter()}
    return type("Connection", (Connection,), own)
