"""URLs that lead, or are meant to lead, to a place that nobody may be sent to.

Of each forbidden range there is one address, written in each way that some resolver or parser takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

#: Addresses of IPv4, one or more of each range; those that clouds keep their metadata at by name.
V4: Final = {
    "this machine": "127.0.0.1",
    "this machine, elsewhere": "127.127.127.127",
    "this network": "0.0.0.0",
    "private 10": "10.1.2.3",
    "private 172.16": "172.16.0.1",
    "private 172.31": "172.31.255.254",
    "private 192.168": "192.168.1.1",
    "provider": "100.64.0.1",
    "metadata of AWS, Google, Azure": "169.254.169.254",
    "metadata of AWS tasks": "169.254.170.2",
    "metadata of Alibaba": "100.100.100.200",
    "metadata of Oracle": "192.0.0.192",
    "host of Azure": "168.63.129.16",
    "protocols": "192.0.0.8",
    "documents": "192.0.2.1",
    "documents 2": "198.51.100.7",
    "documents 3": "203.0.113.9",
    "relay of 6to4": "192.88.99.1",
    "measuring": "198.18.0.1",
    "multicast": "224.0.0.1",
    "multicast, global": "233.252.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
}

#: Addresses of IPv6.
V6: Final = {
    "this machine": "::1",
    "this machine, long": "0000:0000:0000:0000:0000:0000:0000:0001",
    "unspecified": "::",
    "private": "fc00::1",
    "private, local": "fd12:3456:789a::1",
    "metadata of AWS": "fd00:ec2::254",
    "metadata of Google": "fd20:ce::254",
    "link-local": "fe80::1",
    "link-local, a card": "fe80::1%25lo",
    "link-local, a card unquoted": "fe80::1%lo",
    "this machine, a card": "::1%25lo",
    "site": "fec0::1",
    "multicast": "ff02::1",
    "documents": "2001:db8::1",
    "documents, new": "3fff::1",
    "Teredo": "2001:0:7f00:1::1",
    "ORCHID": "2001:20::1",
    "discarded": "100::1",
    "routing": "5f00::1",
    "never given out": "4000::1",
    "NAT64, private": "64:ff9b:1::7f00:1",
    "in an old form": "::127.0.0.1",
}


@dataclass(frozen=True, slots=True)
class Spelling:
    """One URL of the corpus, and what it tries."""

    what: str
    url: str


def v4_spellings(address: str) -> Iterator[tuple[str, str]]:
    """The ways in which an address of IPv4 can be written, and how each is called."""
    value = int(IPv4Address(address))
    one, two, three, four = value.to_bytes(4, "big")
    yield "four numbers", address
    yield "with a dot at its end", f"{address}."
    yield "one number", str(value)
    yield "one hexadecimal number", f"0x{value:08x}"
    yield "one hexadecimal number in capitals", f"0X{value:08X}"
    yield "one octal number", f"0{value:011o}"
    yield "octal numbers", f"0{one:o}.0{two:o}.0{three:o}.0{four:o}"
    yield "octal numbers with more zeros", f"000{one:o}.000{two:o}.000{three:o}.000{four:o}"
    yield "hexadecimal numbers", f"0x{one:x}.0x{two:x}.0x{three:x}.0x{four:x}"
    yield "hexadecimal numbers with zeros", f"0x00{one:02x}.0x00{two:02x}.0x00{three:02x}.0x00{four:02x}"
    yield "kinds of numbers mixed", f"0x{one:x}.0{two:o}.{three}.{four}"
    yield "two parts", f"{one}.{value & 0xFFFFFF}"
    yield "two parts, hexadecimal", f"0x{one:x}.0x{value & 0xFFFFFF:x}"
    yield "three parts", f"{one}.{two}.{value & 0xFFFF}"
    yield "overflowing", f"{value + 2**32}"
    yield "full-width digits", address.translate({ord(str(n)): 0xFF10 + n for n in range(10)})
    yield "digits in circles", address.translate({ord(str(n)): 0x2460 + n - 1 if n else 0x24EA for n in range(10)})
    yield "ideographic dots", address.replace(".", "。")
    yield "half-width ideographic dots", address.replace(".", "｡")
    yield "quoted digits", "".join(f"%{ord(sign):02x}" for sign in address)
    yield "mapped", f"[::ffff:{address}]"
    yield "mapped, hexadecimal", f"[::ffff:{value >> 16:x}:{value & 0xFFFF:x}]"
    yield "mapped, long", f"[0:0:0:0:0:ffff:{address}]"
    yield "mapped, with a card", f"[::ffff:{address}%25lo]"
    yield "in an old form", f"[::{value >> 16:x}:{value & 0xFFFF:x}]"
    yield "translated", f"[::ffff:0:{value >> 16:x}:{value & 0xFFFF:x}]"
    yield "NAT64", f"[64:ff9b::{value >> 16:x}:{value & 0xFFFF:x}]"
    yield "6to4", f"[{IPv6Address((0x2002 << 112) | (value << 80) | 1)}]"


def spellings(port: int) -> list[Spelling]:
    """All URLs with addresses in them, and those that only look as if they led elsewhere.

    Args:
        port: Where somebody listens on the addresses of this machine, who must never be reached.
    """
    found = [
        Spelling(f"{name}: {how}", f"http://{host}:{port}/")
        for name, address in V4.items()
        for how, host in v4_spellings(address)
    ]
    found += [Spelling(f"IPv6 {name}", f"http://[{address}]:{port}/") for name, address in V6.items()]
    tricks = {
        "a user that looks like a host": "http://example.com@127.0.0.1:{port}/",
        "a user and a password": "http://example.com:80@127.0.0.1:{port}/",
        "a user behind a backslash": "http://127.0.0.1:{port}\\@example.com/",
        "a backslash for a slash": "http:\\\\127.0.0.1:{port}\\",
        "two users": "http://a@b@127.0.0.1:{port}/",
        "a fragment before a user": "http://127.0.0.1:{port}#@example.com/",
        "a question before a user": "http://127.0.0.1:{port}?@example.com/",
        "capitals": "HTTP://127.0.0.1:{port}/",
        "localhost": "http://localhost:{port}/",
        "localhost in capitals": "http://LocalHost:{port}/",
        "localhost with a dot": "http://localhost.:{port}/",
        "below localhost": "http://a.localhost:{port}/",
        "localhost in circles": "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
        "localhost in full width": "http://ｌｏｃａｌｈｏｓｔ:{port}/",
        "localhost, quoted": "http://%6c%6f%63%61%6c%68%6f%73%74:{port}/",
        "localhost with a soft hyphen": "http://local\u00adhost:{port}/",
        "localhost with a zero-width space": "http://local\u200bhost:{port}/",
        "a zero byte behind it": "http://localhost%00.example.com:{port}/",
        "a line break behind it": "http://127.0.0.1:{port}/\r\nHost: example.com",
        "a blank before it": " http://127.0.0.1:{port}/",
        "a tabulator within": "http://127.0.\t0.1:{port}/",
        "no scheme": "//127.0.0.1:{port}/",
        "one slash": "http:/127.0.0.1:{port}/",
        "three slashes": "http:///127.0.0.1:{port}/",
        "an empty host": "http://:{port}/",
        "an address of a future kind": "http://[v1.127.0.0.1]:{port}/",
        "a bracket that is not closed": "http://[::1:{port}/",
        "https": "https://127.0.0.1:{port}/",
        "a file": "file:///etc/passwd",
        "a file on a host": "file://127.0.0.1:{port}/etc/passwd",
        "gopher": "gopher://127.0.0.1:{port}/_x",
        "dict": "dict://127.0.0.1:{port}/x",
        "ftp": "ftp://127.0.0.1:{port}/",
        "ldap": "ldap://127.0.0.1:{port}/",
        "websocket": "ws://127.0.0.1:{port}/",
        "data": "data:text/plain,x",
        "a Unix socket": "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
        "a Unix socket, another way": "unix:///var/run/docker.sock",
        "JavaScript": "javascript:alert(1)",
    }
    return found + [Spelling(name, url.format(port=port)) for name, url in tricks.items()]


def names() -> dict[str, list[str]]:
    """Names of a domain that belongs to somebody else, and the addresses that its DNS gives."""
    found = {f"v4-{at}.attacker.example": [address] for at, address in enumerate(V4.values())}
    found |= {f"v6-{at}.attacker.example": [address.replace("%25", "%")] for at, address in enumerate(V6.values())}
    found |= {
        "both.attacker.example": ["93.184.215.14", "127.0.0.1"],
        "both-the-other-way.attacker.example": ["127.0.0.1", "93.184.215.14"],
        "last-of-many.attacker.example": [*(f"93.184.215.{n}" for n in range(20)), "10.0.0.1"],
        "two-families.attacker.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:10.0.0.1"],
        "not-an-address.attacker.example": ["0x7f.1"],
        "too-many.attacker.example": [f"93.184.{n}.1" for n in range(100)],
    }
    return found
