"""One HTTP client for all built-in handlers of a process: checked connections, bounded bodies, bounded time.

It is made of httpcore, which httpx is made of too. httpx's own client would go by the machine's proxies, which connect
to whatever they are told, and writes each address to the log, though some addresses are secrets.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

import httpcore
import httpx

from flowlang import Env, Permanent
from flowlang.integrations.outbound.body import TOO_LARGE, read_bounded
from flowlang.integrations.outbound.egress import Egress
from flowlang.integrations.outbound.network import CheckedNetwork, Resolve, system_resolve
from flowlang.integrations.outbound.redirects import REDIRECTS, STATUSES, port_of, redirected

CONNECT_S: Final = 10.0  #: for connecting to one address
CONNECTIONS: Final = 100
KEPT: Final = 20  #: connections that stay open for the next request
KEPT_S: Final = 15.0  #: and for how long


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answered.

    Attributes:
        request: The last one, after redirects.
        status: HTTP status.
        headers: All of them.
        body: Unpacked.
    """

    request: httpx.Request
    status: int
    headers: httpx.Headers
    body: bytes

    def error(self) -> httpx.HTTPStatusError:
        """An error that says the status, and is treated by it: 429 and 5xx are tried again, other 4xx are not."""
        url = self.request.url
        message = f"{self.request.method} {url.scheme}://{url.netloc.decode('ascii')} was answered with {self.status}"
        response = httpx.Response(self.status, headers=self.headers, request=self.request)
        return httpx.HTTPStatusError(message, request=self.request, response=response)


class Outbound:
    """Sends requests to where they may go.

    Args:
        egress: Where that is.
        resolve: Looks names up.
        tls: How certificates are checked.
        below: Makes the connections that were checked.
    """

    def __init__(
        self,
        egress: Egress,
        *,
        resolve: Resolve = system_resolve,
        tls: ssl.SSLContext | None = None,
        below: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or trusting(None),
            max_connections=CONNECTIONS,
            max_keepalive_connections=KEPT,
            keepalive_expiry=KEPT_S,
            network_backend=CheckedNetwork(egress, resolve, below),
        )

    async def send(self, request: httpx.Request, *, seconds: float, max_bytes: int, follow: int = 0) -> Reply:
        """Send a request, and read the answer whole.

        Args:
            request: With a URL that `checked_url` gave.
            seconds: For all of it: names, connections, redirects and bodies.
            max_bytes: The longest body that is read.
            follow: So many redirects are followed; the next one is an error. With 0 a redirect is an answer.

        Raises:
            Permanent: with code `egress_refused`, `http.too_large`, `http.redirects` or `http.url`.
            httpx.TransportError: no answer; `httpx.TimeoutException` when time ran out.
            httpx.DecodingError: the body is broken.
            ssl.SSLCertVerificationError: nobody vouches for the server.
            OSError: nobody knows the name.
        """
        try:
            async with asyncio.timeout(seconds):
                for _ in range(follow):
                    reply = await self._once(request, max_bytes)
                    location = reply.headers.get("location")
                    if reply.status not in STATUSES or location is None:
                        return reply
                    request = redirected(request, reply.status, location)
                reply = await self._once(request, max_bytes)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer from {request.url.host!r} in {seconds:g} s") from None
        if follow and reply.status in STATUSES:
            raise Permanent(f"more than {follow} redirects, the last from {request.url.host!r}", code=REDIRECTS)
        return reply

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _once(self, request: httpx.Request, max_bytes: int) -> Reply:
        sent = httpcore.Request(
            request.method,
            httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=port_of(request.url),
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.content,
            extensions={"timeout": {"connect": CONNECT_S}},
        )
        with _httpx_errors():
            response = await self._pool.handle_async_request(sent)
            try:
                headers = httpx.Headers(response.headers)
                return Reply(request, response.status, headers, await _body(request, response, headers, max_bytes))
            finally:
                await response.aclose()


async def _body(request: httpx.Request, response: httpcore.Response, headers: httpx.Headers, max_bytes: int) -> bytes:
    length = headers.get("content-length", "")
    bodiless = request.method == "HEAD" or response.status in STATUSES
    if not bodiless and length.isascii() and length.isdigit() and int(length[:20]) > max_bytes:
        raise Permanent(f"the answer of {length[:20]} bytes is longer than {max_bytes}", code=TOO_LARGE)
    if bodiless:  # what stands in a redirect is nothing to anybody
        return b""
    return await read_bounded(response.aiter_stream(), headers.get("content-encoding", ""), max_bytes)


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Give errors the names that they have for whoever uses httpx, so that they are treated like those."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        if (wrong := _certificate_error(error)) is not None:
            raise wrong from None  # no other attempt makes a certificate right
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.NetworkError)
        raise kind(str(error) or type(error).__name__) from error


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What is wrong with a certificate, if that is what an error came of."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def trusting(bundle: str | None) -> ssl.SSLContext:
    """Check certificates of servers by the roots in a file; without one by the public roots.

    Raises:
        OSError: when it cannot be read; `ssl.SSLError` when it holds no certificates.
    """
    return ssl.create_default_context(cafile=bundle) if bundle else httpx.create_ssl_context(trust_env=False)


@asynccontextmanager
async def opened(env: Env) -> AsyncIterator[Outbound]:
    """The client of a process, by its settings; closed when the process ends."""
    client = Outbound(Egress.of(env.get), tls=trusting(env.get("SSL_CERT_FILE")))
    try:
        yield client
    finally:
        await client.close()
