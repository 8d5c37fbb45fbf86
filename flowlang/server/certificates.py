"""Certificates of senders that sign by one: fetched where the scheme says, within bounds, and kept for a day.

A stranger can make us ask for one, so how often that happens is bounded, whatever is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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
        async with self._one:
            now_s = self._now_s()
            at, pem = self._kept.get(url, (0, b""))
            if pem and now_s - at < _KEPT_S:
                return pem
            self._asked = [each for each in self._asked if now_s - each < _MINUTE_S]
            if len(self._asked) >= _FETCHES:
                raise _unavailable()
            self._asked.append(now_s)
            try:
                pem = await self._fetch(url)
            except (OSError, httpx.HTTPError, ValueError) as error:
                raise _unavailable() from error
            if len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept.pop(url, None)
            self._kept[url] = (now_s, pem)
            return pem


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


def _unavailable() -> HttpProblem:
    detail = "the sender's certificate cannot be had now; send the same delivery again"
    return HttpProblem(503, "certificate.unavailable", detail, headers={"retry-after": "60"})
