"""Whose address a request is counted for: nobody chooses it, but a proxy that is known."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from flowlang.server.addresses import client_of, holder_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("127.0.0.1"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # of a stranger it is not believed
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what the client wrote itself stands before
        ("10.0.0.1", "127.0.0.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "unknown"),
        ("10.0.0.1", "x" * 100, "x" * 64),
        ("10.0.0.1", ", ,", None),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "", None),
        ("::1", "", None),
        ("", "203.0.113.9", None),
        ("2001:db8::1", "", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "", "2001:db8::/64"),
        ("fd00::1", "2001:db8::7", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("fe80::1%eth0", "", "fe80::/64"),
        ("10.0.0.1", ",".join(["10.0.0.9"] * 5_000), "10.0.0.9"),
    ],
    ids=range(20),
)
def test_the_client_is_the_first_that_is_no_proxy_of_ours(peer: str, forwarded: str, client: str | None) -> None:
    assert client_of(peer, forwarded, PROXIES) == client


@pytest.mark.parametrize(
    ("peer", "holder"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff", "2001:db8::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("", None),
        ("10.1.2.3", None),
        ("::ffff:10.1.2.3", None),
    ],
)
def test_a_connection_is_its_addresses_but_for_this_machine_and_proxies(peer: str, holder: str | None) -> None:
    assert holder_of(peer, PROXIES) == holder


def test_without_proxies_nobody_is_believed() -> None:
    assert client_of("10.0.0.1", "203.0.113.9", ()) == "10.0.0.1"
