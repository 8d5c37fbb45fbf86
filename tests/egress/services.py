"""Servers for tests: one that must never be reached, and one that answers as it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class Seen:
    """A request as a server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Answering:
    """A server and what it got.

    Attributes:
        host: Address that it listens on.
        port: Port that it listens on.
        seen: The requests.
        accepted: Connections, whether or not a request came.
    """

    host: str
    port: int
    seen: list[Seen] = field(default_factory=list)
    accepted: int = 0

    def url(self, path: str = "/") -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{path}"


@dataclass(frozen=True, slots=True)
class Say:
    """An answer. `parts` are written one after another; each may be a text's bytes, or an event to wait for."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    parts: tuple[bytes | threading.Event, ...] | None = None


Answer = Callable[[Seen], Say]


@contextmanager
def serving(answer: Answer, host: str = "127.0.0.1", port: int = 0, tls: Any = None) -> Iterator[Answering]:
    """Serve HTTP/1.1 on an address of this machine."""
    there = Answering(host, port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            there.accepted += 1
            super().setup()

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, self.path, headers, self.rfile.read(length))
            there.seen.append(seen)
            said = answer(seen)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value.encode("utf-8").decode("latin-1"))  # as UTF-8, which some servers send
            if said.parts is None:
                self.send_header("content-length", str(len(said.body)))
            else:
                self.send_header("connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command == "HEAD":
                return
            try:
                for part in said.parts if said.parts is not None else (said.body,):
                    if isinstance(part, threading.Event):
                        self.wfile.flush()
                        part.wait(20)
                    else:
                        self.wfile.write(part)
            except OSError:
                self.close_connection = True  # the client has had enough, which is what some tests are about

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    server = Server((host, port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    there.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
