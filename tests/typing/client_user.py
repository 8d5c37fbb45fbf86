"""A program that uses the clients, as its author's type checker sees it; never run."""

from __future__ import annotations

from typing import Any, assert_type

from flowlang import AsyncClient, Client
from flowlang.client import Event, ProblemError, Replayed, Run, RunNotSucceededError, RunSummary, Sent, Started


def in_threads(client: Client) -> None:
    assert_type(client.send("a/b", {"n": 1}, id="x"), Sent)
    assert_type(client.send_many([Event("a/b"), {"name": "a/b"}]), list[Sent])
    assert_type(client.call("p"), Started)
    assert_type(client.call_and_wait("p", [1], timeout=3), Run)
    assert_type(list(client.runs(status="failed")), list[RunSummary])
    assert_type(client.cancel("r"), bool)
    assert_type(client.replay("r", data={}).run, Started | None)
    client.send(7)  # type: ignore[arg-type]
    client.send("a/b", {}, "x")  # type: ignore[call-arg]  # by its name only
    client.send_many(["a/b"])  # type: ignore[list-item]
    Client("http://x", "key")  # type: ignore[call-arg]  # by its name only


async def in_coroutines(client: AsyncClient) -> None:
    async with AsyncClient("http://x", api_key="k") as other:
        assert_type(other, AsyncClient)
    assert_type(await client.send("a/b"), Sent)
    assert_type([run async for run in client.runs()], list[RunSummary])
    assert_type(await client.replay("r", dry_run=True), Replayed)


def failing(client: Client) -> Any:
    try:
        return client.wait("r").output
    except RunNotSucceededError as error:
        assert_type(error.run, Run)
    except ProblemError as error:
        return [failure.path for failure in error.failures]
