"""Listing webhooks, and sending one a delivery that is signed as its sender does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from flowlang.clock import SystemClock
from flowlang.plan import Manifest, WebhookOptions, WebhookSource
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from tests.unit.cli.desk import Desk
from tests.webhooks.senders import OPTIONS, SECRETS

ENDED = {"OLD": 1_000_000_000_000}
SOURCES = {
    **{
        provider: WebhookSource(
            provider,
            provider,
            () if provider == "paypal" else (provider.upper().replace("-", "_"),),
            event=f"{provider}/received",
            options=OPTIONS.get(provider, WebhookOptions()),
        )
        for provider in SECRETS
    },
    "rolled": WebhookSource("rolled", "stripe", ("OLD", "STRIPE"), event="rolled/x", until=ENDED),
    "over": WebhookSource("over", "stripe", ("OLD",), event="over/x", until=ENDED),
    "forms": WebhookSource(
        "forms", "hmac", ("HMAC",), event="forms/x", options=WebhookOptions(header="x-sig", content=("form",))
    ),
    "doorbell": WebhookSource("doorbell", "unsigned", event="doorbell/rung"),
}
VARIABLES = {"OLD": "old"} | {name.upper().replace("-", "_"): secret for name, (secret, _) in SECRETS.items()}


@pytest.fixture
def address(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The desk's service over HTTP, with a webhook of every provider."""
    manifest = msgspec.structs.replace(Manifest("academy", {}), webhooks=tuple(SOURCES.values()))
    desk.service.deploy(manifest, [])
    assert desk.project.manifest is not None
    desk.project.manifest = msgspec.structs.replace(desk.project.manifest, webhooks=manifest.webhooks)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    server = HttpServer(create_app(desk.service, secrets=VARIABLES, clock=SystemClock()), port=0)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def body(desk: Desk) -> str:
    """A file with a body."""
    path = Path(desk.folder) / "body.json"
    path.write_text('{"id": "e1", "type": "x"}')
    return str(path)


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in {"paypal", "over"}])
def test_a_delivery_of_every_sender_is_signed_and_taken(desk: Desk, address: str, body: str, name: str) -> None:
    said = desk.read("webhooks", "test", name, "--file", body, "--url", address)
    assert (said["taken"], said["webhook"], said["status"] in {200, 202}) == (True, name, True)
    assert desk.service.counters == {"webhooks.accepted": 1}


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', "{"])
def test_a_body_that_cannot_become_a_form_is_said(desk: Desk, address: str, body: str, text: str) -> None:
    Path(body).write_text(text)
    assert desk.call("webhooks", "test", "forms", "--file", body, "--url", address).exit_code != 0
    assert desk.service.counters == {}


def test_one_that_is_sent_again_is_the_same_delivery(desk: Desk, address: str, body: str) -> None:
    again = ("webhooks", "test", "svix", "--file", body, "--url", address, "--id", "msg_1")
    statuses = [json.loads(desk.read(*again)["answer"])["status"] for _ in range(2)]
    assert statuses == ["accepted", "duplicate"]


def test_a_wrong_secret_is_said_and_shown_in_the_list(
    desk: Desk, address: str, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE", "another")
    result = desk.call("webhooks", "test", "stripe", "--file", body, "--url", address)
    assert result.exit_code == 1
    assert "answered 401: the signature was refused" in result.stderr
    listed = desk.read("webhooks", "list")
    assert [(each["webhook"], each["reason"], each["count"]) for each in listed["refusals"]] == [
        ("stripe", "no signature matches", 1)
    ]
    (row,) = [each for each in listed["webhooks"] if each["name"] == "stripe"]
    assert (row["path"], row["refused"]) == ("/hooks/stripe", 1)
    assert "no signature matches" in desk.call("webhooks", "list").stdout


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("paypal", "only PayPal can sign"),
        ("over", "every secret of the webhook has ended"),
        ("nobody", "the project has no webhook 'nobody'"),
    ],
)
def test_what_cannot_be_sent_is_said(desk: Desk, address: str, body: str, name: str, why: str) -> None:
    result = desk.call("webhooks", "test", name, "--file", body, "--url", address)
    assert result.exit_code == 2
    assert why in result.stderr


def test_a_server_that_is_not_there_is_said(desk: Desk, address: str, body: str) -> None:
    result = desk.call("webhooks", "test", "stripe", "--file", body, "--url", "http://127.0.0.1:9")
    assert result.exit_code == 2
    assert "no server answers at http://127.0.0.1:9" in result.stderr


def test_the_list_says_which_secrets_are_missing_or_ended(
    desk: Desk, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE")
    rows = {row["name"]: row for row in desk.read("webhooks", "list")["webhooks"]}
    assert rows["rolled"]["secrets"] == [{"name": "OLD", "status": "ended"}, {"name": "STRIPE", "status": "missing"}]
    assert rows["stripe"]["problem"] == "the secret STRIPE is not set; set STRIPE or STRIPE_FILE"
    assert rows["doorbell"]["secrets"] == rows["paypal"]["secrets"] == []
    printed = desk.call("webhooks", "list").stdout
    assert "OLD ended, STRIPE missing" in printed
    assert "hush" not in printed


def test_a_secret_that_cannot_be_used_is_said_without_it(
    desk: Desk, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SVIX", "whsec_!!!")
    printed = desk.call("webhooks", "list").stdout
    assert "SVIX set (the secret of a webhook is not base64" in printed
    assert "!!!" not in printed


def test_no_webhooks_is_said(desk: Desk) -> None:
    assert desk.call("webhooks", "list").stderr == "no webhooks\n"
