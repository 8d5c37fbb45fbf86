"""Commands hide what is marked unless they are asked to show it."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.plan import EventSchema, EventTrigger, Manifest, Plan, SetValues, Step
from tests.unit.cli.desk import Desk

SCHEMA = {"properties": {"email": {"type": "string", "x-sensitive": True}, "n": {"type": "integer"}}}
EMAIL = "zoe@example.com"
PLANS = (
    Plan(
        pipeline="mail",
        triggers=(EventTrigger(("shop/mailed",)),),
        steps=(Step(0, "a", SetValues({"to": "${{ event.data.email }}"})),),
        block=(0,),
    ),
    Plan(
        pipeline="wrong",
        triggers=(
            EventTrigger(
                ("shop/mailed",), condition="event.data.email.matches(event.data.email + '[') && event.data.n > 0"
            ),
        ),
        steps=(),
        block=(),
    ),
)


@pytest.fixture
def mailed(desk: Desk) -> dict[str, Any]:
    manifest = Manifest(
        "t", {plan.pipeline: plan.digest for plan in PLANS}, events=(EventSchema("shop/mailed", SCHEMA),)
    )
    desk.service.deploy(manifest, PLANS)
    return desk.read("send", "shop/mailed", f'{{"email": "{EMAIL}", "n": 1}}', status=1)


@pytest.mark.parametrize("json", [False, True])
def test_runs_and_dead_letters_are_shown_without_what_is_marked(desk: Desk, mailed: dict[str, Any], json: bool) -> None:
    answer = mailed["answer"]
    run, letter = answer["runs"][0]["id"], answer["event"]
    for arguments in (("runs", "show", run), ("dead-letters", "show", letter)):
        hidden = desk.call(*arguments, *(["--json"] if json else [])).output
        shown = desk.call(*arguments, "--reveal", *(["--json"] if json else [])).output
        assert EMAIL not in hidden
        if json or letter in arguments:
            assert EMAIL in shown
            assert "***" in hidden


def test_what_a_letter_would_be_sent_with_is_shown_without_what_is_marked(desk: Desk, mailed: dict[str, Any]) -> None:
    letter = mailed["answer"]["event"]
    edit = ("dead-letters", "retry", letter, "--dry-run", "--edit", "{'email': event.data.email, 'n': 2}")
    hidden, shown = desk.call(*edit).output, desk.call(*edit, "--reveal").output
    assert EMAIL not in hidden
    assert '"n": 2' in hidden
    assert EMAIL in shown
