"""`slack.post` against a server that answers as Slack does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flowlang.handler.classify import Failure
from flowlang.integrations.slack import post
from tests.built_in.asking import call, failure
from tests.egress.services import Answering, Say, Seen, serving

TOKEN = {"SLACK_BOT_TOKEN": "xoxb-1"}


@pytest.fixture
def slack() -> Iterator[Answering]:
    def answer(seen: Seen) -> Say:
        if seen.path.startswith("/services/"):
            return Say(body=b"ok")
        return Say(body=json.dumps({"ok": True, "channel": "C1", "ts": "17.01"}).encode())

    with serving(answer) as there:
        yield there


def test_a_bot_posts_to_a_channel(slack: Answering) -> None:
    blocks = [{"type": "divider"}]
    posted = call(
        post,
        {"text": "Grüße", "channel": "#ops", "thread_ts": "16.9", "blocks": blocks},
        env={"SLACK_API_URL": slack.url("/api/")},
        secrets=TOKEN,
    )
    assert posted == {"channel": "C1", "ts": "17.01"}
    (seen,) = slack.seen
    assert (seen.method, seen.path, seen.headers["authorization"]) == ("POST", "/api/chat.postMessage", "Bearer xoxb-1")
    assert json.loads(seen.body) == {"channel": "#ops", "text": "Grüße", "thread_ts": "16.9", "blocks": blocks}


def test_an_incoming_webhook_posts_to_its_own_channel(slack: Answering) -> None:
    hook = {"SLACK_WEBHOOK_URL": slack.url("/services/T/B/secret")}
    assert call(post, {"text": "Hello"}, secrets=hook) == {"channel": None, "ts": None}
    assert json.loads(slack.seen[0].body) == {"text": "Hello"}
    assert "authorization" not in slack.seen[0].headers


@pytest.mark.parametrize(("arguments", "secrets", "code"), [
    ({"text": "a"}, {}, "secret.missing"),
    ({"text": "a"}, TOKEN, "slack.no_channel"),
    ({"text": "a", "channel": "#ops"}, {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x"}, "slack.channel"),
    ({"channel": "#ops"}, TOKEN, "handler.arguments"),
])  # fmt: skip
def test_what_cannot_be_posted_says_what_is_missing(arguments: Any, secrets: dict[str, str], code: str) -> None:
    failed = failure(post, arguments, secrets=secrets)
    assert (failed.error_class, failed.code) == ("permanent", code)


def refused(say: Say, *, hook: bool = False) -> Failure:
    with serving(lambda _: say) as service:
        if hook:
            return failure(post, {"text": "a"}, secrets={"SLACK_WEBHOOK_URL": service.url("/services/T/secret")})
        return failure(post, {"text": "a", "channel": "#x"}, env={"SLACK_API_URL": service.url()}, secrets=TOKEN)


@pytest.mark.parametrize(("error", "error_class"), [
    ("channel_not_found", "permanent"), ("invalid_auth", "permanent"), ("not_in_channel", "permanent"), ("msg_too_long", "permanent"),
    ("ratelimited", "transient"), ("rate_limited", "transient"), ("internal_error", "resource"), ("service_unavailable", "resource"),
    ("something_new", "permanent"),
])  # fmt: skip
def test_a_refusal_with_status_200_has_its_class(error: str, error_class: str) -> None:
    failed = refused(Say(body=json.dumps({"ok": False, "error": error}).encode()))
    assert (failed.error_class, failed.code) == (error_class, f"slack.{error}")
    assert (failed.retry_after_seconds is not None) == ("rate" in error)


@pytest.mark.parametrize(("say", "error_class", "code", "after"), [
    (Say(429, {"retry-after": "12"}), "transient", "http.429", 12.0),
    (Say(503), "resource", "http.503", None),
    (Say(500), "transient", "http.500", None),
    (Say(404, body=b"<html>"), "permanent", "http.404", None),
    (Say(200, body=b"<html>"), "transient", "slack.answer", None),
    (Say(200, body=b"[]"), "transient", "slack.answer", None),
])  # fmt: skip
def test_other_answers_have_the_class_of_their_status(
    say: Say, error_class: str, code: str, after: float | None
) -> None:
    failed = refused(say)
    assert (failed.error_class, failed.code, failed.retry_after_seconds) == (error_class, code, after)


@pytest.mark.parametrize(("say", "error_class", "code"), [
    (Say(404, body=b"no_service"), "permanent", "slack.no_service"),
    (Say(400, body=b"invalid_payload"), "permanent", "slack.invalid_payload"),
    (Say(403, body=b"action_prohibited"), "permanent", "slack.action_prohibited"),
    (Say(500, body=b"rollup_error"), "transient", "http.500"),
    (Say(429, {"retry-after": "3"}), "transient", "http.429"),
    (Say(200, body=b"<html>"), "permanent", "slack.http"),
])  # fmt: skip
def test_a_webhook_s_refusal_does_not_show_its_address(say: Say, error_class: str, code: str) -> None:
    failed = refused(say, hook=True)
    assert (failed.error_class, failed.code) == (error_class, code)
    assert "secret" not in failed.message


def test_slack_is_not_let_lead_elsewhere(slack: Answering) -> None:
    failed = refused(Say(302, {"location": slack.url()}))
    assert failed.code == "http.302"
    assert slack.accepted == 0
