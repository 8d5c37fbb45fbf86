"""A handler author's view. Nothing here runs: mypy checks it, and each `type: ignore` must be needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

import httpx

import flowlang
from flowlang import Context, Env, Permanent, Resource, RetryAfter, Snooze, Transient, handler, resource


@resource
def mux(env: Env) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=env["MUX_BASE_URL"], auth=("token", env.secrets["MUX_TOKEN"])) as client:
        yield client


@resource
async def search(env: Env) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=env.get("SEARCH_BASE_URL", "http://localhost")) as client:
        yield client


@handler("mux.create_asset", effect="keyed", timeout="2m", retry={"attempts": 3})
def create_asset(ctx: Context, url: str, title: str | None = None) -> dict[str, str]:
    client = ctx.resource(mux)
    assert_type(client, httpx.Client)
    answer = client.post("/assets", json={"url": url}, headers={"Idempotency-Key": ctx.idempotency_key})
    if answer.status_code == 402:
        raise Permanent("no credit", code="mux.credit")
    ctx.logger.info("attempt %d of run %s, %.0f s left", ctx.attempt, ctx.run.id, ctx.remaining())
    return {"id": answer.text}


@handler("search.notify", effect="idempotent")
async def notify(lesson: int, *, ctx: Context) -> None:
    client = await ctx.resource(search)
    assert_type(client, httpx.AsyncClient)
    await client.post("/notify", json={"lesson": lesson})


@flowlang.handler("demo.raises")
def raises(kind: int) -> int:
    errors = [Transient("x", code="a.b"), RetryAfter(3), Resource("x"), Permanent("x"), Snooze(3)]
    raise errors[kind]


def test_view() -> None:
    ctx = Context.for_test(env={"A": "b"}, resources={mux: httpx.Client()}, attempt=2)
    assert_type(create_asset(ctx, "http://x"), dict[str, str])
    create_asset(ctx, 3)  # type: ignore[arg-type]  # the decorator keeps the signature
    create_asset(ctx)  # type: ignore[call-arg]
    raises("x")  # type: ignore[arg-type]
    handler("a.b", effect="safe")  # type: ignore[arg-type]  # not one of the four
    handler("a.b", timeout=3)  # type: ignore[arg-type]
    resource(raises)  # type: ignore[arg-type]  # no generator
