"""Whose address a request comes from: the client's, or what a trusted proxy says of it.

Anybody may write `X-Forwarded-For`. It is read from its end, where the proxies that are known to us have added what
they saw: the first address that is none of theirs is the client's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

#: A client of IPv6 has at least a network of this size for itself.
_OWN_PREFIX = 64
_HOPS = 20


#: A name of a system of senders, such as `eventgrid.azure.net`. What a browser says of a page is none: it has a scheme,
#: or is `null`.
_SENDER = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z][A-Za-z0-9-]{0,62}")


def is_sender(origin: str) -> bool:
    """Whether an `Origin` names a system that sends, as the Web Hooks specification has it, and so no web page."""
    return _SENDER.fullmatch(origin) is not None


def client_of(peer: str, forwarded: str, proxies: Sequence[Network]) -> str | None:
    """Whose budget a request uses.

    Args:
        peer: Address of the other end of the connection; empty where there is none, as on a socket of this machine.
        forwarded: The header, several joined by commas.
        proxies: Whom to believe it.

    Returns:
        An address, of IPv6 its network; None for this machine itself, which has no bound.
    """
    seen = peer
    hops = [part.strip() for part in forwarded.split(",")][-_HOPS:] if forwarded else []
    while hops and _is_among(seen, proxies):
        seen = hops.pop()
    return _shared(seen)


def holder_of(peer: str, proxies: Sequence[Network] = ()) -> str | None:
    """Whose a connection is.

    Args:
        peer: Address of the other end; empty where there is none.
        proxies: Those that connect for many others.

    Returns:
        As `client_of`; None, which has no bound, also for a proxy: who is behind it is known by its requests alone.
    """
    return None if _is_among(peer, proxies) else _shared(peer)


def _is_among(text: str, networks: Sequence[Network]) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


@lru_cache(maxsize=4096)  # the same few clients send again and again
def _shared(text: str) -> str | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text[:64] or None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _shared(str(address.ipv4_mapped))
        if address.is_loopback:
            return None
        return str(IPv6Network((address, _OWN_PREFIX), strict=False))
    return None if address.is_loopback else str(address)
