"""The network under HTTP: looks a name up once, checks every address, and connects to one that was checked.

All that `outbound.client` opens is opened here, a redirect's connection as well, so nothing that stands in a URL can
lead around the check. Names are not looked up a second time: the connection is made to the address itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import httpcore

from flowlang import Permanent
from flowlang.integrations.outbound.addresses import Address, read_address
from flowlang.integrations.outbound.egress import REFUSED, Egress

#: Looks a name up: its addresses, as texts.
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_ADDRESSES: Final = 64  #: of one name; a name with more is not meant to be connected to
TRIED: Final = 4  #: of its addresses, one after another


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a name.

    Raises:
        OSError: when there are none, or nobody answers.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(info[4][0]) for info in found]


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connections to what may be connected to.

    Args:
        egress: Says what may.
        resolve: Looks names up.
        below: Makes the connections.
    """

    def __init__(
        self, egress: Egress, resolve: Resolve = system_resolve, below: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._egress = egress
        self._resolve = resolve
        self._below = below or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to a host.

        Raises:
            Permanent: with code `egress_refused`: it may not be connected to.
            OSError: nobody knows the name.
            httpcore.ConnectError, httpcore.ConnectTimeout: nobody answers.
        """
        name = self._egress.host(host, port)
        addresses = await self._addresses(name, port)
        self._egress.addresses(name, port, addresses)
        failed: Exception = httpcore.ConnectError(f"{name} has no address")
        for address in addresses[:TRIED]:
            try:
                stream = await self._below.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
                continue
            return await _checked(stream, address)
        raise failed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no URL of ours names a socket.

        Raises:
            Permanent: always.
        """
        del path, timeout, socket_options
        raise Permanent("no connection to a socket of this machine", code=REFUSED)

    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore does between tries."""
        await self._below.sleep(seconds)

    async def _addresses(self, name: str, port: int) -> list[Address]:
        literal = read_address(name)
        if literal is not None:
            return [literal]
        addresses = []
        for text in await self._resolve(name, port):
            address = read_address(text)
            if address is None:
                raise Permanent(f"the name {name!r} has an address that is none: {text[:60]!r}", code=REFUSED)
            addresses.append(address)
        if len(addresses) > MAX_ADDRESSES:
            raise Permanent(f"the name {name!r} has more than {MAX_ADDRESSES} addresses", code=REFUSED)
        return list(dict.fromkeys(addresses))


async def _checked(stream: httpcore.AsyncNetworkStream, address: Address) -> httpcore.AsyncNetworkStream:
    """Look at whom the open connection is with; anybody else than was checked is nobody to talk to."""
    peer = stream.get_extra_info("server_addr")
    if read_address(str(peer[0])) != address:
        await stream.aclose()
        raise Permanent(f"the connection to {address} is one to {peer[0]}", code=REFUSED)
    return stream
