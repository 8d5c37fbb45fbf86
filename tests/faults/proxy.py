"""A proxy that hurts: it stands between a client and a server, and loses, cuts, delays or withholds what passes.

It knows no protocol. What a client sends until the server answers is an *exchange*; a fault is drawn for each, by seed
and odds, or given for the next one. Faults may be changed while connections are open.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit, urlunsplit

#: `swallow`: the server has answered and the answer is thrown away with the connection. `cut`: half of the request gets
#: through, then the connection is gone. `half_open`: the connection stays and nothing passes any more. `delay`: the
#: answer comes late.
Fault = Literal["swallow", "cut", "half_open", "delay"]


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely each fault is, for an exchange; their sum is at most 1.

    Attributes:
        delay_ms: How late a delayed answer comes.
        bytes_per_s: How much passes in each direction of a connection; None: all that comes.
        only: Which requests are meant, by their first bytes.
    """

    swallow: float = 0.0
    cut: float = 0.0
    half_open: float = 0.0
    delay: float = 0.0
    delay_ms: float = 50.0
    bytes_per_s: float | None = None
    only: Callable[[bytes], bool] | None = None

    def draw(self, rng: Random, request: bytes) -> Fault | None:
        """Choose what becomes of an exchange."""
        if self.only is not None and not self.only(request):
            return None
        left = rng.random()
        for fault, odds in (
            ("swallow", self.swallow),
            ("cut", self.cut),
            ("half_open", self.half_open),
            ("delay", self.delay),
        ):
            left -= odds
            if left < 0:
                return cast("Fault", fault)
        return None


NONE = Odds()


class FaultProxy:
    """A port in front of another one; a context manager. Its methods may be called from any thread.

    Args:
        port: Where the server listens on this machine, now or later.
        odds: Of faults, at first.
        seed: Of the choice.
    """

    def __init__(self, port: int, *, odds: Odds = NONE, seed: int = 0) -> None:
        self.odds = odds  #: may be replaced at any time
        self.done: Counter[str] = Counter()  #: faults that have happened, and `exchanges`
        self._target = port
        self._rng = Random(seed)
        self._next: deque[Fault] = deque()
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def in_front_of(self, url: str) -> str:
        """The url of a server, through this proxy."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        place = f"127.0.0.1:{self.port}"
        return urlunsplit(parts._replace(netloc=f"{login}@{place}" if login else place))

    def next(self, *faults: Fault) -> None:
        """Give the faults of the next exchanges, before any are drawn."""
        self._next.extend(faults)

    def heal(self) -> None:
        """No faults from now on; connections that are half open are cut."""
        self.odds = NONE
        self._next.clear()
        self._call(self._cut, lambda link: link.dead)
        self.accept()

    def cut_all(self) -> None:
        """Cut all connections."""
        self._call(self._cut, lambda _: True)

    def refuse(self) -> None:
        """Cut all connections, and refuse new ones."""
        self._call(self._close)
        self.cut_all()

    def accept(self) -> None:
        """Take connections again, on the same port."""
        self._call(self._listen)

    # On the loop's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        asyncio.run_coroutine_threadsafe(function(*arguments), self._loop).result()

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await self._loop.create_server(
                lambda: _Link(self, self._loop, self._target).client, "127.0.0.1", self.port, backlog=512
            )
            self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _cut(self, which: Callable[[_Link], bool]) -> None:
        for link in [link for link in self._links if which(link)]:
            link.cut()

    def _draw(self, request: bytes) -> Fault | None:
        self.done["exchanges"] += 1
        odds = self.odds
        if self._next and (odds.only is None or odds.only(request)):
            fault: Fault | None = self._next.popleft()
        else:
            fault = odds.draw(self._rng, request)
        if fault is not None:
            self.done[fault] += 1
        return fault


class _Way:
    """One direction of a connection, which may be slow.

    Args:
        loop: Of the proxy.
        proxy: Whose odds say how slow.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, proxy: FaultProxy) -> None:
        self._loop = loop
        self._proxy = proxy
        self._free_at = 0.0
        self._waiting: deque[bytes] = deque()
        self.transport: asyncio.Transport | None = None

    def send(self, data: bytes, delay_s: float = 0.0) -> None:
        """Pass data on, behind what waits already."""
        now = self._loop.time()
        at = max(now, self._free_at) + delay_s
        rate = self._proxy.odds.bytes_per_s
        at += len(data) / rate if rate else 0.0
        self._free_at = at
        if at <= now and not self._waiting:
            self._write(data)
        else:
            self._waiting.append(data)
            self._loop.call_at(at, self._release)

    def _release(self) -> None:
        if self._waiting:
            self._write(self._waiting.popleft())

    def _write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)


class _Link:
    """A client's connection with the one to the server behind it."""

    def __init__(self, proxy: FaultProxy, loop: asyncio.AbstractEventLoop, target: int) -> None:
        self._proxy = proxy
        self._loop = loop
        self._target = target
        self._exchange = False
        self._fault: Fault | None = None
        self.dead = False  #: half open
        self.client = _Side(self._begun, self._asked, self.cut)
        self._to_server = _Way(loop, proxy)
        self._to_client = _Way(loop, proxy)

    def cut(self) -> None:
        """Break both connections off."""
        self._proxy._links.discard(self)
        for way in (self._to_server, self._to_client):
            if way.transport is not None:
                way.transport.abort()

    def _begun(self, transport: asyncio.Transport) -> None:
        self._proxy._links.add(self)
        self._to_client.transport = transport
        transport.pause_reading()
        self._task = self._loop.create_task(self._connect(transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        try:
            await self._loop.create_connection(
                lambda: _Side(self._connected, self._answered, self.cut), "127.0.0.1", self._target
            )
        except OSError:
            self.cut()
            return
        if transport.is_closing():
            self.cut()
        else:
            transport.resume_reading()

    def _connected(self, transport: asyncio.Transport) -> None:
        self._to_server.transport = transport

    def _asked(self, data: bytes) -> None:
        if self.dead:
            return
        if not self._exchange:
            self._exchange = True
            self._fault = self._proxy._draw(data)
        if self._fault == "half_open":
            self.dead = True
        elif self._fault == "cut":
            self._to_server.send(data[: len(data) // 2])
            self._loop.call_soon(self._end)
        else:
            self._to_server.send(data)

    def _end(self) -> None:
        """Let the server read what it got, then let the client know."""
        if self._to_server.transport is not None:
            self._to_server.transport.close()
        if self._to_client.transport is not None:
            self._to_client.transport.abort()

    def _answered(self, data: bytes) -> None:
        fault = self._fault if self._exchange else None
        self._exchange = False
        self._fault = None
        if self.dead:
            return
        if fault == "swallow":
            self.cut()
        else:
            self._to_client.send(data, self._proxy.odds.delay_ms / 1000 if fault == "delay" else 0.0)


class _Side(asyncio.Protocol):
    """One of the two connections of a link."""

    def __init__(
        self,
        begun: Callable[[asyncio.Transport], None],
        received: Callable[[bytes], None],
        lost: Callable[[], None],
    ) -> None:
        self._begun = begun
        self._received = received
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        plain = cast("asyncio.Transport", transport)
        plain.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begun(plain)

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._lost()
