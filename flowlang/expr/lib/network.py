"""IP addresses and networks, for lists of allowed senders."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from flowlang.expr.errors import BAD_ARGUMENT, EvaluationError
from flowlang.expr.registry import declare
from flowlang.expr.values import add_kind

Address = IPv4Address | IPv6Address
_GLOBAL_BROADCAST: Final = IPv4Address("255.255.255.255")


class Cidr:
    """A network as written: unlike Python's, it keeps the bits behind the prefix.

    Args:
        address: The address before the slash.
        prefix: Bits that the network's addresses have in common.
    """

    __slots__ = ("address", "network", "prefix")

    def __init__(self, address: Address, prefix: int) -> None:
        self.address = address
        self.prefix = prefix
        self.network: IPv4Network | IPv6Network = ip_network((address, prefix), strict=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cidr) and (self.address, self.prefix) == (other.address, other.prefix)

    def __hash__(self) -> int:
        return hash((self.address, self.prefix))

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


add_kind(IPv4Address, "net.IP")
add_kind(IPv6Address, "net.IP")
add_kind(Cidr, "net.CIDR")


def _parse(text: str) -> Address:
    if "%" in text:
        raise EvaluationError(f"`{text[:60]}`: an address with a zone is not allowed", BAD_ARGUMENT)
    try:
        address = ip_address(text)
    except ValueError:
        raise EvaluationError(f"`{text[:60]}` is no IP address", BAD_ARGUMENT) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        if "." in text:
            raise EvaluationError(f"`{text[:60]}`: an IPv4 address inside IPv6 is not allowed", BAD_ARGUMENT)
        return address.ipv4_mapped
    return address


@declare("ip(string) -> ip", doc="Reads an IP address.", examples=("ip('10.0.0.1').family() == 4",))
def _ip(text: str) -> Address:
    return _parse(text)


@declare("ip(ip) -> ip", doc="", examples=())
def _ip_of_ip(address: Address) -> Address:
    return address


@declare(
    "isIP(string) -> bool", doc="Tells whether a text is an IP address.", examples=("isIP('::1')", "!isIP('1.2.3')")
)
def _is_ip(text: str) -> bool:
    try:
        _parse(text)
    except EvaluationError:
        return False
    return True


@declare(
    "ip.isCanonical(string) -> bool",
    doc="Tells whether an IP address is written in its shortest form, in small letters.",
    examples=("ip.isCanonical('2001:db8::68')", "!ip.isCanonical('2001:DB8::68')"),
    static=True,
)
def _is_canonical(text: str) -> bool:
    return str(_parse(text)) == text


@declare("ip.family() -> int", doc="Gives 4 or 6.", examples=("ip('::1').family() == 6",))
def _family(address: Address) -> int:
    return address.version


@declare(
    "ip.isUnspecified() -> bool",
    doc="Tells whether it stands for no address.",
    examples=("ip('0.0.0.0').isUnspecified()",),
)
def _is_unspecified(address: Address) -> bool:
    return address.is_unspecified


@declare(
    "ip.isLoopback() -> bool", doc="Tells whether it is the machine itself.", examples=("ip('127.0.0.1').isLoopback()",)
)
def _is_loopback(address: Address) -> bool:
    return address.is_loopback


@declare(
    "ip.isGlobalUnicast() -> bool",
    doc="Tells whether it is one machine's address beyond the link; private ones count.",
    examples=("ip('192.168.0.1').isGlobalUnicast()", "!ip('255.255.255.255').isGlobalUnicast()"),
)
def _is_global_unicast(address: Address) -> bool:
    return not (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address == _GLOBAL_BROADCAST
    )


@declare(
    "ip.isLinkLocalMulticast() -> bool",
    doc="Tells whether it is a multicast address of the link.",
    examples=("ip('224.0.0.1').isLinkLocalMulticast()",),
)
def _is_link_local_multicast(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address in IPv4Network("224.0.0.0/24")
    return address.is_multicast and (address.packed[1] & 0x0F) == 2


@declare(
    "ip.isLinkLocalUnicast() -> bool",
    doc="Tells whether it is one machine's address on the link.",
    examples=("ip('169.254.1.1').isLinkLocalUnicast()",),
)
def _is_link_local_unicast(address: Address) -> bool:
    return address.is_link_local


@declare("string(ip) -> string", "string(cidr) -> string", doc="", examples=())
def _string(value: Address | Cidr) -> str:
    return str(value)


@declare(
    "cidr(string) -> cidr",
    doc="Reads a network in CIDR notation.",
    examples=("cidr('10.0.0.0/8').prefixLength() == 8",),
)
def _cidr(text: str) -> Cidr:
    address_text, _, prefix_text = text.partition("/")
    address = _parse(address_text)
    plain = prefix_text.isascii() and prefix_text.isdigit() and len(prefix_text) <= 3
    if not plain or int(prefix_text) > address.max_prefixlen or (len(prefix_text) > 1 and prefix_text[0] == "0"):
        raise EvaluationError(f"`{text[:60]}` is no network; write one like 10.0.0.0/8", BAD_ARGUMENT)
    return Cidr(address, int(prefix_text))


@declare("cidr(cidr) -> cidr", doc="", examples=())
def _cidr_of_cidr(network: Cidr) -> Cidr:
    return network


@declare(
    "isCIDR(string) -> bool",
    doc="Tells whether a text is a network.",
    examples=("isCIDR('10.0.0.0/8')", "!isCIDR('10.0.0.0')"),
)
def _is_cidr(text: str) -> bool:
    try:
        _cidr(text)
    except EvaluationError:
        return False
    return True


@declare(
    "cidr.containsIP(ip) -> bool",
    doc="Tells whether the network holds an address.",
    examples=("cidr('10.0.0.0/8').containsIP('10.1.2.3')",),
)
def _contains_ip(network: Cidr, address: Address) -> bool:
    return address in network.network


@declare("cidr.containsIP(string) -> bool", doc="", examples=())
def _contains_ip_text(network: Cidr, text: str) -> bool:
    return _parse(text) in network.network


@declare(
    "cidr.containsCIDR(cidr) -> bool",
    doc="Tells whether the network holds another.",
    examples=("cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",),
)
def _contains_cidr(network: Cidr, other: Cidr) -> bool:
    return other.prefix >= network.prefix and other.address in network.network


@declare("cidr.containsCIDR(string) -> bool", doc="", examples=())
def _contains_cidr_text(network: Cidr, text: str) -> bool:
    return _contains_cidr(network, _cidr(text))


@declare(
    "cidr.ip() -> ip",
    doc="Gives the address before the slash.",
    examples=("cidr('10.0.0.0/8').ip() == ip('10.0.0.0')",),
)
def _address(network: Cidr) -> Address:
    return network.address


@declare(
    "cidr.masked() -> cidr",
    doc="Gives the network with zeros behind its prefix.",
    examples=("cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8')",),
)
def _masked(network: Cidr) -> Cidr:
    return Cidr(network.network.network_address, network.prefix)


@declare(
    "cidr.prefixLength() -> int",
    doc="Gives the bits of the prefix.",
    examples=("cidr('10.0.0.0/8').prefixLength() == 8",),
)
def _prefix_length(network: Cidr) -> int:
    return network.prefix
