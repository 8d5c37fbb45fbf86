"""What may be connected to: the settings `FLOWLANG_EGRESS…`, and the decisions that follow from them. Pure.

Decisions are made on what is connected to, a port and an address, at the moment of connecting. What stands in a URL
says nothing of that: names have many spellings, and their addresses change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from flowlang import Permanent
from flowlang.integrations.outbound.addresses import Address, Network, forbidden, inner, open_by_name, read_address

REFUSED: Final = "egress_refused"  #: code of every refusal
WRONG: Final = "setting.wrong"

ALLOW: Final = "FLOWLANG_EGRESS_ALLOW"
MODE: Final = "FLOWLANG_EGRESS"
PORTS: Final = "FLOWLANG_EGRESS_PORTS"

_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")
_NUMBER: Final = re.compile(r"0x[0-9a-f]*|[0-9]+")
_ENTRY: Final = re.compile(r"\[(?P<v6>[^\]]*)\](?::(?P<v6port>[0-9]+))?|(?P<host>[^:]*)(?::(?P<port>[0-9]+))?")
_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the list of the allowed: a name or a network, at one port or at any."""

    name: str | None
    network: Network | None
    port: int | None

    def is_name(self, host: str, port: int) -> bool:
        """Whether it is this name; `*.example.com` is every name below `example.com`."""
        if self.name is None or self.port not in {None, port}:
            return False
        return host.endswith(self.name[1:]) if self.name.startswith("*.") else host == self.name

    def holds(self, address: Address, port: int) -> bool:
        """Whether an address lies in its network."""
        return self.network is not None and self.port in {None, port} and address in self.network


@dataclass(frozen=True, slots=True)
class Egress:
    """Where requests may go.

    Attributes:
        allowed: What may be connected to although it is private.
        listed_only: Whether nothing else may be connected to.
        ports: The ports that may be connected to; empty: all. An entry that names a port opens it.
    """

    allowed: tuple[Entry, ...] = ()
    listed_only: bool = False
    ports: tuple[range, ...] = ()

    @classmethod
    def of(cls, get: Callable[[str], str | None]) -> Egress:
        """Read the settings.

        Args:
            get: Gives a variable's text, or None.

        Raises:
            Permanent: with code `setting.wrong`, naming the variable and what would be right.
        """
        mode = (get(MODE) or "public").strip().lower()
        if mode not in {"public", "listed"}:
            raise Permanent(f"{MODE} must be `public` or `listed`", code=WRONG)
        allowed = tuple(_entry(text) for text in _parts(get(ALLOW)))
        return cls(allowed, mode == "listed", tuple(_ports(text) for text in _parts(get(PORTS))))

    def host(self, host: str, port: int) -> str:
        """Check the host of a URL before anybody is asked for its addresses.

        Args:
            host: As the URL has it.
            port: That is to be connected to.

        Returns:
            The host as it is to be looked up.

        Raises:
            Permanent: with code `egress_refused`: it is spelt so that programs read it in different ways, or the port
                is closed, or only listed hosts are open and it cannot be one.
        """
        name = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
        address = read_address(name)
        if address is None:
            if not _NAME.fullmatch(name):
                raise _refusal(host, port, "the host has signs that no name has; write it as it is registered")
            if _NUMBER.fullmatch(name.rpartition(".")[2]):
                raise _refusal(host, port, "an address is written as four decimal numbers, such as 192.0.2.7")
        named = any(entry.is_name(name, port) for entry in self.allowed)
        if self.ports and not any(port in ports for ports in self.ports) and not self._opens(name, address, port):
            raise _refusal(host, port, f"the port is none of {PORTS}")
        networks = any(entry.network is not None for entry in self.allowed)
        if self.listed_only and address is None and not named and not networks:
            raise _refusal(host, port, f"only what {ALLOW} lists may be connected to, and it is not listed")
        return name

    def addresses(self, host: str, port: int, found: Sequence[Address]) -> None:
        """Check all addresses that a host has.

        Args:
            host: As `host` has returned it.
            port: That is to be connected to.
            found: Its addresses.

        Raises:
            Permanent: with code `egress_refused`: one of them may not be connected to. One is enough, since a name
                that has an address of ours among its own was made to lead us there.
        """
        named = any(entry.is_name(host, port) for entry in self.allowed)
        for address in found:
            if any(entry.holds(inner(address), port) or entry.holds(address, port) for entry in self.allowed):
                continue
            if named and open_by_name(address):
                continue
            if self.listed_only and not named:
                raise _refusal(host, port, f"only what {ALLOW} lists may be connected to, and it is not listed")
            if (rule := forbidden(address)) is not None:
                raise _refusal(host, port, f"it leads to {rule}; whoever runs the workers may list it in {ALLOW}")

    def _opens(self, name: str, address: Address | None, port: int) -> bool:
        """Whether an entry with a port of its own opens that port."""
        return any(
            entry.port == port and (entry.is_name(name, port) or (address is not None and entry.holds(address, port)))
            for entry in self.allowed
        )


def _refusal(host: str, port: int, why: str) -> Permanent:
    shown = host if len(host) <= 100 else f"{host[:99]}…"
    return Permanent(f"no connection to {shown!r}, port {port}: {why}", code=REFUSED)


def _parts(text: str | None) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text or "") if part]


def _entry(text: str) -> Entry:
    wrong = Permanent(
        f"{ALLOW}: {text!r} is neither a name, such as `crm.internal`, `*.internal` or `localhost:8080`,"
        " nor a network, such as `10.1.0.0/16` or `[fd00::1]:8080`",
        code=WRONG,
    )
    network = _network(text)
    if network is not None:
        return Entry(None, network, None)
    found = _ENTRY.fullmatch(text.lower())
    if found is None:
        raise wrong
    host = found["host"] if found["v6"] is None else found["v6"]
    port = found["port"] or found["v6port"]
    network = _network(host)
    name = host.removesuffix(".").removeprefix("*.")
    named = found["v6"] is None and _NAME.fullmatch(name) and not _NUMBER.fullmatch(name.rpartition(".")[2])
    if (network is None and not named) or (port is not None and not 1 <= int(port[:6]) <= 65_535):
        raise wrong
    return Entry(None if network else host.removesuffix("."), network, None if port is None else int(port))


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _ports(text: str) -> range:
    found = _RANGE.fullmatch(text)
    if found is not None:
        first, last = int(found[1]), int(found[2] or found[1])
        if 1 <= first <= last <= 65_535:
            return range(first, last + 1)
    raise Permanent(f"{PORTS}: {text!r} is no port, such as `443`, and no range, such as `8000-8099`", code=WRONG)
