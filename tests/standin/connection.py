"""One connection of HTTP/1.1: reading requests, writing answers, cutting it off.

Owns the socket. It leaves what to answer to `server`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from tests.standin.server import Standin, _Server

MAX_BODY = 4 * 1024 * 1024  #: bytes
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no time: closing sends RST in place of FIN


class Connection(BaseHTTPRequestHandler):
    """Answers the requests of one connection, one after another."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _standin(self) -> Standin:
        return cast("_Server", self.server).standin

    def setup(self) -> None:
        super().setup()
        self._standin.opened(self)

    def finish(self) -> None:
        self._standin.closed(self)
        with contextlib.suppress(OSError):  # the caller may be gone
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # a caller that is killed cuts its connections; that is no news
            super().handle()

    def cut(self) -> None:
        """End the connection from another thread."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the ledger has it."""

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY or "chunked" in self.headers.get("transfer-encoding", ""):
            self.close_connection = True
            self._send(413, {"error": f"send at most {MAX_BODY} bytes, with a Content-Length"}, {})
            return
        raw = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self._standin.handle(self.command, self.path, headers, raw)
        if reply is None:
            self._reset()
        else:
            self._send(reply.status, reply.body, reply.headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the base class

    def _send(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.connection.close()
