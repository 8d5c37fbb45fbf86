"""What carries requests, and which one a URL means."""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import urlsplit

from flowlang.client.requests import Lost, Reply, Request
from flowlang.errors import ConfigError

#: Seconds for one try.
TIMEOUT_S: Final = 10.0

_HTTP: Final = frozenset({"http", "https"})
_STORE: Final = frozenset({"redis", "rediss", "unix"})


class Transport(Protocol):
    """Carries one request at a time, from any number of threads."""

    def answer(self, request: Request) -> Reply | Lost:
        """Ask once."""

    def close(self) -> None:
        """Close the connections."""


class AsyncTransport(Protocol):
    """Carries one request at a time, from any number of coroutines of one loop."""

    async def answer(self, request: Request) -> Reply | Lost:
        """Ask once."""

    async def close(self) -> None:
        """Close the connections."""


def transport_for(url: str, api_key: str | None, timeout: float) -> Transport:
    """The transport that a URL means.

    Args:
        url: `http://…` or `https://…` of a `flowlang serve`; `redis://…`, `rediss://…` or `unix://…` of the store.
        api_key: For HTTP.
        timeout: Seconds for one try over HTTP.

    Raises:
        ConfigError: when it means none.
        StoreUnavailableError: when the store does not answer.
    """
    if _goes_over_http(url, api_key):
        from flowlang.client.http import HttpTransport  # noqa: PLC0415 - brings httpx

        return HttpTransport(url, api_key, timeout)
    from flowlang.client.direct import DirectTransport  # noqa: PLC0415 - beside the other

    return DirectTransport(url)


def async_transport_for(url: str, api_key: str | None, timeout: float) -> AsyncTransport:
    """The transport that a URL means, for coroutines; see `transport_for`. One to the store connects when it is used.

    Raises:
        ConfigError: when it means none.
    """
    if _goes_over_http(url, api_key):
        from flowlang.client.http import AsyncHttpTransport  # noqa: PLC0415 - brings httpx

        return AsyncHttpTransport(url, api_key, timeout)
    from flowlang.client.direct import AsyncDirectTransport  # noqa: PLC0415 - beside the other

    return AsyncDirectTransport(url)


def _goes_over_http(url: str, api_key: str | None) -> bool:
    scheme = urlsplit(url).scheme.lower()
    if scheme in _HTTP:
        return True
    if scheme not in _STORE:
        raise ConfigError(
            f"a client is made with the URL of a `flowlang serve` (http://…, https://…) or of the store (redis://…, "
            f"rediss://…, unix://…), not with {scheme or 'no'} URL"
        )
    if api_key is not None:
        raise ConfigError("an API key is for a client over HTTP; whoever has the store's URL needs none")
    return False
