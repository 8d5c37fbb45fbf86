"""Rates over real sockets: of addresses, keys and webhooks, and what is said to those who send too much."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import httpx
import msgspec
import pytest

from flowlang.engine.ports import Spent
from flowlang.errors import StoreUnavailableError
from flowlang.rates import parse_rate
from flowlang.server.app import create_app
from flowlang.server.limits import Limits, Rates
from flowlang.server.run import HttpServer
from flowlang.server.signatures import SCHEMES
from flowlang.service.rates import Budgets
from tests.access import bearer, developing, made
from tests.unit.service.world import PLANS, World

SECRETS = {"STRIPE_SECRET": "whsec_test", "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
EVENT = {"name": "shop/other"}


class Site:
    """A served project behind a proxy on this machine; its time stands still."""

    def __init__(self, **rates: str) -> None:
        self.world = World()
        self.asked = 0
        self.is_away = False
        budgets = Budgets(self._spend, now_ms=lambda: float(self.world.clock.now_ms()))
        bounds = Rates(**{kind: parse_rate(text) for kind, text in rates.items()})
        self.server = HttpServer(
            create_app(
                self.world.service,
                secrets=SECRETS,
                keys=developing(self.world.store),
                clock=self.world.clock,
                limits=Limits(budgets, bounds, [ip_network("127.0.0.1")]),
            ),
            port=0,
        )
        self.server.start()
        self.http = httpx.Client(base_url=self.server.url, trust_env=False)

    def _spend(self, name: str, **asked: int) -> Spent:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailableError("gone")
        return self.world.store.spend(name, **asked)

    def sent(self, body: Any = EVENT, client: str = "192.0.2.1", **headers: str) -> httpx.Response:
        headers = {"x-forwarded-for": client, **bearer(), **headers}
        return self.http.post("/events", json=body, headers=headers)

    def stripe(self, body: bytes, key: str = "whsec_test") -> httpx.Response:
        scheme = SCHEMES["stripe"]
        headers = scheme.sign(body, scheme.load_secret(key), self.world.clock.now_ms() // 1000, "")
        return self.http.post("/hooks/stripe", content=body, headers=headers | {"content-type": "application/json"})

    def close(self) -> None:
        self.http.close()
        self.server.stop()


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    made_site = Site(**request.param)
    yield made_site
    made_site.close()


@pytest.mark.parametrize("site", [{"ip": "3/m"}], indirect=True)
def test_an_address_that_sends_too_much_is_told_when_to_come_back(site: Site) -> None:
    assert [site.sent().status_code for _ in range(3)] == [202] * 3
    refused = site.sent()
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
    assert refused.headers["retry-after"] == "20"
    assert refused.headers["ratelimit-policy"] == '"ip";q=3;w=60'
    assert refused.headers["ratelimit"] == '"ip";r=0;t=20'
    assert site.sent(client="192.0.2.2").status_code == 202
    assert site.sent(client="2001:db8::1").status_code == 202
    site.world.clock.advance(20_000)
    assert site.sent().status_code == 202


@pytest.mark.parametrize("site", [{"ip": "3/m"}], indirect=True)
def test_who_tries_keys_is_counted_before_a_key_is_looked_at(site: Site) -> None:
    statuses = [site.sent(authorization=f"Bearer flk_{n}").status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert site.http.get("/livez", headers={"x-forwarded-for": "192.0.2.1"}).status_code == 200


@pytest.mark.parametrize("site", [{"key": "4/m"}], indirect=True)
def test_a_key_is_counted_by_its_events_wherever_they_come_from(site: Site) -> None:
    key = made(site.world.store, "shop", send=("*",))
    other = made(site.world.store, "other", send=("*",))
    assert site.sent([EVENT] * 3, **bearer(key)).status_code == 202
    assert site.sent(client="192.0.2.9", **bearer(key)).status_code == 202
    refused = site.sent(**bearer(key))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
    assert site.sent(**bearer(other)).status_code == 202


@pytest.mark.parametrize("site", [{"key": "4/m"}], indirect=True)
def test_a_list_that_will_never_be_granted_is_told_so_and_nothing_of_it_is_stored(site: Site) -> None:
    refused = site.sent([EVENT] * 5)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.too-many")
    assert "send lists of at most 4" in refused.json()["detail"]
    assert "retry-after" not in refused.headers
    assert site.world.service.counters == {}


@pytest.mark.parametrize("site", [{"key": "1000/m"}], indirect=True)
def test_a_key_may_have_a_rate_of_its_own(site: Site) -> None:
    key = made(site.world.store, "slow", rate="1/h", send=("*",))
    assert [site.sent(**bearer(key)).status_code for _ in range(2)] == [202, 429]


@pytest.mark.parametrize("site", [{"source": "2/m"}], indirect=True)
def test_a_webhook_is_counted_by_what_is_signed_and_strangers_use_up_nothing(site: Site) -> None:
    body = b'{"id": "evt_%d", "type": "x", "data": {"object": {}}}'
    assert {site.stripe(body % n, key="whsec_other").status_code for n in range(5)} == {401}
    assert [site.stripe(body % n).status_code for n in range(3)] == [202, 202, 429]


@pytest.mark.parametrize("site", [{"source": "4/m"}], indirect=True)
def test_a_delivery_that_is_verified_again_after_a_deploy_is_counted_once(site: Site) -> None:
    body = b'{"id": "evt_%d", "type": "x", "data": {"object": {}}}'
    world, answers = site.world, []
    for number in range(5):
        plain = world.service.catalog.manifest
        (stripe,) = (each for each in plain.webhooks if each.name == "stripe")
        others = tuple(each for each in plain.webhooks if each.name != "stripe")
        changed = msgspec.structs.replace(stripe, dedupe_ms=stripe.dedupe_ms + 1)
        world.another().deploy(msgspec.structs.replace(plain, webhooks=(*others, changed)), PLANS)
        answers.append(site.stripe(body % number).status_code)
    assert answers == [202, 202, 202, 202, 429]


@pytest.mark.parametrize("site", [{"ip": "100000/s", "key": "100000/s"}], indirect=True)
def test_most_requests_cost_no_call_of_the_store_for_their_rates(site: Site) -> None:
    for _ in range(200):
        assert site.sent().status_code == 202
    assert site.asked <= 2 * 9  # of an address and a key, slices that double


@pytest.mark.parametrize("site", [{"ip": "3/m"}], indirect=True)
def test_without_a_store_that_answers_nobody_is_let_through(site: Site) -> None:
    site.is_away = True
    refused = site.sent()
    assert (refused.status_code, refused.json()["code"]) == (503, "store.unavailable")
    assert site.http.get("/livez").status_code == 200
