from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks
import stripe

from tests.standin import Fault, Standin, keys, webhooks

ROOT = Path(__file__).parents[2]
ASSET = {"input": [{"url": "https://files.example.com/a.mp4"}], "playback_policy": ["public"]}


class Caller:
    """Calls a stand-in with the right keys."""

    def __init__(self, standin: Standin) -> None:
        self.standin = standin
        self.client = httpx.Client(base_url=standin.base_url, timeout=30)

    def mux(self, key: str = "", **changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        auth = (keys.MUX_TOKEN_ID, keys.MUX_TOKEN_SECRET)
        return self.client.post("/mux/video/v1/assets", json=ASSET | changes, headers=headers, auth=auth)

    def stripe(self, method: str, path: str, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {keys.STRIPE_API_KEY}"} | content.pop("headers", {})
        return self.client.request(method, f"/stripe/v1/{path}", headers=headers, **content)

    def academy(self, method: str, path: str, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {keys.ACADEMY_API_KEY}"}
        return self.client.request(method, f"/academy/api/{path}", headers=headers, **content)


@pytest.fixture
def caller() -> Iterator[Caller]:
    with Standin() as standin:
        caller = Caller(standin)
        with caller.client:
            yield caller


# ---- idempotency keys


def test_the_same_key_and_body_gets_the_same_answer_and_does_the_work_once(caller: Caller) -> None:
    first, again = caller.mux("k1"), caller.mux("k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [call.did for call in caller.standin.calls("mux.create_asset")] == [True, False]


def test_the_same_key_with_another_body_is_refused(caller: Caller) -> None:
    caller.mux("k1")
    assert caller.mux("k1", passthrough="other").status_code == 422


def test_without_a_key_each_call_does_the_work(caller: Caller) -> None:
    assert caller.mux().json() != caller.mux().json()


def test_a_refused_call_leaves_its_key_free(caller: Caller) -> None:
    assert caller.mux("k1", input=[]).status_code == 400
    assert caller.mux("k1").status_code == 201


def test_a_kept_answer_does_not_change_with_what_happens_later(caller: Caller) -> None:
    key = {"headers": {"Idempotency-Key": "k"}}
    body = {"json": {"email": "new@example.com", "name": "New"}}
    assert caller.academy("POST", "users", **body).status_code == 201
    cancelled = caller.stripe("DELETE", "subscriptions/sub_ada_team", **key)
    caller.standin.seed({"stripe": {"subscriptions": [{"id": "sub_ada_team", "customer": "cus_ada"}]}})
    assert caller.stripe("DELETE", "subscriptions/sub_ada_team", **key).json() == cancelled.json()


def test_of_many_calls_at_once_with_one_key_one_does_the_work(caller: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: caller.mux("k1").status_code, range(16)))
    assert set(statuses) <= {201, 409}
    assert sum(call.did for call in caller.standin.calls()) == 1


# ---- scripted faults


def test_a_rate_limit_says_when_to_come_back_and_then_is_over(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.create_asset", status=429, retry_after=7))
    refused = caller.mux("k1")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert caller.mux("k1").status_code == 201


def test_faults_come_in_the_order_in_which_they_were_written(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.*", status=503, times=2), Fault("*", status=500))
    assert [caller.mux().status_code for _ in range(4)] == [503, 503, 500, 201]


def test_a_fault_without_a_number_of_times_stays(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.create_asset", status=503, times=0))
    assert {caller.mux().status_code for _ in range(5)} == {503}


def test_a_fault_can_be_for_calls_with_a_certain_text_only(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.create_asset", status=500, contains="b.mp4"))
    assert caller.mux().status_code == 201
    assert caller.mux(input=[{"url": "https://files.example.com/b.mp4"}]).status_code == 500


def test_a_connection_cut_before_the_work_leaves_nothing_behind(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.create_asset", reset=True))
    with pytest.raises(httpx.TransportError):
        caller.mux("k1")
    assert caller.standin.mux.state() == {}


def test_a_connection_cut_after_the_work_is_healed_by_the_key(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.create_asset", reset=True, after=True))
    with pytest.raises(httpx.TransportError):
        caller.mux("k1")
    assert caller.mux("k1").headers["Idempotent-Replayed"] == "true"
    assert len(caller.standin.mux.state()) == 1


@pytest.mark.parametrize(("after", "assets_meanwhile"), [(False, 0), (True, 1)])
def test_a_slow_answer_is_held_back_before_or_after_the_work(after: bool, assets_meanwhile: int) -> None:
    waits: list[tuple[float, int]] = []
    with Standin(wait=lambda seconds: waits.append((seconds, len(standin.mux.state())))) as standin:
        standin.fail(Fault("mux.create_asset", delay_ms=250, after=after))
        caller = Caller(standin)
        with caller.client:
            assert caller.mux().status_code == 201
    assert waits == [(0.25, assets_meanwhile)]


def test_stopping_ends_an_answer_that_is_held_back() -> None:
    held = threading.Event()

    def wait(seconds: float) -> None:
        held.set()
        standin._stopping.wait(seconds)

    with ThreadPoolExecutor(1) as pool, Standin(faults=[Fault("*", delay_ms=3_600_000)], wait=wait) as standin:
        caller = Caller(standin)
        pending = pool.submit(caller.mux)
        assert held.wait(30)
        standin.stop()
        with contextlib.suppress(httpx.TransportError):
            pending.result(timeout=30)
        caller.client.close()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "must have a status, delay_ms or reset"),
        ({"status": 200}, "from 400 to 599"),
        ({"status": 503, "reset": True}, "neither resets"),
        ({"status": 503, "times": -1}, "must not be negative"),
        ({"status": "503"}, "must be int"),
        ({"status": True}, "must be int"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Fault("mux.create_asset", **fields)


# ---- ledger and control


def test_the_ledger_tells_every_call_in_order(caller: Caller) -> None:
    caller.standin.fail(Fault("mux.create_asset", status=503))
    caller.mux("k1")
    caller.stripe("GET", "customers/cus_ada")
    caller.mux("k1")
    calls = caller.client.get("/_control/ledger").json()["calls"]
    told = [(call["seq"], call["route"], call["key"], call["status"], call["did"], call["fault"]) for call in calls]
    assert told == [
        (1, "mux.create_asset", "k1", 503, False, True),
        (2, "stripe.customer", "", 200, True, False),
        (3, "mux.create_asset", "k1", 201, True, False),
    ]
    assert calls[2]["body"] == ASSET
    assert [call.seq for call in caller.standin.calls("mux.create_asset")] == [1, 3]


def test_the_ledger_file_has_a_call_before_its_answer_and_outlives_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    with Standin(ledger=path) as standin:
        caller = Caller(standin)
        with caller.client:
            caller.mux("k1")
            first = [json.loads(line) for line in path.read_text().splitlines()]
            standin.reset()
            caller.mux("k2")
    assert [line["key"] for line in first] == ["k1"]
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["k1", "k2"]


def test_faults_can_be_scripted_and_read_over_http(caller: Caller) -> None:
    fault = {"route": "mux.create_asset", "status": 429, "retry_after": 1, "times": 3}
    assert caller.client.post("/_control/faults", json={"faults": [fault]}).status_code == 200
    caller.mux()
    pending = caller.client.get("/_control/faults").json()["faults"]
    assert [(item["route"], item["times"]) for item in pending] == [("mux.create_asset", 2)]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("faults", {"fault": []}, "send"),
        ("faults", {"faults": [{"status": 500}]}, "with a route"),
        ("faults", {"faults": [{"route": "*", "code": 500}]}, "no code"),
        ("seed", [], "send a map"),
        ("seed", {"paypal": {}}, "no service paypal"),
    ],
)
def test_a_wrong_control_request_says_what_would_be_right(caller: Caller, path: str, body: Any, message: str) -> None:
    answer = caller.client.post(f"/_control/{path}", json=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_a_reset_is_a_fresh_start(caller: Caller) -> None:
    caller.mux("k1")
    caller.stripe("DELETE", "subscriptions/sub_ada_team")
    caller.client.post("/_control/seed", json={"academy": {"lessons": 3}})
    caller.standin.fail(Fault("*", status=500, times=0))
    assert caller.client.post("/_control/reset").status_code == 200
    assert caller.client.get("/_control/ledger").json() == {"calls": []}
    with Standin() as fresh, httpx.Client(base_url=fresh.base_url) as client:
        assert caller.client.get("/_control/state").json() == client.get("/_control/state").json()
    assert "Idempotent-Replayed" not in caller.mux("k1").headers


# ---- the edge


@pytest.mark.parametrize("service", ["stripe/v1/customers/cus_ada", "mux/video/v1/assets/a", "academy/api/lessons"])
def test_a_call_without_the_key_is_refused_and_does_not_use_up_a_fault(caller: Caller, service: str) -> None:
    caller.standin.fail(Fault("*", status=500))
    assert caller.client.get(f"/{service}").status_code == 401
    assert len(caller.standin.faults.pending()) == 1


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/stripe/v1/customers", "/stripe/v1/customers/", "/_control/nothing"]
)
def test_an_unknown_place_is_not_found(caller: Caller, path: str) -> None:
    assert caller.client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [("application/json", b"{", 400), ("application/x-www-form-urlencoded", b"a", 400), ("text/plain", b"a", 415)],
)
def test_a_body_that_cannot_be_read_is_refused(caller: Caller, kind: str, content: bytes, status: int) -> None:
    answer = caller.client.post("/slack/api/chat.postMessage", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status


# ---- Stripe


def test_a_session_has_ids_until_its_parts_are_expanded(caller: Caller) -> None:
    plain = caller.stripe("GET", "checkout/sessions/cs_lifetime").json()
    assert (plain["customer"], plain["payment_intent"]) == ("cus_ada", "pi_lifetime")
    assert "line_items" not in plain
    expand = {"expand[]": ["line_items", "customer", "payment_intent.latest_charge"]}
    full = caller.stripe("GET", "checkout/sessions/cs_lifetime", params=expand).json()
    assert full["customer"]["email"] == "ada@example.com"
    assert full["payment_intent"]["latest_charge"]["id"] == "ch_lifetime"
    assert full["line_items"]["data"][0]["price"]["id"] == keys.LIFETIME_PRICE_ID


def test_what_cannot_be_expanded_is_refused(caller: Caller) -> None:
    for path in ("colour", "mode.deeper"):
        answer = caller.stripe("GET", "checkout/sessions/cs_lifetime", params={"expand[]": path})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parameter_unknown")


def test_a_deleted_customer_is_still_found_and_marked(caller: Caller) -> None:
    answer = caller.stripe("GET", "customers/cus_gone")
    assert (answer.status_code, answer.json()["deleted"]) == (200, True)


def test_subscriptions_are_listed_in_pages(caller: Caller) -> None:
    many = [{"id": f"sub_{n}", "customer": "cus_grace"} for n in range(5)]
    caller.standin.seed({"stripe": {"subscriptions": many}})
    found: list[str] = []
    more = True
    while more:
        params = {"customer": "cus_grace", "limit": "2"} | ({"starting_after": found[-1]} if found else {})
        page = caller.stripe("GET", "subscriptions", params=params).json()
        found += [item["id"] for item in page["data"]]
        more = page["has_more"]
    assert found == [f"sub_{n}" for n in range(5)]


def test_a_subscription_can_be_cancelled_once(caller: Caller) -> None:
    answer = caller.stripe("DELETE", "subscriptions/sub_ada_team", params={"prorate": "true"})
    assert (answer.json()["status"], answer.json()["prorated"]) == ("canceled", True)
    assert caller.stripe("DELETE", "subscriptions/sub_ada_team").status_code == 404
    active = caller.stripe("GET", "subscriptions", params={"customer": "cus_ada"}).json()["data"]
    assert [item["id"] for item in active] == ["sub_ada_monthly"]


# ---- the academy and the others


def test_a_charge_grants_lifetime_access_once_and_to_one_user(caller: Caller) -> None:
    ada = caller.academy("POST", "users", json={"email": "Ada@example.com", "name": "Ada"})
    same = caller.academy("POST", "users", json={"email": "ada@example.com", "name": "Somebody"})
    grace = caller.academy("POST", "users", json={"email": "grace@example.com", "name": "Grace"})
    assert (ada.status_code, same.status_code) == (201, 200)
    assert same.json() == ada.json()
    grants = [
        caller.academy("PUT", "lifetime-grants/ch_1", json={"user_id": u.json()["id"]}) for u in (ada, ada, grace)
    ]
    assert [grant.status_code for grant in grants] == [201, 200, 409]


def test_a_video_is_attached_to_a_module_once(caller: Caller) -> None:
    fields = {"title": "T", "asset_id": "a", "playback_id": "p", "state": "processing"}
    video = caller.academy("POST", "videos", json=fields).json()["id"]
    places = [caller.academy("PUT", f"modules/async-python/videos/{video}").json()["position"] for _ in range(2)]
    assert places == [1, 1]
    assert caller.academy("GET", "modules/async-python").json()["videos"] == [video]


def test_lessons_are_listed_in_pages(caller: Caller) -> None:
    pages = [caller.academy("GET", "lessons", params={"page": n, "size": 80}).json() for n in (1, 2, 3)]
    assert [(len(page["lessons"]), page["next_page"]) for page in pages] == [(80, 2), (80, 3), (40, None)]
    assert len({lesson["slug"] for page in pages for lesson in page["lessons"]}) == 200


@pytest.mark.parametrize(
    ("path", "token", "body", "status"),
    [
        (
            "transcripts/v1/orders",
            keys.TRANSCRIPTS_API_KEY,
            {"media_url": "https://e.com/a.mp4", "reference": "r"},
            201,
        ),
        (
            "transcripts/v1/orders",
            keys.TRANSCRIPTS_API_KEY,
            {"media_url": "https://e.com/a.psd", "reference": "r"},
            422,
        ),
        ("search/v1/notifications", keys.SEARCH_API_KEY, {"url": "https://e.com/a"}, 202),
        ("search/v1/notifications", keys.SEARCH_API_KEY, {"url": "ftp://e.com/a"}, 400),
        ("mail/v1/messages", keys.MAIL_API_KEY, {"to": "a@e.com", "subject": "s", "text": "t"}, 202),
        ("mail/v1/messages", keys.MAIL_API_KEY, {"to": "nobody", "subject": "s", "text": "t"}, 422),
        ("mail/v1/messages", keys.MAIL_API_KEY, {"to": "a@e.com"}, 422),
        ("slack/api/chat.postMessage", keys.SLACK_BOT_TOKEN, {"channel": "ops", "text": "t"}, 200),
    ],
)
def test_services_that_only_take_something(caller: Caller, path: str, token: str, body: Any, status: int) -> None:
    answer = caller.client.post(f"/{path}", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == status
    taken = caller.standin.services[path.partition("/")[0]].state()["taken"]
    assert taken == ([body] if status < 300 else [])


def test_slack_refuses_with_status_200(caller: Caller) -> None:
    body = {"channel": "nowhere", "text": "t"}
    headers = {"Authorization": f"Bearer {keys.SLACK_BOT_TOKEN}"}
    answer = caller.client.post("/slack/api/chat.postMessage", json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": "channel_not_found"})


# ---- what the services send, and running by itself


def test_its_webhooks_pass_the_checks_of_the_providers_own_libraries(caller: Caller) -> None:
    now = 2_000_000_000
    event = caller.standin.stripe.session_event("cs_lifetime", "evt_1")
    body = webhooks.encode(event)
    header = webhooks.stripe_headers(body, now)["Stripe-Signature"]
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header((body + b" ").decode(), header, keys.STRIPE_WEBHOOK_SECRET)
    assert stripe.WebhookSignature.verify_header(body.decode(), header, keys.STRIPE_WEBHOOK_SECRET)
    assert event["data"]["object"]["customer"] == "cus_ada"
    assert "line_items" not in event["data"]["object"]

    headers = webhooks.standard_headers(body, now, "msg_1")
    signer = standardwebhooks.Webhook(keys.ACADEMY_WEBHOOK_SECRET)
    at = datetime.fromtimestamp(now, UTC)
    assert headers["webhook-signature"] == signer.sign("msg_1", at, body.decode())


def test_a_command_is_run_with_the_variables_set_and_its_exit_code_passed_on() -> None:
    script = (
        "import os, urllib.request as r; url = os.environ['MUX_BASE_URL'].removesuffix('mux') + '_control/health';"
        "raise SystemExit(7 if r.urlopen(url).status == 200 else 1)"
    )
    command = [sys.executable, "-m", "tests.standin", "--", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


def test_alone_it_prints_the_variables_and_ends_when_told(tmp_path: Path) -> None:
    ledger = tmp_path / "calls.jsonl"
    command = [sys.executable, "-m", "tests.standin", "--ledger", str(ledger)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if line.startswith("#"):
                break
        process.terminate()
        assert process.wait(30) == 0
    variables = dict(line.removeprefix("export ").split("=", 1) for line in lines[:-1])
    assert variables["STRIPE_BASE_URL"] == lines[-1].split()[-1] + "/stripe"
    assert variables["LIFETIME_PRICE_ID"] == keys.LIFETIME_PRICE_ID


def test_a_taken_port_is_said_in_one_line() -> None:
    with Standin() as standin:
        port = standin.base_url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "tests.standin", "--port", port]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
    assert len(done.stderr.splitlines()) == 1
