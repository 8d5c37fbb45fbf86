"""A client as programs have it: httpx with connections that stay open, and FlowLang's own `AsyncClient` over it.

Takes the same orders as `client`, and gives the same answers.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Final

import httpx

from benchmarks.edge.client import SIGNATURE, Load, Sent, event_of, webhook_of
from flowlang.client import AsyncClient

#: Sends the n-th request of a measurement; says what was wrong with its answer, or nothing.
Sending = Callable[[int], Awaitable[str]]

TIMEOUT_S: Final = 30.0


async def drive(load: Load) -> Sent:
    """Send until the time is over, over as many connections as are wanted."""
    sent, numbers = Sent(), itertools.count()
    async with AsyncExitStack() as stack:
        sending = await MAKERS[load.kind](load, stack)
        until = time.monotonic() + load.seconds
        before = time.process_time()

        async def connection() -> None:
            while not sent.wrong and time.monotonic() < until:
                wrong = await sending(next(numbers))
                if wrong:
                    sent.wrong = wrong
                sent.ends.append(time.monotonic())

        await asyncio.gather(*(connection() for _ in range(load.connections)))
        sent.cpu_s = time.process_time() - before
    return sent


async def _httpx(load: Load, stack: AsyncExitStack) -> Sending:
    post = await _posting(load, stack)
    return lambda n: post(json.dumps(event_of(load, n)).encode())


async def _httpx_webhook(load: Load, stack: AsyncExitStack) -> Sending:
    post = await _posting(load, stack)

    def sending(n: int) -> Awaitable[str]:
        body, signature = webhook_of(load, n)
        return post(body, "/hooks/stripe", {SIGNATURE: signature})

    return sending


async def _httpx_batch(load: Load, stack: AsyncExitStack) -> Sending:
    post = await _posting(load, stack)
    return lambda n: post(json.dumps([event_of(load, at) for at in _numbers(load, n)]).encode())


async def _posting(load: Load, stack: AsyncExitStack) -> Callable[..., Awaitable[str]]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {load.token}"}
    client = await stack.enter_async_context(
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{load.port}",
            headers=headers,
            limits=httpx.Limits(max_connections=load.connections, max_keepalive_connections=load.connections),
            timeout=TIMEOUT_S,
            trust_env=False,
        )
    )

    async def post(body: bytes, path: str = "/events", more: Mapping[str, str] | None = None) -> str:
        answer = await client.post(path, content=body, headers=more)
        return "" if answer.status_code == httpx.codes.ACCEPTED else f"HTTP {answer.status_code}: {answer.text[:300]}"

    return post


async def _send(load: Load, stack: AsyncExitStack) -> Sending:
    client = await _own(load, stack)

    async def send(n: int) -> str:
        event = event_of(load, n)
        answer = await client.send(event["name"], event["data"], id=event["id"])
        return "" if answer.stored else str(answer)

    return send


async def _send_many(load: Load, stack: AsyncExitStack) -> Sending:
    client = await _own(load, stack)

    async def send_many(n: int) -> str:
        answers = await client.send_many([event_of(load, at) for at in _numbers(load, n)])
        return next((str(answer) for answer in answers if not answer.stored), "")

    return send_many


async def _own(load: Load, stack: AsyncExitStack) -> AsyncClient:
    client = AsyncClient(f"http://127.0.0.1:{load.port}", api_key=load.token, timeout=TIMEOUT_S)
    return await stack.enter_async_context(client)


def _numbers(load: Load, n: int) -> range:
    return range(n * load.batch, (n + 1) * load.batch)


MAKERS: Final[dict[str, Callable[[Load, AsyncExitStack], Awaitable[Sending]]]] = {
    "httpx": _httpx,
    "httpx-webhook": _httpx_webhook,
    "httpx-batch": _httpx_batch,
    "send": _send,
    "send-many": _send_many,
}


def main() -> None:
    """Measure as it is told, until the standard input ends."""
    for line in sys.stdin:
        load = Load(**json.loads(line)["load"])
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(asdict(asyncio.run(drive(load)))), flush=True)


if __name__ == "__main__":
    main()
