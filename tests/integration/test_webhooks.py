"""Webhooks of every sender over real sockets: what is taken, what it becomes, and what the sender hears.

Among them a test for each advisory of others that speaks of webhooks; each names it.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from cryptography.x509.verification import Store

from flowlang.errors import ConfigError
from flowlang.plan import EventTrigger, WebhookOptions, WebhookSource
from flowlang.server import hooks
from flowlang.server.app import App, create_app
from flowlang.server.descriptions import POST_HOOK
from flowlang.server.run import HttpServer
from flowlang.server.signatures import SCHEMES, Context
from flowlang.server.signatures.keys import load_keys, valid
from flowlang.server.signatures.sending import Sent, sent
from flowlang.service import Service
from tests.unit.service.world import World, manifest, plan
from tests.webhooks.authority import certificate, roots, stranger
from tests.webhooks.senders import OPTIONS, SECRETS, signed

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
OLD_ENDS_MS = 10_000_000_000_000


def source(name: str, provider: str, **more: Any) -> WebhookSource:
    more.setdefault("secrets", () if provider in {"paypal", "unsigned"} else (provider,))
    more.setdefault("event", f"{name}/received")
    return WebhookSource(name, provider, options=more.pop("options", OPTIONS.get(provider, WebhookOptions())), **more)


SOURCES = {
    **{provider: source(provider, provider) for provider in SECRETS},
    "second": source("second", "stripe", secrets=("another",)),
    "commands": source("commands", "slack"),
    "forms": source("forms", "hmac", options=WebhookOptions(header="x-signature", content=("form",))),
    "doorbell": source("doorbell", "unsigned", options=WebhookOptions(delivery="x-rung")),
    "files": source("files", "transloadit", event="files/done", data="${{ body.transloadit }}"),
    "clicks": source("clicks", "slack", event="clicks/${{ body.payload.type }}", data="${{ body.payload }}"),
}
TEXTS = {name: secret for name, (secret, _) in SECRETS.items()} | {"another": "whsec_another", "old": "whsec_old"}


HEARD = plan("heard", triggers=(EventTrigger(("commands/*", "clicks/*", "twilio/*")),))


class Site:
    """A served project with a webhook of every sender."""

    def __init__(self, **changed: WebhookSource) -> None:
        self.world = World(deployed=False)
        self.sources = SOURCES | changed
        self.deploy(self.world.service)
        self.service: Service = self.world.service
        self.fetched: list[str] = []
        self.app: App = create_app(self.service, secrets=TEXTS, clock=self.world.clock)
        self.app.hooks._certificates._fetch = self._fetch
        self.app.hooks._certificates.roots = roots
        self.server = HttpServer(self.app, port=0)
        self.server.start()
        self.http = httpx.Client(base_url=self.server.url, trust_env=False)

    def deploy(self, service: Service, **changed: WebhookSource) -> None:
        """Deploy the webhooks, some of them changed, by some process."""
        self.sources = self.sources | changed
        plain = manifest(HEARD)
        service.deploy(type(plain)(plain.project, plain.pipelines, webhooks=tuple(self.sources.values())), [HEARD])

    async def _fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        return certificate(begins_s=self.now_s - 1000)

    @property
    def now_s(self) -> int:
        return self.world.clock.now_ms() // 1000

    def signed(self, name: str, body: bytes = b'{"id": "e1"}', ident: str = "d1", key: int = 0) -> Sent:
        keys = valid(load_keys(self.sources[name], TEXTS, self.now_s), self.now_s)[key:]
        return sent(self.sources[name], body, keys, self.now_s, ident)

    def send(self, name: str, what: Sent) -> httpx.Response:
        return self.http.post(f"/hooks/{name}?{what.query}", content=what.body, headers=what.headers)

    def close(self) -> None:
        self.http.close()
        self.server.stop()


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


def form_of(site: Site, name: str, fields: Any) -> Sent:
    """A form as Slack signs it."""
    return Sent(site.signed(name, urlencode(fields).encode()).headers | FORM, urlencode(fields).encode(), "")


# -- every sender -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in SECRETS if name not in {"paypal", "postmark"}])
def test_a_delivery_is_taken_once_however_often_it_is_sent(site: Site, name: str) -> None:
    body = b'{"id": "e1", "event_id": "Ev1", "assembly_id": "a1"}'
    delivery = site.signed(name, body)
    assert [site.send(name, delivery).is_success for _ in range(2)] == [True, True]
    assert site.service.counters == {"webhooks.accepted": 1, "webhooks.duplicate": 1}


def test_postmark_has_no_id_so_a_repeated_delivery_is_another_one(site: Site) -> None:
    delivery = site.signed("postmark")
    assert [site.send("postmark", delivery).json()["status"] for _ in range(2)] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("name", "status", "body", "kind"),
    [
        ("stripe", 202, None, "application/json"),
        ("shopify", 200, None, "application/json"),
        ("postmark", 200, None, "application/json"),
        ("slack", 200, b"", "text/plain"),
        ("twilio", 200, b'<?xml version="1.0" encoding="UTF-8"?><Response/>', "text/xml"),
    ],
)
def test_each_sender_hears_what_it_wants_to(site: Site, name: str, status: int, body: bytes | None, kind: str) -> None:
    answer = site.send(name, site.signed(name))
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert answer.content == body if body is not None else answer.json()["status"] == "accepted"


@pytest.mark.parametrize("name", SECRETS)
def test_what_a_sender_hears_is_in_the_document_of_the_api(name: str) -> None:
    answer = SCHEMES[name].answer
    assert answer.content_type in {"application/json", *POST_HOOK.answers[answer.status].others}


def test_slack_is_answered_its_challenge_only_when_it_is_slack(site: Site) -> None:
    asked = b'{"type": "url_verification", "challenge": "3eZbrw1aB"}'
    answer = site.send("slack", site.signed("slack", asked))
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "3eZbrw1aB", "text/plain")
    unsigned = site.http.post("/hooks/slack", content=asked, headers=JSON)
    assert unsigned.status_code == 401
    assert "3eZbrw1aB" not in unsigned.text
    assert site.service.counters == {"webhooks.unverified": 1}


def test_a_command_is_a_map_of_texts_and_a_click_is_its_json(site: Site) -> None:
    assert site.send(
        "commands", form_of(site, "commands", {"command": "/go", "text": "", "trigger_id": "1.2"})
    ).is_success
    click = {"payload": json.dumps({"type": "block_actions", "n": 1})}
    assert site.send("clicks", form_of(site, "clicks", click)).is_success
    assert site.service.counters == {"webhooks.accepted": 2}
    runs = [site.service.run(run.id) for run in site.service.runs(pipeline="heard")]
    assert {run.event.name: run.event.data for run in runs} == {
        "commands/received": {"command": "/go", "text": "", "trigger_id": "1.2"},
        "clicks/block_actions": {"type": "block_actions", "n": 1},
    }


def test_the_notification_of_transloadit_is_the_json_of_its_field(site: Site) -> None:
    answer = site.send("files", site.signed("files", b'{"assembly_id": "a1", "ok": "ASSEMBLY_COMPLETED"}'))
    kept = site.service.event(answer.json()["event"])
    assert (kept.name, kept.event.id, kept.event.data["ok"]) == (
        "files/done", "a1/ASSEMBLY_COMPLETED", "ASSEMBLY_COMPLETED",
    )  # fmt: skip


def test_a_notification_may_come_in_parts(site: Site) -> None:
    sent_as_line = site.signed("files", b'{"assembly_id": "a1", "error": "X"}')
    fields = dict(parse_qsl(sent_as_line.body.decode()))
    body = "".join(
        f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = site.http.post("/hooks/files", content=f"{body}--b--\r\n", headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
    assert site.send("files", sent_as_line).json()["status"] == "duplicate"
    changed = site.http.post("/hooks/files", content=f"{body}--b--\r\n".replace("a1", "a2"), headers=headers)
    assert changed.status_code == 401


def test_templates_see_no_credentials() -> None:
    shown = source("postmark", "postmark", data="${{ headers }}")
    site = Site(postmark=shown)
    try:
        answer = site.http.post(
            "/hooks/postmark", content=b"{}", headers=site.signed("postmark").headers | {"cookie": "a=b"}
        )
        kept = site.service.event(answer.json()["event"]).event.data
        assert kept["content-type"] == "application/json"
        assert kept.keys().isdisjoint({"authorization", "cookie"})
    finally:
        site.close()


def test_paypals_certificate_is_fetched_once_and_from_paypal_alone(site: Site) -> None:
    deliveries = [signed("paypal", now_s=site.now_s, ident=f"d{number}") for number in range(3)]
    for delivery in deliveries:
        assert site.http.post("/hooks/paypal", content=delivery.body, headers=delivery.headers).status_code == 200
    assert site.fetched == ["https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"]
    elsewhere = deliveries[0].changed("paypal-cert-url", "https://169.254.169.254/latest/meta-data")
    assert site.http.post("/hooks/paypal", content=elsewhere.body, headers=elsewhere.headers).status_code == 401
    assert len(site.fetched) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_and_not_kept(site: Site) -> None:
    site.app.hooks._certificates.roots = lambda: Store([stranger().certificate])
    delivery = signed("paypal", now_s=site.now_s)
    for _ in range(2):
        answer = site.http.post("/hooks/paypal", content=delivery.body, headers=delivery.headers)
        assert (answer.status_code, answer.json().get("detail")) == (401, None)
    assert len(site.fetched) == 2
    turned_away = [(each.webhook, each.reason, each.count) for each in site.service.refusals()]
    assert turned_away == [("paypal", "nobody who is trusted vouches for the certificate", 2)]
    site.app.hooks._certificates.roots = roots
    assert site.http.post("/hooks/paypal", content=delivery.body, headers=delivery.headers).status_code == 200


def test_roots_that_cannot_be_read_are_said_when_the_server_starts_and_answered_503(site: Site) -> None:
    def unreadable() -> None:
        raise ConfigError("the certificates of SSL_CERT_FILE cannot be read: No such file or directory")

    site.app.hooks._certificates.roots = unreadable
    assert site.app.hooks.check(site.service.catalog) == [
        "webhook paypal: the certificates of SSL_CERT_FILE cannot be read: No such file or directory"
    ]
    delivery = signed("paypal", now_s=site.now_s)
    answer = site.http.post("/hooks/paypal", content=delivery.body, headers=delivery.headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "not-configured")
    assert site.fetched == []


def test_how_often_a_stranger_makes_us_ask_for_certificates_is_bounded(site: Site) -> None:
    delivery = signed("paypal", now_s=site.now_s)
    answers = [
        site.http.post(
            "/hooks/paypal",
            content=delivery.body,
            headers=delivery.headers | {"paypal-cert-url": f"https://api.paypal.com/v1/notifications/certs/C-{number}"},
        )
        for number in range(12)
    ]
    assert len(site.fetched) == 10
    assert [answer.status_code for answer in answers[10:]] == [503, 503]
    assert answers[11].headers["retry-after"] == "60"


# -- by GET -----------------------------------------------------------------------------------------------------------


def test_twilio_calls_by_get_and_the_query_is_the_body(site: Site) -> None:
    query = "AccountSid=AC1&Body=Hello+there%21"
    key = SCHEMES["twilio"].load_secret(TEXTS["twilio"])
    headers = SCHEMES["twilio"].sign(b"", key, site.now_s, "t1", Context(OPTIONS["twilio"], query, method="GET"))
    del headers["content-type"]
    for _ in range(2):
        answer = site.http.get(f"/hooks/twilio?{query}", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")
    assert site.service.counters == {"webhooks.accepted": 1, "webhooks.duplicate": 1}
    (run,) = site.service.runs()
    assert site.service.run(run.id).event.data == {"AccountSid": "AC1", "Body": "Hello there!"}
    changed = site.http.get(f"/hooks/twilio?{query.replace('Hello', 'Bye')}", headers=headers)
    assert changed.status_code == 401
    with_body = site.http.request("GET", f"/hooks/twilio?{query}", headers=headers, content=b"a=1")
    assert (with_body.status_code, with_body.json()["code"]) == (413, "body.too-large")


def test_a_query_that_is_no_form_is_refused_as_such(site: Site) -> None:
    key = SCHEMES["twilio"].load_secret(TEXTS["twilio"])
    for query in ("a=1&a=2", "a=1&b"):
        headers = SCHEMES["twilio"].sign(b"", key, site.now_s, "t1", Context(OPTIONS["twilio"], query, method="GET"))
        answer = site.http.get(f"/hooks/twilio?{query}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "body.not-form")


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "twilio"])
def test_a_sender_that_does_not_sign_its_address_cannot_call_by_get(site: Site, name: str) -> None:
    answer = site.http.get(f"/hooks/{name}?id=e1", headers=JSON)
    assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "POST")


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_two_webhooks_of_one_sender_have_secrets_of_their_own(site: Site) -> None:
    assert site.send("second", site.signed("second")).status_code == 202
    assert site.send("stripe", site.signed("second")).status_code == 401
    assert site.send("second", site.signed("stripe")).status_code == 401


def test_a_secret_counts_to_the_end_of_its_time_and_no_longer() -> None:
    rolled = source("rolled", "stripe", secrets=("stripe", "old"))
    ends_s = World(deployed=False).clock.now_ms() // 1000 + 60
    site = Site(
        rolled=WebhookSource(
            **{each: getattr(rolled, each) for each in rolled.__struct_fields__} | {"until": {"old": ends_s * 1000}}
        )
    )
    try:
        assert site.send("rolled", site.signed("rolled", b'{"id": "a"}', key=1)).status_code == 202
        site.world.clock.advance(60_000)
        by_old = sent(rolled, b'{"id": "b"}', [b"whsec_old"], site.now_s, "")
        assert site.send("rolled", by_old).status_code == 202
        site.world.clock.advance(1000)
        by_old = sent(rolled, b'{"id": "c"}', [b"whsec_old"], site.now_s, "")
        assert site.send("rolled", by_old).status_code == 401
        assert site.send("rolled", site.signed("rolled", b'{"id": "d"}')).status_code == 202
    finally:
        site.close()


def test_a_secret_that_has_ended_need_not_be_there_any_more() -> None:
    site = Site(rolled=source("rolled", "stripe", secrets=("gone", "stripe"), until={"gone": 1000}))
    try:
        assert site.app.hooks.check(site.service.catalog) == []
        assert site.send("rolled", site.signed("rolled")).status_code == 202
        site.deploy(site.service, rolled=source("rolled", "stripe", secrets=("gone", "stripe")))
        assert site.app.hooks.check(site.service.catalog) == [
            "webhook rolled: the secret gone is not set; set gone or gone_FILE"
        ]
        assert site.http.post("/hooks/rolled", content=b"{}", headers=JSON).status_code == 503
    finally:
        site.close()


def test_where_every_secret_has_ended_nothing_is_taken() -> None:
    over = source("over", "stripe", secrets=("old",), until={"old": 1000})
    site = Site(over=over)
    try:
        assert site.send("over", sent(over, b"{}", [b"whsec_old"], site.now_s, "")).status_code == 401
        assert [(each.reason, each.count) for each in site.service.refusals()] == [("every secret has ended", 1)]
    finally:
        site.close()


def test_a_secret_that_another_process_took_out_counts_for_nothing_from_then_on(site: Site) -> None:
    assert site.send("second", site.signed("second", b'{"id": "a"}')).status_code == 202
    by_old = site.signed("second", b'{"id": "b"}')
    site.deploy(site.world.another(), second=source("second", "stripe", secrets=("old",)))
    assert site.send("second", by_old).status_code == 401
    assert site.send("second", site.signed("second", b'{"id": "c"}')).status_code == 202
    assert site.service.counters == {"webhooks.accepted": 2, "webhooks.unverified": 1}


def test_a_secret_that_another_process_put_in_counts_from_then_on(site: Site) -> None:
    assert site.send("second", site.signed("second", b'{"id": "a"}')).status_code == 202
    site.deploy(site.world.another(), second=source("second", "stripe", secrets=("old",)))
    assert site.send("second", site.signed("second", b'{"id": "b"}')).status_code == 202
    assert site.service.counters == {"webhooks.accepted": 2}


def test_strangers_do_not_make_the_server_read_what_is_deployed_all_the_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    refresh = site.service.refresh

    def counted() -> bool:
        reads.append(1)
        return refresh()

    monkeypatch.setattr(site.service, "refresh", counted)
    monkeypatch.setattr(hooks, "_LOOK_S", 3600.0)
    for _ in range(5):
        assert site.http.post("/hooks/stripe", content=b"{}", headers=JSON).status_code == 401
    assert len(reads) == 1


def test_a_webhook_that_another_process_took_out_is_gone(site: Site) -> None:
    delivery = site.signed("second")
    site.deploy(site.world.another())
    del site.sources["second"]
    site.deploy(site.world.another())
    assert site.send("second", delivery).status_code == 404


# -- traces -----------------------------------------------------------------------------------------------------------

PLACE = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "vendor=1"}


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [
        ("github", PLACE, PLACE),
        ("github", {"traceparent": PLACE["traceparent"]}, {"traceparent": PLACE["traceparent"]}),
        ("github", PLACE | {"tracestate": "no member"}, {"traceparent": PLACE["traceparent"]}),
        ("github", {"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"}, None),
        ("github", {"traceparent": "anything"}, None),
        ("github", {"tracestate": "vendor=1"}, None),
        ("github", {}, None),
        ("unreadable", PLACE, PLACE),
    ],
)
def test_a_delivery_belongs_to_the_trace_that_its_headers_name(
    name: str, sent: dict[str, str], kept: dict[str, str] | None
) -> None:
    site = Site(unreadable=source("unreadable", "github", secrets=("github",), event="unreadable/${{ body.none }}"))
    try:
        delivery = site.signed(name)
        forged = dataclasses.replace(delivery, body=b"{}", headers=delivery.headers | sent)
        assert site.send(name, forged).status_code == 401
        answer = site.send(name, dataclasses.replace(delivery, headers=delivery.headers | sent))
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted" if name == "github" else "dead_letter")
        trace = site.service.event(answer.json()["event"]).event.trace
        assert (None if trace is None else trace.headers()) == kept
    finally:
        site.close()


# -- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"a=1&b=2", 202),
        (b"", 202),
        (b"a=1&a=2", 400),
        (b"a", 400),
        (b"a=1&&b=2", 400),
        (b"a=%ff", 400),
        (b"a=\xff", 400),
        (b"&".join(b"f%d=1" % number for number in range(1001)), 400),
    ],
)
def test_a_form_is_a_map_of_texts_or_is_refused(site: Site, body: bytes, status: int) -> None:
    context = Context(site.sources["forms"].options)
    headers = SCHEMES["hmac"].sign(body, TEXTS["hmac"].encode(), site.now_s, "", context)
    answer = site.http.post("/hooks/forms", content=body, headers=headers | FORM)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["code"] == "body.not-form"


def test_an_id_in_a_header_that_the_project_names_is_the_deliverys(site: Site) -> None:
    statuses = [
        site.http.post("/hooks/doorbell", content=b"{}", headers=JSON | {"x-rung": ident}).json()["status"]
        for ident in ("1", "1", "2", "", "")
    ]
    assert statuses == ["accepted", "duplicate", "accepted", "accepted", "accepted"]


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_sender_that_would_stop_listening_is_told_to_send_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    held, done = threading.Event(), threading.Event()
    take = site.service.take

    def slow(*given: Any) -> Any:
        held.wait(30)
        try:
            return take(*given)
        finally:
            done.set()

    monkeypatch.setattr(site.service, "take", slow)
    monkeypatch.setattr(hooks, "_MARGIN", 0.02)
    try:
        delivery = site.signed("slack", b'{"event_id": "Ev1"}')
        late = site.send("slack", delivery)
        assert (late.status_code, late.json()["code"], late.headers["retry-after"]) == (503, "deadline", "1")
        held.set()
        assert done.wait(30)
        monkeypatch.undo()
        assert site.send("slack", delivery).status_code == 200
        assert site.service.counters == {"webhooks.accepted": 1, "webhooks.duplicate": 1}
    finally:
        site.close()


# -- advisories of others ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b'--x\r\ncontent-disposition: form-data; name="a"; filename="/etc/passwd"\r\n\r\n1\r\n--x--\r\n'),
        ("application/x-www-form-urlencoded", b"files=/etc/passwd"),
        ("text/plain", b'{"files": {"a": {"filepath": "/etc/passwd"}}}'),
        ("application/xml", b"<a/>"),
        ("application/json, multipart/form-data", b"{}"),
        ("", b"{}"),
    ],
)  # fmt: skip
def test_n8n_cve_2026_21858_a_body_is_read_as_what_it_is_declared_to_be_and_as_nothing_else(
    site: Site, kind: str, body: bytes
) -> None:
    """There a JSON body passed for uploaded files, so that a path in it was opened."""
    delivery = site.signed("stripe", body)
    answer = site.http.post("/hooks/stripe", content=body, headers=delivery.headers | {"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (415, "body.type")
    assert site.service.counters == {}


def test_n8n_cve_2026_21858_paths_in_a_body_stay_texts(site: Site) -> None:
    body = {"id": "e1", "files": {"a": {"filepath": "/etc/passwd", "mimetype": "text/plain"}}}
    answer = site.send("stripe", site.signed("stripe", json.dumps(body).encode()))
    assert site.service.event(answer.json()["event"]).event.data == body


def test_n8n_cve_2026_21894_every_sender_is_verified_unless_that_is_written_off(site: Site) -> None:
    """There one sender's deliveries were taken without a look at their signature."""
    for name, each in SOURCES.items():
        form = name in {"forms", "transloadit", "files"}
        answer = site.http.post(f"/hooks/{name}", content=b"a=1" if form else b"{}", headers=FORM if form else JSON)
        assert answer.status_code == (202 if each.provider == "unsigned" else 401), name


@pytest.mark.parametrize(
    "path",
    [
        "/hooks/stripe/doorbell",
        "/hooks/doorbell/",
        "/hooks/doorbell/..",
        "/hooks/%64oorbell/x",
        "/hooks//doorbell",
        "/hooks/DOORBELL",
        "/hooks/doorbel",
        "/hooks/doorbell%00",
        "/hooks/doorbell;x=1",
        "/hooks/doorbell%2F",
        "/hooks/doorbell.json",
        "/hooks/door*",
        "/hooks/",
        "/HOOKS/doorbell",
    ],
)
def test_n8n_cve_2026_110852_a_webhook_is_found_by_its_whole_name_alone(site: Site, path: str) -> None:
    """There a part of the path was enough to find a webhook whose address nobody could have guessed."""
    url = httpx.URL(site.server.url).copy_with(raw_path=path.encode())
    assert site.http.post(url, content=b"{}", headers=JSON).status_code == 404
    assert site.service.counters == {}
