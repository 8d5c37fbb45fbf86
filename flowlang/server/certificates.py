"""Certificates of senders that sign by one: fetched where the scheme says, within bounds, and kept for a day.

A stranger can make us ask for one, so how often that happens is bounded, whatever is asked for; and what is fetched is
kept only when a signature was verified by it, so that a stranger cannot crowd out those of the sender. It is fetched
from public addresses alone, whatever a name leads to, and trusted by the roots by which all connections are.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Final, NoReturn

import httpx
from cryptography.x509.verification import Store

from flowlang.errors import ConfigError, FlowError
from flowlang.integrations.outbound.client import Outbound, trusting
from flowlang.integrations.outbound.egress import Egress
from flowlang.integrations.outbound.network import Resolve, system_resolve
from flowlang.server.problems import HttpProblem
from flowlang.server.signatures.chains import roots_of

_BYTES = 64 * 1024
_SECONDS = 2.0
_KEPT_S = 86_400
_KEPT = 16  #: certificates at a time
_FETCHES = 10  #: in a minute
_MINUTE_S = 60
_PUBLIC: Final = Egress()


class Certificates:
    """Certificates by their addresses.

    Args:
        now_s: Seconds since the epoch.
        fetch: From an address to what is there, at most so many bytes; raises OSError, HTTPError, ValueError or
            FlowError.
        roots: Certificates that are trusted to vouch for those that are fetched; raises ConfigError.
    """

    def __init__(
        self,
        now_s: Callable[[], int],
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        roots: Callable[[], Store | None] | None = None,
    ) -> None:
        self._now_s = now_s
        self._fetch = fetch or fetched
        self.roots = roots or trusted_roots
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
            except (OSError, httpx.HTTPError, ValueError, FlowError) as error:
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


async def fetched(url: str, egress: Egress = _PUBLIC, resolve: Resolve = system_resolve) -> bytes:
    """What is at an address: by no proxy, following nothing, not for long, and not much of it.

    Args:
        url: Of the certificate.
        egress: Where it may be; by default at public addresses.
        resolve: Looks names up.

    Raises:
        HTTPError, OSError: when it cannot be had.
        Permanent: when its name leads to where nobody may be sent, or it is too large.
        ValueError: when something else is there.
    """
    client = Outbound(egress, resolve=resolve, tls=trust())
    try:
        reply = await client.send(httpx.Request("GET", url), seconds=_SECONDS, max_bytes=_BYTES)
    finally:
        await client.close()
    if reply.status != 200:
        raise ValueError(f"the certificate's server answered {reply.status}")
    return reply.body


@cache
def trust() -> ssl.SSLContext:
    """How connections of ours are checked: by public roots, or those in the file that `SSL_CERT_FILE` names.

    Raises:
        ConfigError: when that file cannot be read.
    """
    try:
        return trusting(os.environ.get("SSL_CERT_FILE"))
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"the certificates of SSL_CERT_FILE cannot be read: {error.strerror or error}") from error


@cache
def trusted_roots() -> Store | None:
    """The roots by which connections of ours are checked. Raises: ConfigError, as `trust`."""
    return roots_of(trust().get_ca_certs(binary_form=True))


def _unavailable(cause: Exception | None = None) -> NoReturn:
    detail = "the sender's certificate cannot be had now; send the same delivery again"
    raise HttpProblem(503, "certificate.unavailable", detail, headers={"retry-after": "60"}) from cause
