"""The ASGI application: the gate, then the route that it let the request in to; every refusal a problem document."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from flowlang.clock import Clock, SystemClock
from flowlang.server.api import add_api
from flowlang.server.bodies import ClientGoneError, header_map
from flowlang.server.descriptions import GET_HOOK, POST_HOOK
from flowlang.server.exchange import exchange_of
from flowlang.server.gate import Gate
from flowlang.server.gathering import Gathering
from flowlang.server.hooks import Hooks
from flowlang.server.limits import Limits, Rates
from flowlang.server.problems import Reply, as_problem, problem_reply
from flowlang.server.protocols import inngest
from flowlang.server.routes import Need, Request, Route, Routes
from flowlang.server.signatures.keys import Secrets
from flowlang.server.waiting import MOST, Waiting
from flowlang.service import KeyRing, Service

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class App:
    """FlowLang over HTTP, for any ASGI server.

    Args:
        service: The use cases.
        secrets: Name in `secrets.*` → its text, for the signatures of webhooks.
        keys: Whose an API key is; by default the keys of the service's store.
        hosts: Names that this server is called by; None takes any.
        clock: For the window of signatures.
        limits: How much may be sent; by default there is no bound.
        waits: Requests that may wait for runs at a time.
    """

    def __init__(
        self,
        service: Service,
        *,
        secrets: Secrets,
        keys: KeyRing | None = None,
        hosts: Iterable[str] | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
        waits: int = MOST,
    ) -> None:
        self._clock = clock or SystemClock()
        self._draining = False
        gathering = Gathering(service)
        self.hooks = Hooks(service, gathering, secrets, lambda: self._clock.now_ms() // 1000)
        limits = limits or Limits(service.budgets, Rates())
        self.waiting = Waiting(service.heads, waits)
        self.routes = own_routes(
            service, gathering, self.hooks, waiting=self.waiting, limits=limits, draining=lambda: self._draining
        )
        self._gate = Gate(self.routes, keys or KeyRing(service.store), hosts, limits)

    @property
    def draining(self) -> bool:
        """Whether `drain` was called."""
        return self._draining

    def drain(self) -> None:
        """Say that no new work is wanted (`/readyz` answers 503); what comes is still served, and waits for no run."""
        self._draining = True
        self.waiting.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1008})  # no route of ours is one
            case "lifespan":
                await _live(receive, send)
            case kind:
                raise ValueError(f"there is nothing here for a connection of type {kind!r}")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, exchange = "a request that was not let in", exchange_of(scope, receive, send)
        try:
            request = await self._gate.admit(scope, header_map(scope["headers"]), exchange or receive)
            name = request.route.name
            reply = await request.route.answer(request)
        except ClientGoneError:
            return
        except Exception as error:
            problem = as_problem(error)
            if problem.status == 500:
                log.exception("request failed: %s", name)
            reply = problem_reply(problem, inngest.refusal(scope["path"], problem))
        if exchange is None or not exchange.answer(reply.status, reply.headers, reply.body):
            await _send(send, reply)


def own_routes(
    service: Service,
    gathering: Gathering,
    hooks: Hooks,
    *,
    waiting: Waiting,
    limits: Limits,
    draining: Callable[[], bool],
) -> Routes:
    """All routes of ours.

    Args:
        service: The use cases.
        gathering: Takes events.
        hooks: Takes deliveries.
        waiting: Lets requests wait for runs.
        limits: Say how much a key may do.
        draining: Whether the process is about to stop and wants no new work.
    """

    async def hook(request: Request) -> Reply:
        query = request.scope.get("query_string", b"").decode("latin-1")
        name, method = request.params["name"], request.route.method
        return await hooks(name, request.headers, request.receive, query, request.spend, method=method)

    routes = Routes()
    add_api(routes, service, gathering, waiting=waiting, limits=limits, draining=draining)
    routes.add(Route("POST", "/hooks/{name}", Need.PUBLIC, hook, POST_HOOK))
    routes.add(Route("GET", "/hooks/{name}", Need.PUBLIC, hook, GET_HOOK))
    return routes


def create_app(
    service: Service,
    *,
    secrets: Secrets,
    keys: KeyRing | None = None,
    hosts: Iterable[str] | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
    waits: int = MOST,
) -> App:
    """Make the application; see `App`."""
    return App(service, secrets=secrets, keys=keys, hosts=hosts, clock=clock, limits=limits, waits=waits)


async def _live(receive: Receive, send: Send) -> None:
    """Answer a server that asks when it starts and stops; there is nothing to do at either."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _send(send: Send, reply: Reply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if reply.status != HTTPStatus.NO_CONTENT:  # which has no content, and so no length of it
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
