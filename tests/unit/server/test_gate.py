"""Names that a server answers to, by where it listens."""

from __future__ import annotations

import pytest

from flowlang.clock import ManualClock
from flowlang.server.gate import Gate, loopback_hosts
from flowlang.server.limits import Limits, Rates
from flowlang.server.problems import HttpProblem
from flowlang.server.routes import Routes
from flowlang.service import KeyRing
from flowlang.service.rates import Budgets
from flowlang.store.memory import MemoryStore


def _gate(hosts: tuple[str, ...] | None) -> Gate:
    store = MemoryStore(ManualClock())
    return Gate(Routes(), KeyRing(store), hosts, Limits(Budgets(store.spend), Rates()))


@pytest.mark.parametrize(
    ("bound_to", "configured", "expected"),
    [
        ("127.0.0.1", (), ("localhost", "127.0.0.1", "::1")),
        ("::1", ("dev.test",), ("localhost", "127.0.0.1", "::1", "dev.test")),
        ("0.0.0.0", (), None),
        ("0.0.0.0", ("hooks.example",), ("hooks.example",)),
    ],
)
def test_loopback_answers_to_its_names_only(bound_to: str, configured: tuple[str, ...], expected: object) -> None:
    assert loopback_hosts(bound_to, configured) == expected


def test_without_names_any_host_is_taken_but_foreign_writes_are_not() -> None:
    gate = _gate(None)
    gate.check_names("POST", {"host": "anything.example"})
    gate.check_names("GET", {"host": "a.example", "origin": "http://b.example"})
    with pytest.raises(HttpProblem, match="origins"):
        gate.check_names("POST", {"host": "a.example", "origin": "http://b.example"})


@pytest.mark.parametrize("origin", ["eventgrid.azure.net", "Events.example.com", "a_b.example"])
def test_a_system_that_sends_says_its_name_where_a_page_says_its_own(origin: str) -> None:
    _gate(None).check_names("POST", {"host": "a.example", "origin": origin})


@pytest.mark.parametrize(
    "origin", ["null", "http://b.example", "https://b.example", "file://", "app://b.example", "b", "", "b.example:80", "b.example, c.example"]
)  # fmt: skip
def test_what_a_browser_may_say_of_a_page_names_no_system_that_sends(origin: str) -> None:
    with pytest.raises(HttpProblem, match="origins"):
        _gate(None).check_names("POST", {"host": "a.example", "origin": origin})


def test_a_request_without_a_host_is_not_ours() -> None:
    with pytest.raises(HttpProblem, match="that name"):
        _gate(("localhost",)).check_names("GET", {})
