"""The HTTP edge over real sockets: what is taken, what is refused and how it is said."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flowlang.engine.ports import Store
from flowlang.errors import ConfigError, NotDurableError, StoreUnavailableError
from flowlang.plan import WebhookSource
from flowlang.server import bodies
from flowlang.server.app import App, create_app
from flowlang.server.gate import loopback_hosts
from flowlang.server.run import HttpServer
from flowlang.server.signatures import SCHEMES
from flowlang.service import Service
from flowlang.store.codec import PlainSealer
from tests.access import audited, bearer, developing, made
from tests.unit.service.test_service import finish
from tests.unit.service.world import ORDER, PLANS, World, manifest, plan

SECRETS = {"STRIPE_SECRET": "whsec_test", "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
JSON = {"content-type": "application/json"}


class Site:
    """A served project."""

    def __init__(self, world: World, service: Service | None = None, **more: Any) -> None:
        self.world = world
        self.app: App = create_app(
            service or world.service,
            secrets=SECRETS,
            keys=developing(world.store),
            hosts=loopback_hosts("127.0.0.1"),
            clock=world.clock,
            **more,
        )
        self.server = HttpServer(self.app, port=0)
        self.server.start()
        self.http = httpx.Client(base_url=self.server.url, headers=bearer(), trust_env=False)

    def stripe(self, body: bytes, key: str = "whsec_test", age_s: int = 0) -> httpx.Response:
        scheme = SCHEMES["stripe"]
        now_s = self.world.clock.now_ms() // 1000 - age_s
        headers = scheme.sign(body, scheme.load_secret(key), now_s, "")
        return self.http.post("/hooks/stripe", content=body, headers=JSON | headers)

    def close(self) -> None:
        self.http.close()
        self.server.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site(World())
    yield served
    served.close()


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["status"], document["code"], document["type"]) == (status, code, f"urn:flowlang:problem:{code}")
    return document


def test_an_event_is_answered_after_it_is_stored_with_its_id_and_runs(site: Site) -> None:
    response = site.http.post("/events", json={"name": "shop/order", "data": ORDER, "id": "mine"})
    assert response.status_code == 202
    answer = response.json()
    assert answer["status"] == "accepted"
    kept = site.http.get(f"/events/{answer['event']}").json()
    assert kept["runs"] == [run["id"] for run in answer["runs"]]
    assert kept["ignored"][0]["why"] == "the condition is false"
    again = site.http.post("/events", json={"name": "shop/order", "data": ORDER, "id": "mine"})
    assert (again.status_code, again.json()) == (202, {"status": "duplicate", "event": answer["event"]})


def test_data_that_breaks_its_schema_is_refused_with_the_failing_paths(site: Site) -> None:
    response = site.http.post("/events", json={"name": "shop/order", "data": {"items": [{"sku": "a"}, {}]}})
    document = problem(response, 400, "data.invalid")
    assert document["errors"] == [
        {"path": "data.order_id", "message": "is required, and missing"},
        {"path": "data.items[1].sku", "message": "is required, and missing"},
    ]
    assert site.http.get("/runs").json()["runs"] == []


def test_a_list_is_answered_one_by_one(site: Site) -> None:
    good = {"name": "shop/order", "data": ORDER}
    mixed = site.http.post("/events", json=[good, {"name": "shop/order"}, {"nam": "x"}, {"name": "stripe/x"}, 7])
    assert mixed.status_code == 207
    assert [answer["status"] for answer in mixed.json()["events"]] == [
        "accepted", "invalid", "invalid", "refused", "invalid",
    ]  # fmt: skip
    assert site.http.post("/events", json=[good, good]).status_code == 202
    problem(site.http.post("/events", json=[]), 400, "data.invalid")


def test_events_of_a_list_may_each_have_as_many_keys_as_one_that_comes_alone(site: Site) -> None:
    def event(keys: int) -> dict[str, Any]:
        return {"name": "shop/other", "data": {str(number): 0 for number in range(keys)}}

    problem(site.http.post("/events", json=event(10_001)), 400, "body.not-json")
    mixed = site.http.post("/events", json=[event(9_000), event(9_000), event(10_001)])
    assert [answer["status"] for answer in mixed.json()["events"]] == ["accepted", "accepted", "invalid"]


def test_an_idempotency_key_stands_for_the_id_that_an_event_does_not_have(site: Site) -> None:
    def post(body: Any, key: str = "k1") -> httpx.Response:
        return site.http.post("/events", json=body, headers={"idempotency-key": key})

    event = {"name": "shop/order", "data": ORDER}
    assert [post(event).json()["status"] for _ in range(2)] == ["accepted", "duplicate"]
    assert post(event, "k2").json()["status"] == "accepted"
    assert post(event | {"id": "mine"}).json()["status"] == "accepted"
    document = problem(post({"name": "shop/order", "data": ORDER | {"total": 4}}), 422, "idempotency.reused")
    assert "take a new key" in document["detail"]
    problem(post({"name": "shop/other"}), 422, "idempotency.reused")
    several = [event, event, event | {"id": "mine"}]
    assert [answer["status"] for answer in post(several, "k3").json()["events"]] == ["accepted"] * 2 + ["duplicate"]
    assert [answer["status"] for answer in post(several, "k3").json()["events"]] == ["duplicate"] * 3
    problem(post([event, {"name": "shop/other"}], "k3"), 422, "idempotency.reused")
    problem(post(event, "k" * 201), 400, "data.invalid")
    assert site.world.service.counters["events.accepted"] == 5


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"name": "a", "name": "b"}', JSON, 400, "body.not-json"),
        (b'{"name": "a", "data": NaN}', JSON, 400, "body.not-json"),
        (b"[" * 200 + b"]" * 200, JSON, 400, "body.not-json"),
        (b"", JSON, 400, "body.not-json"),
        (b'{"name": "a", "extra": 1}', JSON, 400, "data.invalid"),
        (b'{"name": 7}', JSON, 400, "data.invalid"),
        (b'{"name": "a", "id": ""}', JSON, 400, "data.invalid"),
        (b'{"name": "Not A Name"}', JSON, 403, "event.refused"),
        (b'{"name": "pipeline/place-order.succeeded"}', JSON, 403, "event.refused"),
        (b'{"name": "schedule/tick"}', JSON, 403, "event.refused"),
        (b'{"name": "a"}', {"content-type": "text/plain"}, 415, "body.type"),
        (b'{"name": "a"}', {}, 415, "body.type"),
        (b'{"name": "a"}', JSON | {"content-encoding": "gzip"}, 415, "body.encoding"),
        (json.dumps({"name": "a", "data": "x" * 600_000}).encode(), JSON, 413, "body.too-large"),
        (b" " * (4 * 1024 * 1024 + 1), JSON, 413, "body.too-large"),
    ],
)
def test_bodies_that_are_not_taken(site: Site, body: bytes, headers: dict[str, str], status: int, code: str) -> None:
    problem(site.http.post("/events", content=body, headers=headers), status, code)
    assert site.world.store.stats().runs == 0


def test_a_body_without_length_is_cut_off_at_the_limit(site: Site) -> None:
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(400):
            sent += 1
            yield b" " * 65_536

    try:
        problem(site.http.post("/events", content=chunks(), headers=JSON), 413, "body.too-large")
    except httpx.WriteError:  # the server had hung up before all was sent: the same refusal, seen earlier
        assert sent < 400


def test_a_body_that_breaks_off_is_not_taken(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.server.port)) as raw:
        raw.sendall(
            b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n"
            + f"authorization: {bearer()['authorization']}\r\n\r\n".encode()
            + b'{"name": "a"}'
        )
    assert site.http.post("/events", json={"name": "shop/other"}).status_code == 202
    assert site.world.service.counters == {"events.accepted": 1}


def test_a_body_that_dribbles_is_sent_away_and_holds_nobody_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies.read_body, "__defaults__", (bodies.BODY_BYTES, 0.3))
    key = f"authorization: {bearer()['authorization']}\r\n".encode()
    head = (
        b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n" + key
    )
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", site.server.port))) for _ in range(50)]
        for raw in slow:
            raw.sendall(head + b'\r\n{"name": "a"')
        assert site.http.post("/events", json={"name": "shop/other"}).status_code == 202
        for raw in slow:
            raw.settimeout(30)
            with raw.makefile("rb") as answer:
                assert b" 408 " in answer.readline()
                assert b'"code":"body.timeout"' in answer.read()  # the server hangs up
    assert site.world.service.counters == {"events.accepted": 1}


def test_a_signed_webhook_becomes_a_run_and_again_the_same_event(site: Site) -> None:
    body = b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": {"amount": 5}}}'
    first = site.stripe(body)
    assert (first.status_code, first.json()["status"]) == (202, "accepted")
    assert site.stripe(body).json() == {"status": "duplicate", "event": first.json()["event"]}
    (run,) = site.http.get("/runs", params={"pipeline": "paid"}).json()["runs"]
    assert site.http.get(f"/runs/{run['id']}").json()["event"]["data"] == {"amount": 5}


def test_standard_webhooks_are_deduplicated_by_their_id(site: Site) -> None:
    scheme = SCHEMES["standard-webhooks"]
    now_s = site.world.clock.now_ms() // 1000
    headers = scheme.sign(b'{"kind": "x"}', scheme.load_secret(SECRETS["CRM_SECRET"]), now_s, "msg_1")
    statuses = [
        site.http.post("/hooks/crm", content=b'{"kind": "x"}', headers=JSON | headers).json()["status"]
        for _ in range(2)
    ]
    assert statuses == ["accepted", "duplicate"]


def test_a_wrong_signature_is_401_without_detail_counted_and_recorded_without_the_body(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"id": "evt_1", "type": "x", "card": "4242424242424242"}'
    with caplog.at_level(logging.WARNING, "flowlang"):
        wrong = [
            site.stripe(body, key="whsec_other"),
            site.stripe(body, age_s=301),
            site.http.post("/hooks/stripe", content=body, headers=JSON),
        ]
    for response in wrong:
        assert "detail" not in problem(response, 401, "signature.refused")
    assert site.world.service.counters == {"webhooks.unverified": 3}
    assert [record.getMessage() for record in caplog.records] == [
        "webhook refused: name='stripe' reason=no signature matches",
        "webhook refused: name='stripe' reason=the signature is too old",
        "webhook refused: name='stripe' reason=there is no signature",
    ]
    assert site.world.store.stats().runs == 0


def test_a_signed_body_that_is_no_json_is_400_and_one_that_does_not_fit_is_kept(site: Site) -> None:
    problem(site.stripe(b"{"), 400, "body.not-json")
    dead = site.stripe(b'{"id": "e", "type": "invoice.paid", "data": {"object": {}}}')
    assert (dead.status_code, dead.json()["status"]) == (202, "dead_letter")
    assert [letter.name for letter in site.world.service.dead_letters()] == ["stripe/invoice.paid"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/hooks/nobody", 404, "not-found"),
        ("POST", "/hooks/", 404, "not-found"),
        ("POST", "/hooks/stripe/", 404, "not-found"),
        ("POST", "/hooks/stripe;x", 404, "not-found"),
        ("POST", "/hooks//stripe", 404, "not-found"),
        ("POST", "/hooks/stripe%2Fx", 404, "not-found"),
        ("POST", "/hooks", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/events/", 404, "not-found"),
        ("GET", "/runs/r00-none", 404, "not-found"),
        ("GET", "/runs/..%2F..%2Fetc", 404, "not-found"),
        ("GET", "/events/e00-none", 404, "not-found"),
        ("POST", "/runs/r00-none/cancel", 404, "not-found"),
        ("POST", "/runs/r00-none/replay", 404, "not-found"),
        ("GET", "/runs?limit=0", 422, "parameters"),
        ("GET", "/runs?limit=x", 422, "parameters"),
        ("GET", "/docs", 404, "not-found"),
    ],
)
def test_whatever_is_not_there_is_a_problem_document(
    site: Site, method: str, path: str, status: int, code: str
) -> None:
    problem(site.http.request(method, path, headers=JSON), status, code)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/hooks/stripe", "POST"),
        ("PUT", "/hooks/stripe", "GET, POST"),  # some senders call by GET; which, nobody is told who guesses
        ("DELETE", "/events", "POST"),
        ("OPTIONS", "/runs", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_answered_without_a_word(
    site: Site, method: str, path: str, allowed: str
) -> None:
    response = site.http.request(method, path)
    assert (response.status_code, response.content, response.headers["allow"]) == (405, b"", allowed)


def test_a_webhook_is_bounded_by_the_projects_limit() -> None:
    site = Site(World(limits={"webhook_body": 100}))
    try:
        problem(site.stripe(b" " * 101), 413, "body.too-large")
        problem(site.stripe(b" " * 100), 400, "body.not-json")
    finally:
        site.close()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (WebhookSource("hook", "stripe", ("MISSING",), event="hook/x"), "the secret MISSING is not set"),
        (WebhookSource("hook", "stripe", (), event="hook/x"), "it has no secret"),
        (WebhookSource("hook", "nobody", ("STRIPE_SECRET",), event="hook/x"), "'nobody' is not one of"),
    ],
)
def test_a_webhook_whose_secret_is_unusable_takes_nothing_and_is_reported(source: WebhookSource, said: str) -> None:
    world = World(deployed=False)
    plain = manifest(*PLANS)
    world.service.deploy(type(plain)(plain.project, plain.pipelines, webhooks=(source,)), PLANS)
    site = Site(world)
    try:
        document = problem(site.http.post("/hooks/hook", content=b"{}", headers=JSON), 503, "not-configured")
        assert "MISSING" not in document["detail"]
        (sentence,) = site.app.hooks.check(world.service.catalog)
        assert sentence.startswith("webhook hook: ")
        assert said in sentence
    finally:
        site.close()


def test_what_nobody_signed_is_taken_only_where_that_is_written() -> None:
    world = World(deployed=False)
    plain = manifest(*PLANS)
    source = WebhookSource("open", "unsigned", event="open/x")
    world.service.deploy(type(plain)(plain.project, plain.pipelines, webhooks=(source,)), PLANS)
    site = Site(world)
    try:
        assert site.http.post("/hooks/open", content=b"{}", headers=JSON).json()["status"] == "accepted"
    finally:
        site.close()


def test_a_pipeline_is_started_by_name_and_its_run_has_an_address(site: Site) -> None:
    response = site.http.post("/pipelines/by-hand/runs", json={"data": {"name": "x"}}, headers={"idempotency-key": "k"})
    assert response.status_code == 202
    run = response.json()
    assert run["new"] is True
    assert response.headers["location"] == f"/runs/{run['id']}"
    shown = site.http.get(response.headers["location"]).json()
    assert (shown["run"]["pipeline"], shown["event"]["data"]) == ("by-hand", {"name": "x"})
    again = site.http.post("/pipelines/by-hand/runs", json={"data": {"name": "x"}}, headers={"idempotency-key": "k"})
    assert again.json() == {"id": run["id"], "new": False}


def test_a_call_without_a_body_has_no_data_and_a_wrong_one_says_so(site: Site) -> None:
    assert site.http.post("/pipelines/report/runs").status_code == 202
    document = problem(site.http.post("/pipelines/by-hand/runs"), 400, "data.invalid")
    assert document["errors"] == [{"path": "data.name", "message": "is required, and missing"}]
    problem(site.http.post("/pipelines/by-hand/runs", json={"dat": {}}), 400, "data.invalid")
    problem(site.http.post("/pipelines/nobody/runs"), 404, "not-found")


def test_a_pipeline_is_called_and_its_runs_are_cancelled_by_keys_and_groups_that_it_names() -> None:
    guarded = plan("guarded", allow=("ops",))
    world = World(deployed=False)
    world.service.deploy(manifest(guarded), (guarded,))
    run = world.service.call("guarded", {})
    site = Site(world)
    web = made(world.store, "web", call=("*",), read=("*",), control=("*",), delete=("*",))
    ops = made(world.store, "nightly", groups=("ops",), call=("*",), control=("*",))
    try:
        paths = ("/pipelines/guarded/runs", f"/runs/{run.id}/cancel", f"/runs/{run.id}/replay")
        asked = [("POST", path) for path in paths] + [("DELETE", f"/runs/{run.id}")]
        for method, path in asked:
            document = problem(site.http.request(method, path, headers=bearer(web)), 403, "pipeline.not-allowed")
            assert "names ops; the key 'web' is none of them" in document["detail"]
        assert site.http.get(f"/runs/{run.id}", headers=bearer(web)).status_code == 200
        assert len(world.service.runs()) == 1
        assert site.http.post("/pipelines/guarded/runs", headers=bearer(ops)).status_code == 202
        assert site.http.post(f"/runs/{run.id}/cancel", headers=bearer(ops)).status_code == 202
    finally:
        site.close()


def test_runs_are_listed_by_pages_and_filters(site: Site) -> None:
    made = []
    for number in range(5):
        site.world.clock.advance(1)
        data = ORDER | {"order_id": f"o{number}"}
        made.append(site.http.post("/events", json={"name": "shop/order", "data": data}).json()["runs"][0]["id"])
    seen: list[str] = []
    page: dict[str, Any] = {"next": None}
    for _ in range(3):
        params = {"limit": "2"} | ({"before": page["next"]} if page["next"] else {})
        page = site.http.get("/runs", params=params).json()
        seen += [run["id"] for run in page["runs"]]
    assert seen == made[::-1]
    assert page["next"] is None
    assert site.http.get("/runs", params={"status": "failed"}).json()["runs"] == []


def test_an_ended_run_is_replayed_once_for_each_key(site: Site) -> None:
    run = site.http.post("/events", json={"name": "shop/order", "data": ORDER}).json()["runs"][0]["id"]
    path = f"/runs/{run}/replay"
    assert "has not ended" in problem(site.http.post(path), 409, "replay.refused")["detail"]
    finish(site.world, "succeeded")
    assert "it has total" in problem(site.http.post(path, json={"from": "ship"}), 400, "replay.start")["detail"]
    problem(site.http.post(path, json={"form": "total"}), 400, "data.invalid")
    looked = site.http.post(path, json={"from": "total", "dry_run": True})
    assert (looked.status_code, looked.json()["of"], "run" in looked.json()) == (200, run, False)
    first, again = (site.http.post(path, headers={"idempotency-key": "k"}) for _ in range(2))
    assert (first.status_code, first.json()["run"]["new"], again.json()["run"]["new"]) == (202, True, False)
    assert first.headers["location"] == f"/runs/{first.json()['run']['id']}"
    assert site.http.get(first.headers["location"]).json()["run"]["replay_of"] == run


def test_a_run_is_cancelled(site: Site) -> None:
    run = site.http.post("/pipelines/report/runs").json()["id"]
    response = site.http.post(f"/runs/{run}/cancel")
    assert (response.status_code, response.headers["location"]) == (202, f"/runs/{run}")


def test_an_ended_run_is_deleted_and_who_did_it_is_recorded(site: Site) -> None:
    run = site.http.post("/events", json={"name": "shop/order", "data": ORDER}).json()["runs"][0]["id"]
    event = site.world.service.run(run).run.event
    with audited() as trail:
        kept = problem(site.http.delete(f"/runs/{run}"), 409, "run.kept")
        assert kept["detail"] == f"run {run} has not ended: cancel it first"
        finish(site.world, "failed")
        assert len(site.world.service.dead_letters()) == 1
        gone = site.http.delete(f"/runs/{run}")
        assert (gone.status_code, gone.content, gone.headers.get("content-length")) == (204, b"", None)
        problem(site.http.delete(f"/runs/{run}"), 404, "not-found")
        assert trail == [{"audit": "delete", "key": "dev", "run": run}]
    for path in (f"/runs/{run}", f"/events/{event}"):
        problem(site.http.get(path), 404, "not-found")
    assert site.world.service.dead_letters() == []
    assert site.http.get("/runs").json()["runs"] == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"host": "localhost:1"}, 202, ""),
        ({"host": "LOCALHOST"}, 202, ""),
        ({"host": "[::1]:8700"}, 202, ""),
        ({"host": "127.0.0.1"}, 202, ""),
        ({"host": "evil.example"}, 421, "host.unknown"),
        ({"host": "localhost.evil.example"}, 421, "host.unknown"),
        ({"host": "evil.example@localhost.x"}, 421, "host.unknown"),
        ({"host": "[::1"}, 421, "host.unknown"),
        ({"host": "localhost", "origin": "http://evil.example"}, 403, "origin.refused"),
        ({"host": "localhost", "origin": "null"}, 403, "origin.refused"),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, 403, "origin.refused"),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, 202, ""),
    ],
)
def test_only_our_own_names_and_origins_are_served(site: Site, headers: dict[str, str], status: int, code: str) -> None:
    response = site.http.post("/pipelines/report/runs", headers=headers)
    if code:
        problem(response, status, code)
    else:
        assert response.status_code == status, response.text


def test_probes_tell_life_readiness_and_draining(site: Site) -> None:
    assert site.http.get("/livez").json() == {"status": "ok"}
    assert site.http.get("/readyz").json() == {"status": "ready", "epoch": 1}
    site.app.drain()
    problem(site.http.get("/readyz"), 503, "draining")
    assert site.http.get("/livez").status_code == 200
    assert site.http.post("/pipelines/report/runs").status_code == 202


def test_before_the_first_deploy_nothing_is_ready_and_senders_are_asked_to_come_back() -> None:
    site = Site(World(deployed=False))
    try:
        for response in (
            site.http.get("/readyz"),
            site.http.post("/events", json={"name": "a"}),
            site.http.post("/hooks/stripe", content=b"{}", headers=JSON),
        ):
            problem(response, 503, "not-deployed")
            assert response.headers["retry-after"] == "5"
    finally:
        site.close()


class Away:
    """A store whose connection is down."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.down = False

    def __getattr__(self, name: str) -> Any:
        if self.down:
            raise StoreUnavailableError("connection refused by 10.0.0.1")
        return getattr(self._store, name)


def test_while_the_store_is_away_senders_get_503_and_nothing_is_lost_afterwards() -> None:
    world = World()
    away = Away(world.store)
    store: Any = away
    site = Site(world, Service(store, PlainSealer(), pause=lambda _: None))
    body = b'{"id": "evt_1", "type": "x", "data": {"object": {}}}'
    try:
        assert site.http.get("/readyz").status_code == 200
        away.down = True
        for response in (site.stripe(body), site.http.get("/readyz"), site.http.post("/events", json={"name": "a"})):
            document = problem(response, 503, "store.unavailable")
            assert "10.0.0.1" not in document["detail"]
            assert response.headers["retry-after"] == "1"
        away.down = False
        assert site.stripe(body).json()["status"] == "accepted"
    finally:
        site.close()


def test_what_is_not_known_to_be_safe_is_503_and_can_be_sent_again() -> None:
    class Unsure(Away):
        def secure(self, _: str) -> None:
            raise NotDurableError("no answer from 10.0.0.1")

    world = World(durable="fsync")
    store: Any = Unsure(world.store)
    site = Site(world, Service(store, PlainSealer(), pause=lambda _: None))
    try:
        for response in (
            site.stripe(b'{"id": "evt_1", "type": "x", "data": {"object": {}}}'),
            site.http.post("/events", json={"name": "a"}),
            site.http.post("/pipelines/report/runs"),
        ):
            document = problem(response, 503, "store.not-durable")
            assert document["detail"] == "it is not known to be safe yet; send the same request again"
            assert response.headers["retry-after"] == "1"
    finally:
        site.close()


def test_a_fault_of_ours_tells_a_stranger_nothing() -> None:
    world = World()

    class Broken(Away):
        def __getattr__(self, name: str) -> Any:
            if self.down:
                raise ZeroDivisionError("secret detail")
            return super().__getattr__(name)

    broken = Broken(world.store)
    store: Any = broken
    site = Site(world, Service(store, PlainSealer(), pause=lambda _: None))
    try:
        assert site.http.get("/readyz").status_code == 200
        broken.down = True
        for response in (site.http.get("/readyz"), site.stripe(b'{"id": "e", "type": "x", "data": {"object": 1}}')):
            assert "secret detail" not in response.text
            assert "detail" not in problem(response, 500, "internal")
    finally:
        site.close()


def test_a_port_in_use_is_said_so(site: Site) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{site.server.port}"):
        HttpServer(site.app, port=site.server.port)


def test_a_server_that_stops_ends_the_request_under_way() -> None:
    site = Site(World())
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port)
    try:
        connection.putrequest("POST", "/events")
        connection.putheader("content-type", "application/json")
        connection.putheader("authorization", bearer()["authorization"])
        connection.putheader("content-length", "14")
        connection.endheaders()
        connection.send(b'{"name":')
        assert site.http.get("/livez").status_code == 200
        site.server._server.leave()
        connection.send(b'"a/b"}')
        response = connection.getresponse()
        assert response.status == 202
        response.read()
    finally:
        connection.close()
        site.close()


def test_answers_are_never_cached_or_taken_for_pages(site: Site) -> None:
    for response in (site.http.get("/livez"), site.http.get("/nothing"), site.http.post("/hooks/nobody")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "server" not in response.headers
