"""How the handlers of this folder call services: one shared HTTP client a process, and one way of calling."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import Any
from urllib.parse import quote

import httpx

from flowlang import Context, Env, resource

ANSWER_SECONDS = 30.0  # a service that says nothing for so long is as good as down
CONNECT_SECONDS = 5.0


@resource
async def http(env: Env) -> AsyncIterator[httpx.AsyncClient]:
    """Make the client on its first use; its connections are closed when the process ends."""
    limits = httpx.Limits(max_connections=int(env.get("HTTP_CONNECTIONS", "100")))
    async with httpx.AsyncClient(limits=limits) as client:
        yield client


class Bearer(httpx.Auth):
    """Sends a token; unlike a header it does not follow a redirect to another host."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


async def call(
    ctx: Context,
    method: str,
    base_url: str,
    path: tuple[str, ...],
    *,
    auth: httpx.Auth,
    keyed: bool = False,
    json: Any = None,
    params: dict[str, str | int | list[str]] | None = None,
) -> Any:
    """Call a service and return the JSON that it answers.

    Args:
        ctx: The attempt; bounds the wait by its deadline.
        method: HTTP method.
        base_url: Name of the setting that has the service's address.
        path: Segments of the path. They may come from events, so each is quoted.
        auth: Who we are to the service.
        keyed: Whether to pass the idempotency key on, so that a repeated call does nothing new.
        json: Body.
        params: Query.
    """
    client = await ctx.resource(http)
    url = "/".join([ctx.env[base_url].rstrip("/"), *[quote(part, safe="") for part in path]])
    response = await client.request(
        method,
        url,
        auth=auth,
        headers={"Idempotency-Key": ctx.idempotency_key} if keyed else None,
        json=json,
        params=params,
        timeout=httpx.Timeout(min(ANSWER_SECONDS, max(ctx.remaining(), 0.1)), connect=CONNECT_SECONDS),
    )
    response.raise_for_status()
    return response.json()
