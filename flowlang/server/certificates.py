"""Certificates of senders that sign by one: fetched where the scheme says, within bounds, and kept for a day.

A stranger can make us ask for one, so how often that happens is bounded, whatever is asked for; and what is fetched is
kept only when a signature was verified by it, so that a stranger cannot crowd out those of the sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

import httpx

from flowlang.server.problems import HttpProblem

_BYTES = 64 * 1024
_SECONDS = 2.0
_KEPT_S = 86_400
_KEPT = 16  #: certificates at a time
_FETCHES = 10  #: in a minute
_MINUTE_S = 60


class Certificates:
    """Certificates by their addresses.

    Args:
        now_s: Seconds since the epoch.
        fetch: From an address to what is there, at most so many bytes; raises OSError or HTTPError.
    """

    def __init__(self, now_s: Callable[[], int], fetch: Callable[[str], Awaitable[bytes]] | None = None) -> None:
        self._now_s = now_s
        self._fetch = fetch or fetched
        self._kept: dict[str, tuple[int, bytes]] = {}
        self._asked: list[int] = []
        self._one = asyncio.Lock()

    async def get(self, url: str) -> bytes:
        """The certificate at an address, which must be one that the scheme trusts.

        Raises:
            HttpProblem: 503 when it cannot be had now; the sender tries again.
        """
        at, known = self._kept.get(url, (0, b""))
        if known and self._now_s() - at < _KEPT_S:
            return known
        async with self._one:
            try:
                return await self._fetch(url) if self._may_ask() else known or _unavailable()
            except (OSError, httpx.HTTPError, ValueError) as error:
                return known or _unavailable(error)

    def keep(self, url: str, pem: bytes) -> None:
        """Keep a certificate, for a day and as long as there is no other; only one that has verified something."""
        if pem == self._kept.get(url, (0, b""))[1] and self._now_s() - self._kept[url][0] < _KEPT_S:
            return
        self._kept.pop(url, None)
        if len(self._kept) >= _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[url] = (self._now_s(), pem)

    def _may_ask(self) -> bool:
        """Whether one more may be fetched now; counts it."""
        now_s = self._now_s()
        self._asked = [each for each in self._asked if now_s - each < _MINUTE_S]
        if len(self._asked) >= _FETCHES:
            return False
        self._asked.append(now_s)
        return True


async def fetched(url: str) -> bytes:
    """What is at an address: by no proxy, following nothing, not for long, and not much of it.

    Raises:
        HTTPError: when it cannot be had.
        ValueError: when it is too large.
    """
    async with (
        asyncio.timeout(_SECONDS),
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_SECONDS) as client,
        client.stream("GET", url) as response,
    ):
        if response.status_code != 200:
            raise ValueError(f"the certificate's server answered {response.status_code}")
        found = bytearray()
        async for chunk in response.aiter_raw():
            found += chunk
            if len(found) > _BYTES:
                raise ValueError("the certificate is too large")
        return bytes(found)


def _unavailable(cause: Exception | None = None) -> NoReturn:
    detail = "the sender's certificate cannot be had now; send the same delivery again"
    raise HttpProblem(503, "certificate.unavailable", detail, headers={"retry-after": "60"}) from cause
