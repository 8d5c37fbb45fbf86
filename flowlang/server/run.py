"""Serving: uvicorn in this process, with a stop that first says so, then ends what is under way."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from flowlang.errors import ConfigError
from flowlang.server.addresses import holder_of
from flowlang.server.app import App
from flowlang.server.connections import MOST, MOST_OF_ONE, at_most

#: Seconds that requests under way may take once serving has ended.
GRACE_S = 10
BACKLOG = 1024


class _Uvicorn(uvicorn.Server):
    """uvicorn that drains before it stops, and leaves signals to whoever asked for it."""

    def __init__(self, config: uvicorn.Config, app: App, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """First signal: drain, then stop. Second: stop now. The process ends by itself, not by the signal."""
        del sig, frame
        self.leave()

    def leave(self) -> None:
        """Drain and stop; may be called from any thread."""
        if self._app.draining or self._drain_s <= 0 or self._loop is None:
            self._app.drain()
            self.should_exit = True
            return
        self._app.drain()
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_s, self._exit)

    def _exit(self) -> None:
        self.should_exit = True


class HttpServer:
    """An application behind a listening socket.

    Args:
        app: The application.
        host: Address to listen on.
        port: 0 takes a free one.
        drain_s: Seconds between saying that it will stop and stopping, for balancers to notice.
        connections: At most so many at a time; see `connections` for the other bounds of them.
        of_one: Of the same holder.
        whose: From an address to the holder of its connections; None has no bound.

    Raises:
        ConfigError: when the address cannot be used.
    """

    def __init__(
        self,
        app: App,
        host: str = "127.0.0.1",
        port: int = 8700,
        *,
        drain_s: float = 0.0,
        connections: int = MOST,
        of_one: int = MOST_OF_ONE,
        whose: Callable[[str], str | None] = holder_of,
    ) -> None:
        self._socket = _listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=at_most(connections, of_one, whose),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who sends them is nobody that we know
            timeout_graceful_shutdown=GRACE_S,
            ws="none",
        )
        self._server = _Uvicorn(config, app, drain_s)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}"

    def run(self) -> None:
        """Serve in this thread until a signal or `stop`; SIGTERM and SIGINT are handled on the main thread."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def start(self) -> None:
        """Serve in a thread; returns when requests are answered."""
        self._thread = threading.Thread(target=self.run, name="flowlang-http", daemon=True)
        self._thread.start()
        while not self._server.ready.wait(0.05):
            if not self._thread.is_alive():
                raise ConfigError(f"the HTTP server on {self.url} did not start; its log says why")

    def stop(self) -> None:
        """Drain, end what is under way and wait for it."""
        self._server.leave()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()


def serve(app: App, host: str = "127.0.0.1", port: int = 8700, *, drain_s: float = 0.0) -> None:
    """Serve until SIGTERM or SIGINT; see `HttpServer`."""
    HttpServer(app, host, port, drain_s=drain_s).run()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port") from error
