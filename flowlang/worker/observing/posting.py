"""Posts JSON to receivers.

By httpx's transports, without its client: that writes each address to the log, and the address of an incoming webhook
is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from flowlang import jsondata

#: Longest wait for a receiver, seconds.
TIMEOUT_S = 10.0


class Poster:
    """Keeps connections to receivers; safe for any number of threads. Goes by the machine's proxies."""

    def __init__(self) -> None:
        self._direct = httpx.HTTPTransport()
        self._proxied = {
            scheme: httpx.HTTPTransport(proxy=proxy)
            for scheme, proxy in getproxies().items()
            if scheme in {"http", "https"}
        }

    def post(self, url: str, body: Any, headers: Mapping[str, str] | None = None) -> bytes:
        """Post a body.

        Returns:
            The body of the answer.

        Raises:
            httpx.HTTPError, httpx.InvalidURL: no answer, or one of 300 or more.
        """
        about = {"content-type": "application/json", **(headers or {})}
        timeout = httpx.Timeout(TIMEOUT_S).as_dict()
        request = httpx.Request(
            "POST", url, content=jsondata.dumps(body), headers=about, extensions={"timeout": timeout}
        )
        proxied = None if proxy_bypass(request.url.host) else self._proxied.get(request.url.scheme)
        response = (proxied or self._direct).handle_request(request)
        response.request = request
        try:
            answer = response.read()
        finally:
            response.close()
        if not response.is_success:
            raise httpx.HTTPStatusError(f"it answers {response.status_code}", request=request, response=response)
        return answer

    def close(self) -> None:
        """Close all connections."""
        for transport in (self._direct, *self._proxied.values()):
            transport.close()
