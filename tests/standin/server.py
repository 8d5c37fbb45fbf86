"""The server: sockets, keys, faults, kept answers and the ledger around what the services answer.

A call goes through, in this order: its route, the service's key, a scripted fault, the kept answer of its
`Idempotency-Key`, the service. The ledger has it before the caller has its answer.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.standin import control
from tests.standin.connection import Connection
from tests.standin.faults import Fault, FaultScript
from tests.standin.idempotency import HEADER, KeptAnswers
from tests.standin.keys import environment
from tests.standin.ledger import Call, Ledger
from tests.standin.services import Service
from tests.standin.services.academy import Academy
from tests.standin.services.mux import Mux
from tests.standin.services.outgoing import mail, search, slack, transcripts
from tests.standin.services.stripe import Stripe
from tests.standin.services.telemetry import Telemetry
from tests.standin.web import Reply, Request, Route, ServiceError, find, parse


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # stop() waits for them, so that no socket outlives a test
    request_queue_size = 512
    standin: Standin


class Standin:
    """All services behind one port, each below its own prefix; a context manager that starts and stops.

    Args:
        faults: Trouble to begin with.
        ledger: File to append each call to, as lines of JSON.
        port: 0 takes a free one.
        host: Address to listen on.
        wait: Holds an answer back for so many seconds; by default a wait that ends when the stand-in stops.
    """

    def __init__(
        self,
        *,
        faults: Iterable[Fault] = (),
        ledger: Path | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.stripe = Stripe()
        self.mux = Mux()
        self.academy = Academy()
        services: list[Service] = [self.stripe, self.mux, self.academy, transcripts(), search(), mail(), slack()]
        services.append(Telemetry())
        self.services = {service.name: service for service in services}
        self.faults = FaultScript(faults)
        self.ledger = Ledger(ledger)
        self.kept = KeptAnswers()
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._working = threading.Lock()  # services answer one call at a time, so they need no locks of their own
        self._server = _Server((host, port), Connection)
        self._server.standin = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="standin")
        self._connections: set[Connection] = set()

    @property
    def base_url(self) -> str:
        """Where it answers, without a slash at the end."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that make pipelines and handlers use this stand-in."""
        return environment(self.base_url)

    def calls(self, route: str = "") -> list[Call]:
        """Return the calls since the start or the last reset, of one route when it is named."""
        return self.ledger.calls(route)

    def fail(self, *faults: Fault) -> None:
        """Script further trouble."""
        self.faults.add(faults)

    def seed(self, data: dict[str, dict[str, Any]]) -> None:
        """Add objects, by service.

        Raises:
            ValueError: when there is no such service.
        """
        unknown = sorted(set(data) - set(self.services))
        if unknown:
            raise ValueError(f"there is no service {', '.join(unknown)}; there are {', '.join(self.services)}")
        with self._working:
            for name, objects in data.items():
                self.services[name].seed(objects)

    def reset(self) -> None:
        """Go back to a fresh start: objects, faults, kept answers, ledger."""
        with self._working:
            for service in self.services.values():
                service.clear()
        self.faults.clear()
        self.kept.clear()
        self.ledger.clear()

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Cut the connections, wait for the threads and close the port; stopping twice is stopping once."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._server.shutdown()
        for connection in self._connections.copy():
            connection.cut()
        self._server.server_close()
        self._thread.join()
        self.ledger.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def opened(self, connection: Connection) -> None:
        """Know a connection, so that `stop` can cut it."""
        self._connections.add(connection)
        if self._stopping.is_set():
            connection.cut()

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def handle(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> Reply | None:
        """Answer one call; None cuts the connection."""
        try:
            request = parse(method, target, headers, raw)
            if request.path.startswith(control.PREFIX):
                return control.answer(self, request)
            return self._call(request, target, f"{target} {raw.decode('utf-8', 'replace')}")
        except ServiceError as error:
            return error.reply

    def _call(self, request: Request, target: str, text: str) -> Reply | None:
        route, service, request = self._route(request)
        fault = self.faults.take(route.name, text)
        if fault is not None and not fault.after:
            self._hold(fault)
        did, reply = False, None
        if fault is not None and fault.status:
            reply = _refusal(fault)
        elif fault is None or fault.after or not fault.reset:
            did, reply = self._work(route, service, request)
        if fault is not None and fault.after:
            self._hold(fault)
        if fault is not None and fault.reset:
            reply = None
        self.ledger.record(
            route=route.name,
            method=request.method,
            path=target,
            key=request.headers.get(HEADER, ""),
            body=request.body,
            status=reply.status if reply else 0,
            did=did,
            fault=fault is not None,
        )
        return reply

    def _route(self, request: Request) -> tuple[Route, Service, Request]:
        service = self.services.get(request.path.split("/")[1] if request.path.startswith("/") else "")
        found = find(service.routes, request.method, request.path) if service else None
        if service is None or found is None:
            raise ServiceError(404, {"error": f"there is no {request.method} {request.path}"})
        if not service.authorised(request):
            raise ServiceError(401, {"error": {"type": "authentication_error", "message": "wrong key"}})
        route, params = found
        parts = (request.method, request.path, request.headers, request.query, request.body)
        return route, service, Request(*parts, params=params)

    def _work(self, route: Route, service: Service, request: Request) -> tuple[bool, Reply]:
        """Let the service answer, or give the kept answer; and say whether work was done now."""
        key = request.headers.get(HEADER, "") if request.method != "GET" else ""
        try:
            kept = self.kept.begin(service.name, key, request) if key else None
        except ServiceError as error:
            return False, error.reply
        if kept is not None:
            return False, kept
        done: Reply | None = None
        try:
            with self._working:
                reply = route.answer(request)
                done = Reply(reply.status, copy.deepcopy(reply.body), reply.headers)  # kept as it is now
        except ServiceError as error:
            return False, error.reply
        finally:
            if key:
                self.kept.end(service.name, key, done)
        return True, done

    def _hold(self, fault: Fault) -> None:
        if fault.delay_ms:
            self._wait(fault.delay_ms / 1000)


def _refusal(fault: Fault) -> Reply:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return Reply(fault.status, {"error": {"type": "scripted", "message": f"scripted {fault.status}"}}, headers)
