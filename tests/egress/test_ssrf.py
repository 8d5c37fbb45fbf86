"""No spelling, name or redirect makes a built-in handler connect to an address that nobody may be sent to.

Named after what happened to others: n8n CVE-2026-56348 (a list of allowed domains that a URL could be spelt around) and
CVE-2026-25052 (checked first, used later); Inngest's dialer, which checked the addresses of a name and dialled the name.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang import Context, Permanent
from flowlang.integrations import client, http
from flowlang.integrations.outbound.addresses import forbidden, inner
from flowlang.integrations.outbound.client import Outbound
from flowlang.integrations.outbound.egress import Egress
from tests.egress.corpus import V4, V6, names, spellings, v4_spellings
from tests.egress.services import Say, serving
from tests.egress.trial import REFUSALS, stage, try_all
from tests.egress.watch import connections


def ask(url: str, allowed: Egress, **more: Any) -> http.Answer:
    async def run() -> http.Answer:
        outbound = Outbound(allowed)
        try:
            return await http.request(url, Context.for_test(resources={client.outbound: outbound}), **more)
        finally:
            await outbound.close()

    return asyncio.run(run())


def test_cve_2026_56348_no_spelling_of_the_corpus_connects_anywhere() -> None:
    trial = try_all()
    assert trial.passed == []
    assert trial.connected == []
    assert trial.reached == 0
    assert trial.tried == 2 * (len(spellings(80)) + len(names()))
    assert trial.tried >= 1_000
    assert trial.redirects > trial.tried / 2  # every redirect was met at the place that it led to


def test_the_check_of_addresses_holds_where_the_check_of_spellings_is_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Egress, "host", lambda *given: given[1])
    trial = try_all(lambda all_: [each for each in all_ if each.what.startswith(("this machine", "private 10"))])
    assert trial.connected == []
    assert trial.reached == 0
    assert [line for line in trial.passed if not line.endswith((*REFUSALS, "UnicodeError", "bug.unicode_error"))] == []


def test_the_counter_sees_connections_and_the_servers_can_be_reached() -> None:
    with stage() as (servers, _), connections() as seen:
        for server in servers:
            answer = ask(server.url(), Egress.of({"FLOWLANG_EGRESS_ALLOW": server.host}.get))
            assert answer.status == 200
            assert server.accepted == 1
        assert [address[:2] for address in seen] == [(server.host, server.port) for server in servers]


@pytest.mark.parametrize("address", [*V4.values()])
def test_all_spellings_of_an_address_are_the_same_to_the_rules(address: str) -> None:
    rule = forbidden(ip_address(address))
    assert rule is not None
    for how, host in v4_spellings(address):
        if how.startswith(("mapped", "NAT64")) and "%" not in host:
            assert forbidden(ip_address(host.strip("[]"))) == rule


@pytest.mark.parametrize("address", sorted({text.replace("%25", "%") for text in V6.values()}))
def test_addresses_of_ipv6_that_are_not_public_have_a_rule(address: str) -> None:
    assert forbidden(ip_address(address)) is not None


PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "168.63.129.15",
          "169.253.255.255", "169.255.0.1", "192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.254", "2606:4700::1111",
          "2a00:1450:4001::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address: str) -> None:
    assert forbidden(ip_address(address)) is None


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_what_python_calls_private_or_multicast_is_never_open(address: Any) -> None:
    if forbidden(address) is None:
        assert inner(address).is_global
        assert not inner(address).is_multicast


LISTED = [
    # allowed, host, port, the addresses of the host, whether it is open
    ("crm.internal", "crm.internal", 443, ["10.0.0.5"], True),
    ("crm.internal", "CRM.internal.", 443, ["10.0.0.5"], True),
    ("crm.internal", "a.crm.internal", 443, ["10.0.0.5"], False),
    ("crm.internal", "xcrm.internal", 443, ["10.0.0.5"], False),
    ("crm.internal", "crm.internal.attacker.example", 443, ["10.0.0.5"], False),
    ("*.internal", "crm.internal", 443, ["10.0.0.5"], True),
    ("*.internal", "a.b.internal", 443, ["fd00::5"], True),
    ("*.internal", "internal", 443, ["10.0.0.5"], False),
    ("*.internal", "xinternal", 443, ["10.0.0.5"], False),
    ("crm.internal:8443", "crm.internal", 8443, ["10.0.0.5"], True),
    ("crm.internal:8443", "crm.internal", 443, ["10.0.0.5"], False),
    ("10.0.0.0/8", "crm.internal", 443, ["10.0.0.5"], True),
    ("10.0.0.0/8", "10.9.9.9", 443, ["10.9.9.9"], True),
    ("10.0.0.0/8", "crm.internal", 443, ["10.0.0.5", "127.0.0.1"], False),
    ("10.0.0.0/8", "crm.internal", 443, ["::ffff:10.0.0.5"], True),
    ("[fd00::1]:80", "crm.internal", 80, ["fd00::1"], True),
    ("[fd00::1]:80", "crm.internal", 81, ["fd00::1"], False),
    ("fd00::/8, 10.0.0.1", "crm.internal", 81, ["fd00::1", "10.0.0.1"], True),
    ("crm.internal", "crm.internal", 80, ["169.254.169.254"], False),  # no name opens the metadata
    ("crm.internal", "crm.internal", 80, ["fd00:ec2::254"], False),
    ("169.254.169.254", "crm.internal", 80, ["169.254.169.254"], True),  # its address does
]


@pytest.mark.parametrize(("allowed", "host", "port", "found", "open_"), LISTED)
@pytest.mark.parametrize("mode", ["public", "listed"])
def test_what_is_listed_is_open_and_nothing_beside_it(
    allowed: str, host: str, port: int, found: list[str], open_: bool, mode: str
) -> None:
    rules = Egress.of({"FLOWLANG_EGRESS_ALLOW": allowed, "FLOWLANG_EGRESS": mode}.get)
    with nullcontext() if open_ else pytest.raises(Permanent) as refused:
        rules.addresses(rules.host(host, port), port, [ip_address(text) for text in found])
    assert refused is None or refused.value.code == "egress_refused"


@pytest.mark.parametrize(
    ("host", "open_"), [("api.example.com", True), ("www.example.com", False), ("example.com", False)]
)
def test_in_listed_mode_public_addresses_are_closed_too(host: str, open_: bool) -> None:
    rules = Egress.of({"FLOWLANG_EGRESS_ALLOW": "api.example.com", "FLOWLANG_EGRESS": "listed"}.get)
    if open_:
        rules.addresses(rules.host(host, 443), 443, [ip_address("93.184.215.14")])
    else:
        with pytest.raises(Permanent, match="FLOWLANG_EGRESS_ALLOW lists") as refused:
            rules.host(host, 443)
        assert refused.value.code == "egress_refused"


@pytest.mark.parametrize(("port", "host", "open_"), [
    (443, "a.example.com", True), (80, "a.example.com", False), (8050, "a.example.com", True), (8100, "a.example.com", False),
    (8500, "crm.internal", True), (8501, "crm.internal", False), (22, "a.example.com", False),
])  # fmt: skip
def test_ports_that_are_not_listed_are_closed_unless_an_entry_opens_one(port: int, host: str, open_: bool) -> None:
    rules = Egress.of({"FLOWLANG_EGRESS_PORTS": "443, 8000-8099", "FLOWLANG_EGRESS_ALLOW": "crm.internal:8500"}.get)
    if open_:
        rules.host(host, port)
    else:
        with pytest.raises(Permanent, match="FLOWLANG_EGRESS_PORTS"):
            rules.host(host, port)


@pytest.mark.parametrize("settings", [
    {"FLOWLANG_EGRESS": "open"}, {"FLOWLANG_EGRESS_ALLOW": "http://crm.internal"}, {"FLOWLANG_EGRESS_ALLOW": "10.0.0.0/33"},
    {"FLOWLANG_EGRESS_ALLOW": "crm.internal:0"}, {"FLOWLANG_EGRESS_ALLOW": "a*.internal"}, {"FLOWLANG_EGRESS_ALLOW": "0x7f.1"},
    {"FLOWLANG_EGRESS_ALLOW": "[::1"}, {"FLOWLANG_EGRESS_ALLOW": "*"}, {"FLOWLANG_EGRESS_PORTS": "0"}, {"FLOWLANG_EGRESS_PORTS": "90-80"},
    {"FLOWLANG_EGRESS_PORTS": "http"},
])  # fmt: skip
def test_settings_that_say_nothing_certain_open_nothing(settings: dict[str, str]) -> None:
    with pytest.raises(Permanent) as wrong:
        Egress.of(settings.get)
    assert wrong.value.code == "setting.wrong"
    assert next(iter(settings)) in wrong.value.message


def test_the_machine_s_proxies_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: Say()) as proxy, serving(lambda _: Say(body=b"direct")) as service:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        ask(service.url(), Egress.of({"FLOWLANG_EGRESS_ALLOW": f"127.0.0.1:{service.port}"}.get))
        assert (proxy.accepted, service.accepted) == (0, 1)
