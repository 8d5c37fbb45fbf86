"""Which addresses belong to nobody else: this machine, its networks, the metadata of its cloud. Pure.

What is listed here are ranges that reach a place which the sender of an event could not reach by himself. An address
that carries another one within (mapped, NAT64) is judged by the inner one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

#: Ranges, and what they are. The first that fits names the rule.
_RANGES: Final = tuple(
    (ip_network(text), rule)
    for text, rule in (
        ("0.0.0.0/8", "this machine"),
        ("10.0.0.0/8", "a private network"),
        ("100.64.0.0/10", "a provider's network"),
        ("127.0.0.0/8", "this machine"),
        ("168.63.129.16/32", "the host of an Azure machine"),
        ("169.254.0.0/16", "link-local, where clouds keep their metadata"),
        ("172.16.0.0/12", "a private network"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for documents"),
        ("192.88.99.0/24", "a relay of 6to4"),
        ("192.168.0.0/16", "a private network"),
        ("198.18.0.0/15", "reserved for measuring"),
        ("198.51.100.0/24", "reserved for documents"),
        ("203.0.113.0/24", "reserved for documents"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "this machine"),
        ("::1/128", "this machine"),
        ("::/96", "an IPv4 address in an old form"),
        ("64:ff9b:1::/48", "a private network behind NAT64"),
        ("100::/64", "a place where packets are dropped"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "reserved for documents"),
        ("2002::/16", "6to4, which may lead to any IPv4 address"),
        ("3fff::/20", "reserved for documents"),
        ("5f00::/16", "reserved for routing"),
        ("fc00::/7", "a private network"),
        ("fe80::/10", "link-local, where clouds keep their metadata"),
        ("fec0::/10", "a private network of a site"),
        ("ff00::/8", "multicast"),
    )
)
_UNICAST: Final = ip_network("2000::/3")  #: all of IPv6 that has been given out
_NAT64: Final = ip_network("64:ff9b::/96")

#: Ranges that a name in the list of the allowed never opens; only an entry that is a range or an address does.
_NEVER_BY_NAME: Final = tuple(
    ip_network(text)
    for text in ("0.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128",
                 "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "ff00::/8")
)  # fmt: skip


def inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, where it does; else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.scope_id is None and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def read_address(text: str) -> Address | None:
    """Read an address in its usual form; None for any other text, such as a name or `0x7f.1`."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def forbidden(address: Address) -> str | None:
    """Say why nobody may be sent to an address unless it is listed as allowed.

    Returns:
        What the address is, in words; None when it is a public one.
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address of one network card"
    address = inner(address)
    for network, rule in _RANGES:
        if address in network:
            return rule
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return "no public address"
    if not address.is_global or address.is_multicast:  # what has been reserved since this was written
        return "no public address"
    return None


def open_by_name(address: Address) -> bool:
    """Whether a name in the list of the allowed may lead to an address, if that is a private one."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    address = inner(address)
    return not any(address in network for network in _NEVER_BY_NAME)
