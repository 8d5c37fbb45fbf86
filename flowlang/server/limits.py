"""How much each address, key and webhook may do: asked at the gate, and again for what turns out to be several."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

from starlette.concurrency import run_in_threadpool

from flowlang.rates import Rate, parse_rate
from flowlang.server.addresses import Network, client_of
from flowlang.server.problems import HttpProblem
from flowlang.service import Caller
from flowlang.service.rates import Budgets, Refusal

_WORDS: Final = {"ip": "this address", "key": "this key", "source": "this webhook"}


@dataclass(frozen=True, slots=True)
class Rates:
    """Bounds of those who send; None: none.

    Args:
        ip: Requests of an address.
        key: Requests of a key, each event of a list counted, where the key has no rate of its own.
        source: Verified deliveries of a webhook.
    """

    ip: Rate | None = None
    key: Rate | None = None
    source: Rate | None = None


class Limits:
    """Refuses what is too much.

    Args:
        budgets: What may still be done.
        rates: The bounds.
        proxies: Whose word on a client's address is taken.
    """

    def __init__(self, budgets: Budgets, rates: Rates, proxies: Sequence[Network] = ()) -> None:
        self._budgets = budgets
        self._rates = rates
        self._proxies = tuple(proxies)
        self._asking: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def client(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        """Count a request of an address. Raises: HttpProblem, 429."""
        if self._rates.ip is not None:
            peer = (scope.get("client") or ("",))[0]
            address = client_of(peer, headers.get("x-forwarded-for", ""), self._proxies)
            if address is not None:
                await self._spend("ip", address, self._rates.ip, 1)

    async def caller(self, caller: Caller, count: int = 1, counted: int = 0) -> None:
        """Count a request of a key, or what it turned out to be besides. Raises: HttpProblem, 429."""
        rate = self.rate_of(caller)
        if rate is not None and count:
            await self._spend("key", caller.name, rate, count, counted)

    def rate_of(self, caller: Caller) -> Rate | None:
        """How much a key may do; None: there is no bound."""
        return self._rates.key if caller.rate is None else parse_rate(caller.rate)

    async def source(self, name: str, count: int = 1) -> None:
        """Count deliveries of a webhook. Raises: HttpProblem, 429."""
        if self._rates.source is not None:
            await self._spend("source", name, self._rates.source, count)

    async def _spend(self, kind: str, name: str, rate: Rate, count: int, counted: int = 0) -> None:
        if self._budgets.take(kind, name, count):
            return
        lock = self._asking.get((kind, name))
        if lock is None:
            lock = self._asking[kind, name] = asyncio.Lock()
        async with lock:  # of many requests at the same time one asks, and the others use what it was granted
            if self._budgets.take(kind, name, count):
                return
            refusal = await run_in_threadpool(self._budgets.ask, kind, name, rate, count, counted)
        if refusal is not None:
            raise _too_much(kind, rate, refusal)


def _too_much(kind: str, rate: Rate, refusal: Refusal) -> HttpProblem:
    policy = f'"{kind}";q={rate.limit};w={-(-rate.period_us // 1_000_000)}'
    if refusal.wait_us is None:
        detail = f"{_WORDS[kind]} is never granted so much at once: send lists of at most {refusal.burst}"
        return HttpProblem(429, "rate.too-many", detail, headers={"ratelimit-policy": policy})
    seconds = max(1, -(-refusal.wait_us // 1_000_000))
    headers = {
        "retry-after": str(seconds),
        "ratelimit-policy": policy,
        "ratelimit": f'"{kind}";r=0;t={seconds}',
    }
    return HttpProblem(429, "rate.limited", f"{_WORDS[kind]} has sent too much; come back later", headers=headers)
