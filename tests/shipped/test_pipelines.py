"""The shipped pipelines with their own handlers against the stand-in, on virtual time: each branch, and trouble on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowlang.engine.turn import Call
from flowlang.handler.context import RunInfo
from flowlang.handler.discover import discover
from flowlang.handler.env import Env
from flowlang.pipeline_tests.real import simulated
from flowlang.project import load_project
from flowlang.simulate import Finished, Simulation
from flowlang.worker.completion import Attempt, AttemptFailed, Succeeded
from flowlang.worker.runner import Runner
from tests.standin import Fault, Standin

ROOT = Path(__file__).parents[2]

DAY_MS = 86_400_000

INDEX = "index-lessons"


class Platform:
    """The shipped project in a simulation whose handlers are the real ones, calling the stand-in."""

    def __init__(self, standin: Standin) -> None:
        self.standin = standin
        environment = standin.environment()
        project = load_project(ROOT, environ=environment, deploying=True)
        assert project.manifest is not None, project.diagnostics
        found = discover(ROOT, entry_points=False)
        self.runner = Runner(found.registry, env=Env(environment))
        self.sim = Simulation(
            list(project.plans.values()),
            dict.fromkeys(found.registry, self._call),
            schemas=project.manifest.events,
        )

    def _call(self, call: Call) -> Any:
        run = RunInfo("r00-test", "test", "v")
        attempt = Attempt(call.handler, call.arguments, run, call.instance, call.attempt, call.idempotency_key, 30.0)
        outcome = self.runner.start(attempt).result(30)
        if isinstance(outcome, Succeeded):
            return outcome.output
        assert isinstance(outcome, AttemptFailed)
        raise simulated(outcome.failure)

    def paid(self, session: str, event: str = "evt_1") -> list[str]:
        """A checkout was paid, as the webhook passes it on."""
        body = self.standin.stripe.session_event(session, event)
        return self.sim.send("stripe/checkout.session.completed", body["data"]["object"], ident=event)

    def ended(self, pipeline: str) -> Finished:
        """The one run of a pipeline."""
        self.sim.run_until_idle()
        rows = self.sim.store.runs(pipeline=pipeline)
        assert len(rows) == 1, rows
        return self.sim.finished(rows[0].id)

    def done(self, route: str) -> int:
        """How often a service did what it was asked for."""
        return sum(call.status < 300 for call in self.standin.calls(route))


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Standin() as standin:
        platform = Platform(standin)
        try:
            yield platform
        finally:
            platform.runner.close()


def test_a_lifetime_purchase_goes_from_the_checkout_to_the_mail(platform: Platform) -> None:
    platform.paid("cs_lifetime")
    purchase = platform.ended("lifetime-purchase")
    assert purchase.status == "succeeded"
    assert len(purchase.output["cancelled"]) == 2
    checkout = platform.ended("stripe-checkout-completed")
    assert checkout.output == {"courses": [], "lifetime": True}
    assert [platform.done(route) for route in ("stripe.cancel_subscription", "mail.send", "slack.post")] == [2, 1, 1]


def test_a_checkout_that_is_delivered_twice_is_handled_once(platform: Platform) -> None:
    first = platform.paid("cs_lifetime", "evt_1")
    assert platform.paid("cs_lifetime", "evt_2") == first
    assert platform.ended("lifetime-purchase").status == "succeeded"
    assert platform.done("academy.grant_lifetime") == 1


def test_a_course_and_a_sticker_take_the_other_branches(platform: Platform) -> None:
    platform.paid("cs_course", "evt_course")
    platform.sim.run_until_idle()
    platform.paid("cs_sticker", "evt_sticker")
    platform.sim.run_until_idle()
    outputs = [platform.sim.finished(row.id).output for row in platform.sim.store.runs()]
    assert outputs == [{"courses": [], "lifetime": False}, {"courses": ["prod_rust_course"], "lifetime": False}]
    assert platform.done("mail.send") == 0


@pytest.mark.parametrize(
    ("session", "pipeline", "code"),
    [
        ("cs_lifetime_gone", "lifetime-purchase", "customer.deleted"),
        ("cs_lifetime_guest", "stripe-checkout-completed", "purchase.without_customer"),
    ],
)
def test_what_cannot_be_sold_is_a_dead_letter_and_an_alarm(
    platform: Platform, session: str, pipeline: str, code: str
) -> None:
    platform.paid(session)
    run = platform.ended(pipeline)
    assert (run.status, run.error.code if run.error else "") == ("failed", code)
    assert run.records["alarm"].status == "succeeded"
    assert [letter.id for letter in platform.sim.store.dead_letters()] == [run.id]
    assert platform.done("academy.grant_lifetime") == 0


def test_a_purchase_stands_though_its_mail_and_note_do_not_arrive(platform: Platform) -> None:
    platform.standin.fail(Fault("mail.send", status=400, times=0))
    platform.paid("cs_lifetime")
    run = platform.ended("lifetime-purchase")
    assert run.status == "succeeded"
    assert (run.statuses()["confirmation"], run.statuses()["undelivered"]) == ("succeeded", "succeeded")


def test_each_call_that_is_tried_again_carries_its_key(platform: Platform) -> None:
    platform.standin.fail(
        Fault("academy.grant_lifetime", status=503, times=2),
        Fault("stripe.cancel_subscription", status=429, retry_after=7),
    )
    platform.paid("cs_lifetime")
    run = platform.ended("lifetime-purchase")
    assert run.status == "succeeded"
    assert run.records["access"].attempts == 3
    cancelled = sorted(run.records[f"cancellations[{n}]"].attempts for n in range(2))
    assert cancelled == [1, 2]
    assert len({call.key for call in platform.standin.calls("academy.grant_lifetime")}) == 1


@pytest.mark.parametrize(("slug", "attached"), [("async-python", True), ("no-such-module", False), (None, False)])
def test_a_video_is_attached_where_its_module_exists(platform: Platform, slug: str | None, attached: bool) -> None:
    data = {"url": "https://example.com/v.mp4", "file_name": "v.mp4"}
    platform.sim.send("video/uploaded", data if slug is None else {**data, "module_slug": slug})
    run = platform.ended("video-uploaded")
    assert run.status == "succeeded"
    assert run.output["attached"] is attached
    assert run.records["transcript"].status == "succeeded"
    assert platform.done("academy.attach") == int(attached)


def test_the_nightly_tick_indexes_200_lessons_at_most_20_at_a_time(platform: Platform) -> None:
    platform.sim.clock.advance(DAY_MS)
    platform.sim.tick()
    run = platform.ended(INDEX)
    assert run.status == "succeeded"
    assert run.output == {"indexed": 200, "failed": []}
    assert platform.done("search.notify") == 200
    assert len({call.body["url"] for call in platform.standin.calls("search.notify")}) == 200
    platform.sim.tick()
    assert len(platform.sim.store.runs(pipeline=INDEX)) == 1


@pytest.mark.parametrize(("refused", "status"), [(20, "succeeded"), (21, "failed")])
def test_a_tenth_of_the_lessons_may_fail_and_no_more(platform: Platform, refused: int, status: str) -> None:
    platform.standin.fail(Fault("search.notify", status=400, times=refused))
    platform.sim.send("lessons/index-requested", {"reason": "test"})
    run = platform.ended(INDEX)
    assert run.status == status
    assert platform.done("slack.post") == 1  # the alarm, whichever it is
    if status == "succeeded":
        assert (run.output["indexed"], len(run.output["failed"])) == (180, 20)
