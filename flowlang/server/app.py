"""The ASGI application: gate, then webhooks by themselves, then the API; every refusal a problem document."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

from flowlang.clock import Clock, SystemClock
from flowlang.server.api import create_api
from flowlang.server.bodies import ClientGoneError, header_map
from flowlang.server.gate import Gate
from flowlang.server.hooks import PREFIX, Hooks, Secrets
from flowlang.server.problems import HttpProblem, Reply, as_problem, problem_reply
from flowlang.service import Service

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
        hosts: Names that this server is called by; None takes any.
        clock: For the window of signatures.
    """

    def __init__(
        self,
        service: Service,
        *,
        secrets: Secrets,
        hosts: Iterable[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._gate = Gate(hosts)
        self._draining = False
        self.hooks = Hooks(service, secrets, lambda: self._clock.now_ms() // 1000)
        self._api = create_api(service, lambda: self._draining)

    @property
    def draining(self) -> bool:
        """Whether `drain` was called."""
        return self._draining

    def drain(self) -> None:
        """Say from now on that no new work is wanted (`/readyz` answers 503); what comes is still served."""
        self._draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI says."""
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            headers = header_map(scope["headers"])
            self._gate.check(scope["method"], headers)
            if scope["path"].startswith(PREFIX):
                await _send(sending, await self._hook(scope, headers, receive))
            else:
                await self._api(scope, receive, sending)
        except ClientGoneError:
            return
        except Exception as error:
            problem = as_problem(error)
            if problem.status == 500:
                log.exception("request failed: %s %r", scope["method"], scope["path"][:200])
            if not begun:  # else the API's own handler has answered, and passes the error on to be logged
                await _send(sending, problem_reply(problem))

    async def _hook(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> Reply:
        if scope["method"] != "POST":
            raise HttpProblem(405, "method", "", headers={"allow": "POST"})
        return await self.hooks(scope["path"], headers, receive)


def create_app(
    service: Service,
    *,
    secrets: Secrets,
    hosts: Iterable[str] | None = None,
    clock: Clock | None = None,
) -> App:
    """Make the application; see `App`."""
    return App(service, secrets=secrets, hosts=hosts, clock=clock)


async def _send(send: Send, reply: Reply) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
