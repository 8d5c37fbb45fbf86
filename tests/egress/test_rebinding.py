"""DNS that gives one answer to who checks and another to who connects: there is no second answer to give.

The stand-in answers each question about a name with the next of its answers, as a server with a TTL of 0 may.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import httpcore
import httpx
import pytest

from flowlang import Context, Permanent
from flowlang.handler.classify import classify
from flowlang.integrations import client, http
from flowlang.integrations.outbound.addresses import forbidden, read_address
from flowlang.integrations.outbound.client import Outbound
from flowlang.integrations.outbound.egress import Egress
from flowlang.integrations.outbound.network import system_resolve
from tests.egress.services import Say, serving
from tests.egress.watch import connections

NAME = "rebind.attacker.example"
OPEN = "127.0.0.2"  #: an address of this machine that the tests declare to be as good as public
CLOSED = "127.0.0.1"
RULES = Egress.of({"FLOWLANG_EGRESS_ALLOW": f"{OPEN}/32"}.get)


class Rebinding:
    """DNS with an answer for each question; the last one repeats."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def next(self, name: str) -> list[str]:
        self.asked.append(name)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        return self.next(host)

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of the system's own `getaddrinfo` for the attacker's name."""
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in {NAME, NAME.encode()}:
                return real(host, port, *args, **kwargs)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.next(NAME)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def ask(port: int, rules: Egress = RULES, resolve: Any = system_resolve, times: int = 1, **more: Any) -> list[str]:
    """Ask the attacker's name so many times, each over a connection of its own; the outcomes."""

    async def run() -> list[str]:
        outcomes = []
        for _ in range(times):
            outbound = Outbound(rules, resolve=resolve)
            ctx = Context.for_test(resources={client.outbound: outbound})
            try:
                answer = await http.request(f"http://{NAME}:{port}/", ctx, **more)
                outcomes.append(answer.text or "")
            except Exception as error:  # noqa: BLE001 - the outcome is what is asked for
                outcomes.append(classify(error, now=ctx.deadline).code)
            finally:
                await outbound.close()
        return outcomes

    return asyncio.run(run())


@pytest.fixture
def two() -> Any:
    """One port of two addresses: the open one, and the one that nobody may reach."""
    text = {"content-type": "text/plain"}
    with serving(lambda _: Say(headers=text, body=b"open"), OPEN) as open_:
        try:
            with serving(lambda _: Say(headers=text, body=b"secret"), CLOSED, open_.port) as closed:
                yield open_, closed
        except OSError:  # pragma: no cover - somebody else has the port
            pytest.skip("the port is taken on the other address")


@pytest.mark.parametrize("way", ["resolver", "getaddrinfo"])
def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    two: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_, closed = two
    dns = Rebinding([OPEN], [CLOSED])
    if way == "getaddrinfo":
        dns.patch(monkeypatch)
    with connections() as seen:
        outcomes = ask(open_.port, resolve=dns.resolve if way == "resolver" else system_resolve)
    assert outcomes == ["open"]
    assert dns.asked == [NAME]  # once: what is asked a second time may be answered in another way
    assert [address[0] for address in seen] == [OPEN]
    assert closed.accepted == 0


@pytest.mark.parametrize("way", ["resolver", "getaddrinfo"])
def test_the_next_connection_is_checked_anew(two: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_, closed = two
    dns = Rebinding([OPEN], [CLOSED])
    if way == "getaddrinfo":
        dns.patch(monkeypatch)
    outcomes = ask(open_.port, resolve=dns.resolve if way == "resolver" else system_resolve, times=2)
    assert outcomes == ["open", "egress_refused"]
    assert closed.accepted == 0


@pytest.mark.parametrize(
    "answer", [[OPEN, CLOSED], [CLOSED, OPEN], [OPEN, OPEN, "10.0.0.1"], [OPEN, "::1"], [OPEN, "0.0.0.0"]]
)
@pytest.mark.parametrize("way", ["resolver", "getaddrinfo"])
def test_one_closed_address_among_the_answers_closes_the_name(
    two: Any, answer: list[str], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_, closed = two
    dns = Rebinding(answer)
    if way == "getaddrinfo":
        dns.patch(monkeypatch)
    with connections() as seen:
        outcomes = ask(open_.port, resolve=dns.resolve if way == "resolver" else system_resolve)
    assert outcomes == ["egress_refused"]
    assert seen == []
    assert (open_.accepted, closed.accepted) == (0, 0)


def test_a_redirect_to_the_same_name_is_checked_like_any_other(two: Any) -> None:
    open_, closed = two

    def send_on(_: Any) -> Say:
        return Say(302, {"location": f"http://{NAME}:{open_.port}/", "connection": "close"})

    with serving(send_on, OPEN) as hop:
        dns = Rebinding([OPEN], [CLOSED])
        with connections() as seen:
            outcomes = ask(hop.port, resolve=dns.resolve, follow=3)
    assert outcomes == ["egress_refused"]
    assert [address[:2] for address in seen] == [(OPEN, hop.port)]
    assert closed.accepted == 0


def test_cve_2026_25052_a_client_that_looks_twice_is_caught_by_the_same_stand_in(
    two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_, closed = two
    Rebinding([OPEN], [CLOSED]).patch(monkeypatch)
    found = socket.getaddrinfo(NAME, open_.port)
    for info in found:  # checked now …
        address = read_address(str(info[4][0]))
        assert address is not None
        RULES.addresses(NAME, open_.port, [address])
    with httpx.Client(trust_env=False) as http_client:  # … and looked up again to connect
        assert http_client.get(f"http://{NAME}:{open_.port}/").text == "secret"
    assert closed.accepted == 1


def test_a_connection_that_is_with_somebody_else_is_closed_before_a_word_is_said() -> None:
    class Elsewhere(httpcore.AnyIOBackend):
        """A network that leads astray, as one with a transparent proxy does."""

        async def connect_tcp(self, host: str, *args: Any, **kwargs: Any) -> Any:
            return await super().connect_tcp(CLOSED, *args, **kwargs)

    with serving(lambda _: Say()) as service:

        async def run() -> None:
            outbound = Outbound(Egress(), resolve=Rebinding(["93.184.215.14"]).resolve, below=Elsewhere())
            try:
                await http.request(
                    f"http://{NAME}:{service.port}/", Context.for_test(resources={client.outbound: outbound})
                )
            finally:
                await outbound.close()

        with pytest.raises(Permanent) as refused:
            asyncio.run(run())
        assert refused.value.code == "egress_refused"
        assert service.seen == []


def test_an_address_that_is_open_by_a_list_is_closed_without_it() -> None:
    assert forbidden(read_address(OPEN) or pytest.fail("no address")) == "this machine"
    dns = Rebinding([OPEN])
    assert ask(1, rules=Egress(), resolve=dns.resolve) == ["egress_refused"]
