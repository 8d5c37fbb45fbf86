"""The one gate: every request of every protocol passes here before anything of its body is read.

In this order: is the server called by that name and from a page of its own; is there such a route; has this address
sent too much; is there a key, does it grant what the route needs, and has it sent too much. Whatever is not let through
by all of them is refused.

A page that a developer happens to open can make the browser send requests to localhost, and by rebinding a name even
read the answers. So only names that are ours are answered, and a write that a page of another origin makes is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool

from flowlang.server.addresses import is_sender
from flowlang.server.bodies import Receive
from flowlang.server.limits import Limits
from flowlang.server.problems import HttpProblem
from flowlang.server.routes import Need, Request, Route, Routes
from flowlang.service import ANYBODY, Caller, KeyRing
from flowlang.service.api_keys import NEW_MS

LOOPBACK = ("localhost", "127.0.0.1", "::1")
READS = ("GET", "HEAD")
ALIVE = "/livez"  #: says that the process answers, also when the store, which holds rates, does not

_CHALLENGE: Final = 'Bearer realm="flowlang"'


class Gate:
    """Lets requests in.

    Args:
        routes: All routes there are.
        keys: Whose a key is.
        hosts: Names that this server is called by, without ports; None takes any, for a server behind a proxy that
            checks them.
        limits: How much may be sent.
    """

    def __init__(self, routes: Routes, keys: KeyRing, hosts: Iterable[str] | None, limits: Limits) -> None:
        self._routes = routes
        self._keys = keys
        self._limits = limits
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    async def admit(self, scope: Mapping[str, Any], headers: Mapping[str, str], receive: Receive) -> Request:
        """Let a request in.

        Args:
            scope: As ASGI gives it.
            headers: Lower-case names.
            receive: Of the connection; nothing is read from it.

        Raises:
            HttpProblem: 421 or 403 for a name or origin that is not ours, 404 or 405 for what is not there, 401 without
                a key, 403 for one that does not grant it, 429 for too much.
            StoreUnavailableError: when the keys or budgets cannot be read.
        """
        self.check_names(scope["method"], headers)
        found = self._routes.find(raw_path(scope))
        if found is None:
            raise HttpProblem(404, "not-found", "there is no such path")
        route = found.methods.get(scope["method"])
        if route is None or (route.given is not None and route.given not in headers):
            allowed = sorted(method for method, route in found.methods.items() if route.given is None)
            raise HttpProblem(405, "method", "", headers={"allow": ", ".join(allowed)})
        if route.path != ALIVE:
            await self._limits.client(scope, headers)
        if route.need is Need.PUBLIC:
            source = found.params.get("name")
            spend = _unlimited if source is None else partial(self._limits.source, source)
            return Request(route, ANYBODY, found.params, headers, receive, scope, spend)
        caller = await self._authenticate(_credential(route, found.params, headers))
        _authorise(route, caller)
        await self._limits.caller(caller)
        spend = partial(self._limits.caller, caller, counted=1)
        return Request(route, caller, found.params, headers, receive, scope, spend)

    def check_names(self, method: str, headers: Mapping[str, str]) -> None:
        """Check the name that the server is called by, and the page that a request comes from.

        Raises:
            HttpProblem: 421 for a name that is not ours, 403 for a write from another origin.
        """
        host = headers.get("host", "")
        if self._hosts is not None and _name(f"//{host}") not in self._hosts:
            raise HttpProblem(421, "host.unknown", "this server is not called by that name; see FLOWLANG_HTTP_HOSTS")
        origin = headers.get("origin")
        if origin is None or method in READS or is_sender(origin):
            return
        if urlsplit_netloc(origin) != host.lower():
            raise HttpProblem(403, "origin.refused", "pages of other origins cannot write here")

    async def _authenticate(self, credential: str | None) -> Caller:
        if credential is None:
            detail = "send an API key as `Authorization: Bearer flk_…`; `flowlang api-keys create` makes one"
            raise HttpProblem(401, "key.missing", detail, headers={"www-authenticate": _CHALLENGE})
        if self._keys.is_stale:
            await run_in_threadpool(self._keys.refresh)
        caller = self._keys.caller(credential)
        if caller is None and self._keys.may_be_new(credential):
            await run_in_threadpool(self._keys.refresh, NEW_MS)
            caller = self._keys.caller(credential)
        if caller is None:
            challenge = f'{_CHALLENGE}, error="invalid_token"'
            raise HttpProblem(401, "key.invalid", "that is no valid API key", headers={"www-authenticate": challenge})
        return caller


async def _unlimited(count: int) -> None:
    del count


def raw_path(scope: Mapping[str, Any]) -> bytes:
    """The path as it came, nothing decoded; of a server that does not tell it, what it has made of it."""
    raw: bytes | None = scope.get("raw_path")
    return raw.partition(b"?")[0] if raw is not None else scope["path"].encode("utf-8", "surrogateescape")


def _credential(route: Route, params: Mapping[str, str], headers: Mapping[str, str]) -> str | None:
    """The text that is to prove who asks. A header that is sent twice is joined by a comma, and so is no key."""
    if route.key_param is not None:
        return params[route.key_param]
    scheme, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def _authorise(route: Route, caller: Caller) -> None:
    match route.need:
        case Need.KEY:
            granted = True
        case Need.ADMIN:
            granted = caller.names is None or caller.grants.admin
        case Need.SEND:
            granted = caller.may_some("send")
        case Need.CALL:
            granted = caller.may_some("call")
        case Need.READ:
            granted = caller.may_some("read")
        case Need.CONTROL:
            granted = caller.may_some("control")
        case Need.DELETE:
            granted = caller.may_some("delete")
        case _:
            granted = False
    if not granted:
        challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{route.need}"'
        detail = f"the key {caller.name!r} grants no `{route.need}`"
        raise HttpProblem(403, "key.scope", detail, headers={"www-authenticate": challenge})


def loopback_hosts(bound_to: str, configured: Iterable[str] = ()) -> tuple[str, ...] | None:
    """The names to answer to.

    Args:
        bound_to: Address that the server listens on.
        configured: Names that the operator gave.

    Returns:
        Loopback's names and the configured ones on loopback; else the configured ones, or None when there are none.
    """
    names = tuple(configured)
    if bound_to in LOOPBACK:
        return (*LOOPBACK, *names)
    return names or None


def urlsplit_netloc(url: str) -> str:
    """Host and port of an origin; empty for one that has none, such as `null`."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


@lru_cache(maxsize=64)  # those that call a server call it by a few names
def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
