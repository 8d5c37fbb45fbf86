"""Every route by every method, with every kind of key, and the paths by which others were got around.

The table must have a row for each route that is served: a new one fails here until somebody has said who may use it.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from flowlang.server.app import App, create_app
from flowlang.server.gate import loopback_hosts
from flowlang.server.run import HttpServer
from flowlang.service import ApiKeys
from tests.access import DEV_TOKEN, bearer, developing, made
from tests.unit.service.test_service import finish
from tests.unit.service.world import ORDER, World, manifest, plan

SHOP = plan("shop")
GUARDED = plan("guarded", allow=("ops",))
PLANS = (SHOP, GUARDED)

#: Kinds of keys. What each grants is in `Site`.
KINDS = (
    "none", "garbled", "wrong", "expired", "revoked",
    "send", "send other", "call", "call other", "read", "read other", "control", "control other",
    "delete", "delete other", "reveal", "reveal other", "admin", "admin reveal", "dev",
)  # fmt: skip
NOBODY = dict.fromkeys(("none", "garbled", "wrong", "expired", "revoked"), 401)


def row(otherwise: int = 403, **statuses: int) -> dict[str, int]:
    """Statuses by kind of key; `send_other` is the kind `send other`."""
    given = {kind.replace("_", " "): status for kind, status in statuses.items()}
    return {kind: given.get(kind, NOBODY.get(kind, otherwise)) for kind in KINDS}


#: Keys that administer, with what they see left out.
ADMINS = ("admin", "admin_reveal", "dev")


def admins(status: int) -> dict[str, int]:
    """The same status for all who administer."""
    return dict.fromkeys(ADMINS, status)


def readers(status: int) -> dict[str, int]:
    """The same status for all who may look at the pipeline `shop`."""
    return dict.fromkeys(("read", "reveal", "reveal_other", *ADMINS), status)


#: What each route answers to each kind of key. `{run}` is a run of the pipeline `shop`.
TABLE: Mapping[str, dict[str, int]] = {
    "GET /livez": row(200) | dict.fromkeys(NOBODY, 200),
    "GET /readyz": row(200) | dict.fromkeys(NOBODY, 200),
    "POST /hooks/{name}": row(401),  # of the signature: a key is no help
    "GET /hooks/{name}": row(405) | dict.fromkeys(NOBODY, 405),  # of the sender, who signs no address
    "GET /key": row(200),
    "GET /openapi.json": row(200),
    "POST /events": row(send=202, **admins(202)),
    "POST /e/{key}": row(send=200, send_other=400, **admins(200)),  # SDKs expect this status
    "OPTIONS /events": row(send=200, send_other=200, **admins(200)),
    "OPTIONS /e/{key}": row(send=200, send_other=200, **admins(200)),
    "GET /events/{event}": row(read_other=404, **readers(200)),
    "POST /pipelines/{pipeline}/runs": row(call=202, **admins(202)),
    "GET /runs": row(read_other=200, **readers(200)),
    "GET /runs/{run}": row(read_other=404, **readers(200)),
    "GET /dead-letters": row(read_other=200, **readers(200)),
    "GET /dead-letters/{letter}": row(read_other=404, **readers(200)),
    "DELETE /runs/{run}": row(delete=409, **admins(409)),  # the same
    "POST /runs/{run}/replay": row(control=409, **admins(409)),  # it has not ended
    "POST /runs/{run}/cancel": row(control=202, **admins(202)),
}

#: The same of what is asked for besides.
ASKED: Mapping[str, dict[str, int]] = {
    "GET /runs/{run}?reveal=true": row(read_other=404, reveal=200, admin_reveal=200, dev=200),
    "GET /events/{event}?reveal=true": row(read_other=404, reveal=200, admin_reveal=200, dev=200),
    "GET /dead-letters/{letter}?reveal=true": row(read_other=404, reveal=200, admin_reveal=200, dev=200),
    "GET /runs/{run}?reveal=false": TABLE["GET /runs/{run}"],
}

#: Bodies by route, where it takes one.
ORDERED = {"name": "shop/order", "data": ORDER}
BODIES = {"POST /events": ORDERED, "POST /e/{key}": ORDERED, "POST /hooks/{name}": {}}

#: Headers by route, where there is no such route without them.
HEADERS: Mapping[str, dict[str, str]] = {
    name: {"webhook-request-origin": "events.example.com"} for name in ("OPTIONS /events", "OPTIONS /e/{key}")
}

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Site:
    """A served project with one key of each kind."""

    def __init__(self) -> None:
        self.world = World(deployed=False)
        self.world.service.deploy(manifest(*PLANS), PLANS)
        store = self.world.store
        self.keys = {
            "none": None,
            "garbled": "flk_no-key_of-ours",
            "wrong": "flk_0123456789ab_" + "0" * 64,
            "expired": made(store, "expired", admin=True),
            "revoked": made(store, "revoked", admin=True),
            "send": made(store, "send", send=("shop/*",)),
            "send other": made(store, "send-other", send=("other/*", "shop", "shop/order/*")),
            "call": made(store, "call", call=("shop",)),
            "call other": made(store, "call-other", call=("guarded",)),
            "read": made(store, "read", read=("shop",)),
            "read other": made(store, "read-other", read=("guarded",)),
            "control": made(store, "control", control=("shop",)),
            "control other": made(store, "control-other", control=("guarded",)),
            "delete": made(store, "delete", delete=("shop",)),
            "delete other": made(store, "delete-other", delete=("guarded",)),
            "reveal": made(store, "reveal", read=("*",), reveal=("shop",)),
            "reveal other": made(store, "reveal-other", read=("*",), reveal=("guarded",)),
            "admin": made(store, "admin", admin=True),
            "admin reveal": made(store, "admin-reveal", admin=True, reveal=("*",)),
            "dev": DEV_TOKEN,
        }
        ApiKeys(store).revoke("revoked")
        ApiKeys(store).rotate("expired", grace_ms=1)
        self.world.clock.advance(1)
        self.app: App = create_app(
            self.world.service,
            secrets={"STRIPE_SECRET": "whsec_test", "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
            keys=developing(store),
            hosts=loopback_hosts("127.0.0.1"),
            clock=self.world.clock,
        )
        self.world.service.call("shop", {})
        self.letter = finish(self.world, "failed")
        self.server = HttpServer(self.app, port=0)
        self.server.start()
        self.renew()

    def renew(self) -> None:
        """Have a run that nobody has cancelled yet."""
        self.run = self.world.service.call("shop", {}).id
        kept = self.world.store.run(self.run)
        assert kept is not None
        self.event = kept.row.event

    def path(self, template: str, kind: str = "none") -> str:
        """A path that leads to something of the pipeline `shop`, with a key where it has one."""
        key = self.keys[kind] or "nobody"
        return template.format(
            run=self.run, event=self.event, pipeline="shop", name="stripe", key=key, letter=self.letter
        )

    def ask(
        self, method: str, path: str, key: str | None = None, body: object = None, headers: Mapping[str, str] = {}
    ) -> Answered:
        """Send exactly this path, which no client has put right."""
        content = None if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", **(bearer(key) if key is not None else {}), **headers}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            told = {name.lower(): text for name, text in response.getheaders()}
            return Answered(response.status, response.read(), told)
        finally:
            connection.close()

    def close(self) -> None:
        self.server.stop()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


def test_the_table_has_a_row_for_each_route_and_no_other(site: Site) -> None:
    assert {route.name for route in site.app.routes.all} == set(TABLE)


def test_four_routes_are_public_and_no_other(site: Site) -> None:
    assert {route.name for route in site.app.routes.all if route.need == "public"} == {
        "GET /livez", "GET /readyz", "GET /hooks/{name}", "POST /hooks/{name}",
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted({**TABLE, **ASKED}))
def test_a_route_answers_a_key_as_the_table_says(site: Site, name: str, kind: str) -> None:
    site.renew()
    method, _, template = name.partition(" ")
    before = site.world.service.runs()
    answer = site.ask(method, site.path(template, kind), site.keys[kind], BODIES.get(name), HEADERS.get(name, {}))
    assert answer.status == {**TABLE, **ASKED}[name][kind], answer.body
    if answer.status == 405:
        assert answer.body == b""
    elif answer.status >= 400:
        assert json.loads(answer.body)["status"] == answer.status
        assert site.world.service.runs() == before
    if answer.status == 401 and "hooks" not in name:
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_method_that_is_not_in_the_table_is_405_without_a_body_whoever_asks(site: Site, name: str) -> None:
    path = name.partition(" ")[2]
    allowed = {other.partition(" ")[0] for other in TABLE if other.partition(" ")[2] == path and other not in HEADERS}
    for method in METHODS:
        if method in allowed:
            continue
        for kind in ("none", "wrong", "admin"):
            answer = site.ask(method, site.path(path), site.keys[kind])
            assert (method, answer.status, answer.body) == (method, 405, b"")
            assert answer.headers["allow"] == ", ".join(sorted(allowed))


def odd(path: str) -> dict[str, str]:
    """Spellings that a guard and a router were found to read differently, by what is odd."""
    head, _, tail = path.rpartition("/")
    return {
        "matrix": f"{path};x",
        "matrix value": f"{path};/livez",
        "matrix inside": f"{head};x/{tail}",
        "double slash": f"/{path}",
        "double slash inside": f"{head}//{tail}",
        "trailing slash": f"{path}/",
        "escaped slash": f"{head}%2F{tail}",
        "escaped slash, small": f"{head}%2f{tail}",
        "twice escaped": f"{head}%252F{tail}",
        "escaped letter": f"{head}/%{ord(tail[0]):02x}{tail[1:]}",
        "dot": f"{head}/./{tail}",
        "dots": f"/livez/..{path}",
        "escaped dots": f"/livez/%2e%2e{path}",
        "backslash": f"{head}\\{tail}",
        "public suffix": f"{path}/livez",
        "public suffix after a dot": f"{path}.livez",
        "public prefix": f"/livez{path}",
        "public prefix of hooks": f"/hooks{path}",
        "capitals": path.upper(),
        "null": f"{path}%00",
        "newline": f"{path}%0a",
        "tab": f"{path}%09",
        "unicode": f"{path}%c2%a0",
        "full stop": f"{path}.",
        "json suffix": f"{path}.json",
        "another site": f"http://localhost{path}",
    }


@pytest.mark.parametrize("name", sorted(TABLE))
def test_an_odd_spelling_of_a_path_leads_nowhere_for_anybody(site: Site, name: str) -> None:
    method, _, template = name.partition(" ")
    before = site.world.service.runs()
    for kind in ("none", "admin", "dev"):
        path = site.path(template, kind)
        for what, spelling in odd(path).items():
            if spelling == path:
                continue
            answer = site.ask(method, spelling, site.keys[kind], BODIES.get(name), HEADERS.get(name, {}))
            expected = {401, 404, 405} if kind == "none" else {404, 405}
            if what == "another site":  # as proxies are asked: its path is the path
                expected = {TABLE[name][kind]}
            elif not spelling.startswith("/"):
                expected = {400}  # it is no HTTP
            assert answer.status in expected, (what, kind, spelling, answer.body)
        if what != "another site":
            assert site.world.service.runs() == before
        before = site.world.service.runs()


def test_a_fragment_of_a_path_is_none_of_it(site: Site) -> None:
    assert site.ask("GET", "/runs#/livez").status in {401, 404}
    assert site.ask("GET", "/runs?/livez").status == 401
    assert site.ask("GET", "/runs?next=/livez", site.keys["none"]).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": DEV_TOKEN},
        {"authorization": f"Basic {DEV_TOKEN}"},
        {"authorization": f"Token {DEV_TOKEN}"},
        {"authorization": f"Bearer {DEV_TOKEN},Bearer {DEV_TOKEN}"},
        {"authorization": f"Bearer {DEV_TOKEN[:-1]}"},
        {"authorization": f"Bearer {DEV_TOKEN}0"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer \xff\xfe"},
        {"x-api-key": DEV_TOKEN},
        {"cookie": f"token={DEV_TOKEN}"},
        {"x-original-url": "/livez"},
        {"x-rewrite-url": "/livez"},
        {"x-forwarded-for": "127.0.0.1"},
        {"x-http-method-override": "GET"},
    ],
    ids=lambda headers: repr(headers).replace(DEV_TOKEN, "KEY"),
)
def test_a_key_is_taken_from_one_place_only(site: Site, headers: dict[str, str]) -> None:
    assert site.ask("GET", "/runs", headers=headers).status == 401
    assert site.ask("GET", f"/runs?key={DEV_TOKEN}&access_token={DEV_TOKEN}").status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_key_may_be_written_as_one_likes(site: Site, scheme: str) -> None:
    assert site.ask("GET", "/runs", headers={"authorization": f"{scheme} {DEV_TOKEN}"}).status == 200


def test_why_a_key_is_none_is_told_to_nobody(site: Site) -> None:
    answers = [site.ask("GET", "/runs", site.keys[kind]) for kind in ("garbled", "wrong", "expired", "revoked")]
    assert len({(answer.status, answer.body, answer.headers["www-authenticate"]) for answer in answers}) == 1


def test_a_key_tells_its_holder_what_it_grants(site: Site) -> None:
    assert json.loads(site.ask("GET", "/key", site.keys["read"]).body) == {
        "name": "read", "groups": [], "grants": {"read": ["shop"]},
    }  # fmt: skip


def test_the_key_of_who_develops_says_that_it_may_do_everything(site: Site) -> None:
    assert json.loads(site.ask("GET", "/key", DEV_TOKEN).body)["grants"] == {"admin": True, "reveal": ["*"]}


def test_nothing_of_a_body_is_read_before_the_key_is_checked(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=30)
    try:
        connection.putrequest("POST", "/events")
        connection.putheader("content-length", "1000000")
        connection.endheaders()  # and no byte of the body
        assert connection.getresponse().status == 401
    finally:
        connection.close()


def test_a_list_is_answered_event_by_event_by_what_the_key_grants(site: Site) -> None:
    order = {"name": "shop/order", "data": ORDER}
    answer = site.ask("POST", "/events", site.keys["send"], [order, {"name": "other/x"}, {"name": "pipeline/x"}])
    assert answer.status == 207
    first, *refused = json.loads(answer.body)["events"]
    assert first["status"] in {"accepted", "duplicate"}
    assert [each["status"] for each in refused] == ["refused", "refused"]
    assert "the key 'send' does not grant to send other/x" in refused[0]["message"]


@pytest.mark.parametrize("event", ["pipeline/shop.succeeded", "schedule/tick", "stripe/charge", "crm/x"])
@pytest.mark.parametrize("kind", ["send", "admin", "dev"])
def test_what_belongs_to_others_is_sent_with_no_key_at_all(site: Site, event: str, kind: str) -> None:
    answer = site.ask("POST", "/events", site.keys[kind], {"name": event})
    assert (answer.status, json.loads(answer.body)["code"]) == (403, "event.refused")


def test_no_key_uses_up_the_ids_of_another_one(site: Site) -> None:
    sent = {"name": "shop/order", "data": ORDER, "id": "order-1"}
    first = [json.loads(site.ask("POST", "/events", site.keys[kind], sent).body) for kind in ("send", "admin")]
    assert [each["status"] for each in first] == ["accepted", "accepted"]
    assert json.loads(site.ask("POST", "/events", site.keys["send"], sent).body)["status"] == "duplicate"


def test_a_list_of_runs_has_those_that_the_key_may_look_at(site: Site) -> None:
    site.world.clock.advance(1)
    site.world.service.call("guarded", {})
    every = json.loads(site.ask("GET", "/runs", site.keys["admin"]).body)["runs"]
    mine = json.loads(site.ask("GET", "/runs", site.keys["read"]).body)["runs"]
    assert {run["pipeline"] for run in every} >= {"shop", "guarded"}
    assert {run["pipeline"] for run in mine} == {"shop"}
    assert site.ask("GET", "/runs?pipeline=guarded", site.keys["read"]).status == 403


def test_a_list_of_dead_letters_has_those_that_the_key_may_look_at(site: Site) -> None:
    listed = {
        kind: json.loads(site.ask("GET", "/dead-letters", site.keys[kind]).body) for kind in ("read", "read other")
    }
    assert [letter["id"] for letter in listed["read"]["dead_letters"]] == [site.letter]
    assert listed["read other"] == {"dead_letters": [], "next": None}
    for query, where in (("limit=0", "limit"), ("pipeline=shop", "pipeline")):
        answer = site.ask("GET", f"/dead-letters?{query}", site.keys["read"])
        assert (answer.status, json.loads(answer.body)["errors"][0]["path"]) == (422, f"query.{where}")


def test_a_list_of_runs_names_its_next_page_by_a_link(site: Site) -> None:
    for _ in range(3):
        site.world.clock.advance(1)
        site.world.service.call("shop", {})
    seen: list[str] = []
    path = "/runs?limit=2&pipeline=shop"
    while path:
        answer = site.ask("GET", path, site.keys["read"])
        seen += [run["id"] for run in json.loads(answer.body)["runs"]]
        link = answer.headers.get("link", "")
        assert (link == "") == (json.loads(answer.body)["next"] is None)
        path = link.removesuffix('>; rel="next"').removeprefix("<")
    assert seen == [run.id for run in site.world.service.runs(pipeline="shop", limit=1_000)]


@pytest.mark.parametrize(
    ("query", "where"),
    [("limit=0", "query.limit"), ("limit=201", "query.limit"), ("limit=1_0", "query.limit"), ("limit=²", "query.limit"),
     ("status=gone", "query.status"), ("statuss=failed", "query.statuss")],
)  # fmt: skip
def test_a_parameter_that_does_not_fit_is_named(site: Site, query: str, where: str) -> None:
    answer = site.ask("GET", f"/runs?{query.replace('²', '%C2%B2')}", site.keys["read"])
    assert (answer.status, json.loads(answer.body)["errors"][0]["path"]) == (422, where)


@pytest.mark.parametrize("query", ["limit=1&limit=2", "pipeline=%ff", "&".join(f"a{n}=" for n in range(40))])
def test_a_query_that_can_be_read_in_two_ways_is_not_read(site: Site, query: str) -> None:
    assert site.ask("GET", f"/runs?{query}", site.keys["read"]).status == 422


def test_events_that_are_taken_together_are_each_judged_by_their_own_key(site: Site) -> None:
    expected = {("send", "shop/order"): 202, ("send", "other/x"): 403, ("send other", "shop/order"): 403, ("send other", "other/x"): 202}  # fmt: skip

    def sent(number: int) -> tuple[tuple[str, str], int]:
        kind, name = list(expected)[number % len(expected)]
        key = site.keys[kind]
        assert key is not None
        body = {"name": name, "data": ORDER}
        return (kind, name), client.post("/events", json=body, headers=bearer(key)).status_code

    with httpx.Client(base_url=site.server.url, trust_env=False) as client, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(sent, range(200)))
    assert len(answers) == 200
    assert [answer for answer in answers if expected[answer[0]] != answer[1]] == []
