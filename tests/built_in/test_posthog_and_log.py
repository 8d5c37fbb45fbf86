"""`posthog.capture` against a server, and `log` against a logger."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

import pytest

from flowlang import Context
from flowlang.cli.logs import TextLines
from flowlang.integrations.log import log
from flowlang.integrations.posthog import capture
from tests.built_in.asking import call, failure
from tests.egress.services import Answering, Say, serving

KEY = {"POSTHOG_KEY": "phc_1"}


def captured(service: Answering, key: str = "k", **arguments: Any) -> Any:
    given = {"event": "order paid", "distinct_id": "u1", **arguments}
    return call(capture, given, env={"POSTHOG_HOST": service.url()}, secrets=KEY, key=key)


def test_an_event_is_captured_with_what_the_step_says() -> None:
    with serving(lambda _: Say(body=b'{"status":"Ok"}')) as service:
        said = captured(service, properties={"total": 9}, timestamp="2030-01-01T12:00:00Z")
    (seen,) = service.seen
    assert (seen.method, seen.path) == ("POST", "/i/v0/e/")
    assert json.loads(seen.body) == {
        "api_key": "phc_1",
        "event": "order paid",
        "distinct_id": "u1",
        "properties": {"$lib": "flowlang", "total": 9},
        "uuid": said["uuid"],
        "timestamp": "2030-01-01T12:00:00+00:00",
    }


def test_a_repeated_attempt_has_the_same_id_and_another_step_another() -> None:
    with serving(lambda _: Say(body=b"{}")) as service:
        ids = [captured(service, key)["uuid"] for key in ("step-1", "step-1", "step-2")]
        sent = [json.loads(seen.body) for seen in service.seen]
    assert sent[0] == sent[1]
    assert ids[0] == ids[1] != ids[2]
    assert all(str(uuid.UUID(each)) == each for each in ids)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(400, "permanent"), (401, "permanent"), (429, "transient"), (500, "transient"), (503, "resource")],
)
def test_a_refusal_has_the_class_of_its_status(status: int, error_class: str) -> None:
    with serving(lambda _: Say(status)) as service:
        failed = failure(capture, {"event": "e", "distinct_id": "u"}, env={"POSTHOG_HOST": service.url()}, secrets=KEY)
    assert (failed.error_class, failed.code) == (error_class, f"http.{status}")
    assert "phc_1" not in failed.message


@pytest.mark.parametrize(("arguments", "secrets", "code"), [
    ({"event": "e", "distinct_id": "u"}, {}, "secret.missing"),
    ({"event": "e", "distinct_id": "u", "timestamp": "2030-01-01T12:00:00"}, KEY, "handler.arguments"),
])  # fmt: skip
def test_what_cannot_be_captured_says_why(arguments: Any, secrets: dict[str, str], code: str) -> None:
    assert failure(capture, arguments, secrets=secrets).code == code


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_line_names_the_step_and_carries_its_fields(level: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call(log, {"message": "paid", "level": level, "fields": {"total": 9, "name": "Ä"}})
    (record,) = (each for each in caplog.records if each.name.startswith("flowlang."))
    assert (record.levelname.lower(), record.getMessage(), record.__dict__["step"]) == (level, "paid", "step")
    assert json.loads(record.__dict__["fields"]) == {"total": 9, "name": "Ä"}


def test_nobody_can_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    forged = "paid\n2030-01-01T00:00:00.000Z error root: \x1b[2Jgone\u2028x"
    call(log, {"message": forged, "fields": {"note": forged}})
    written = TextLines().format(caplog.records[0])
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written
    assert r"paid\n2030" in written


def test_a_secret_that_was_handed_out_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ctx = Context.for_test(secrets={"TOKEN": "s3cr3t-canary"})
    token = ctx.secrets["TOKEN"]
    log(f"the token is {token}", ctx, fields={"token": token, "url": f"https://x/?t={token}"})
    assert "s3cr3t-canary" not in TextLines().format(caplog.records[0])


def test_a_message_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    call(log, {"message": "100 %s {0} %(name)s"})
    assert caplog.records[0].getMessage() == "100 %s {0} %(name)s"


def test_an_unknown_level_is_refused() -> None:
    assert failure(log, {"message": "x", "level": "loud"}).code == "handler.arguments"
