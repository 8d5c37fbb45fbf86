"""What others are told of runs, and that nothing of theirs touches a run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from flowlang import handler
from flowlang.clock import ManualClock
from flowlang.engine.ports import DeadRow
from flowlang.handler.env import Secrets
from flowlang.plan import (
    EventTrigger,
    Fail,
    Manifest,
    Observe,
    OtlpReceiver,
    Plan,
    PosthogReceiver,
    RetryRule,
    SlackReceiver,
    Step,
    Uses,
)
from flowlang.service import IncomingEvent
from flowlang.simulate import Simulation
from flowlang.store.codec import PlainSealer
from flowlang.worker.observing import observers
from flowlang.worker.observing.letters import BACK_MS, MOST, Letters
from flowlang.worker.observing.observers import Observers
from flowlang.worker.observing.receivers import (
    AttemptSeen,
    RunSeen,
    is_bug,
    otlp_traces,
    posthog_batch,
    slack_text,
)
from flowlang.worker.observing.sender import Sender
from tests.standin.faults import Fault
from tests.standin.keys import SLACK_BOT_TOKEN, TELEMETRY_KEY
from tests.standin.server import Standin
from tests.unit.worker.test_process import World, until

ERROR = {"class": "bug", "code": "bug.value_error", "message": "a `b` <!channel> & c", "step": "pay[3]"}
RUN = RunSeen("r00-1", "orders", "v1", "failed", 1_000, 3_500, root="r00-0", parent="r00-0", error=ERROR)
ATTEMPT = AttemptSeen("r00-1", "orders", "v1", "r00-0", "pay[3]", "shop.pay", 2, 1_200, 1_300)


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as started:
        yield started


def taken(standin: Standin, what: str) -> list[Any]:
    found: list[Any] = standin.services["telemetry"].state()[what]
    return found


# What is sent --------------------------------------------------------------------------------------------------------


def spans(*seen: Any) -> list[dict[str, Any]]:
    (resource,) = otlp_traces("shop", seen)["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "shop"}}]
    found: list[dict[str, Any]] = resource["scopeSpans"][0]["spans"]
    return found


def test_attempts_lie_below_their_run_and_runs_below_the_one_that_invoked_them() -> None:
    root = RunSeen("r00-0", "checkout", "v1", "succeeded", 900, 4_000)
    above, below, attempt = spans(root, RUN, ATTEMPT)

    assert "parentSpanId" not in above
    assert below["parentSpanId"] == above["spanId"]
    assert attempt["parentSpanId"] == below["spanId"]
    assert len({above["traceId"], below["traceId"], attempt["traceId"]}) == 1
    assert (len(above["traceId"]), len(above["spanId"])) == (32, 16)


def test_a_span_has_times_names_and_how_it_ended() -> None:
    run, attempt = spans(RUN, ATTEMPT)

    assert (run["startTimeUnixNano"], run["endTimeUnixNano"]) == ("1000000000", "3500000000")
    assert run["status"] == {"code": 2, "message": ERROR["message"]}
    assert {"key": "error.type", "value": {"stringValue": "bug.value_error"}} in run["attributes"]
    assert attempt["status"] == {"code": 1}
    assert {"key": "flowlang.attempt", "value": {"intValue": "2"}} in attempt["attributes"]
    assert (run["name"], attempt["name"]) == ("orders", "pay[3]")


def test_each_attempt_has_a_span_of_its_own() -> None:
    attempts = [AttemptSeen("r", "p", "v", "", "s", "h", number, 5 * number, 6) for number in (1, 2, 3)]

    assert len({span["spanId"] for span in spans(*attempts)}) == 3


def test_an_outcome_is_an_event_of_no_person_with_an_id_that_stays_the_same() -> None:
    batch = posthog_batch("shop", "key", [RUN])

    assert batch["api_key"] == "key"
    (event,) = batch["batch"]
    assert (event["event"], event["distinct_id"]) == ("run failed", "flowlang/shop")
    assert event["properties"] == {
        "project": "shop",
        "pipeline": "orders",
        "version": "v1",
        "run": "r00-1",
        "status": "failed",
        "duration_ms": 2_500,
        "$process_person_profile": False,
        "error_class": "bug",
        "error_code": "bug.value_error",
    }
    assert event == posthog_batch("shop", "key", [RUN])["batch"][0]


def test_a_message_says_what_failed_and_pings_nobody() -> None:
    letter = DeadRow("r00-1", "run", "orders", 1, b"")
    text = slack_text(letter, msgspec.json.encode({"error": ERROR}))

    assert text.startswith("`orders` failed at `pay[3]`: bug `bug.value_error` a 'b' &lt;!channel&gt; &amp; c")
    assert text.endswith("`flowlang dead-letters show r00-1`")


@pytest.mark.parametrize(("kind", "error_class", "is_one"), [("run", "bug", True), ("run", "permanent", False)])
def test_a_bug_is_told_from_other_failures(kind: Any, error_class: str, is_one: bool) -> None:
    assert is_bug(DeadRow("r", kind, "p", 1, b""), msgspec.json.encode({"error": {"class": error_class}})) is is_one


# Sending -------------------------------------------------------------------------------------------------------------


def test_more_than_there_is_room_for_is_dropped_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender("otlp", lambda _: None, room=3)

    for number in range(10):
        sender.put(number)

    assert sender.dropped == 7
    assert [record.message for record in caplog.records] == [
        f"otlp: {count} dropped so far; it is slower than what happens" for count in (1, 2, 4)
    ]


def test_a_request_is_tried_again_and_then_dropped(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[Sequence[Any]] = []
    pauses: list[float] = []

    def post(items: Sequence[Any]) -> None:
        tries.append(items)
        raise OSError("no route to whsec_1")

    sender = Sender("slack", post, redact=lambda text: text.replace("whsec_1", "[secret]"), pause=pauses.append)
    sender.send(["a", "b"])

    assert (len(tries), pauses, sender.sent, sender.dropped) == (3, [1.0, 2.0], 0, 2)
    assert caplog.records[0].message == "slack: 2 dropped so far; OSError: no route to [secret]"


def test_what_waits_is_sent_together_and_before_the_end() -> None:
    sent: list[list[Any]] = []
    sender = Sender("otlp", lambda items: sent.append(list(items)), batch=3)
    for number in range(5):
        sender.put(number)

    sender.start()
    sender.stop()

    assert sent == [[0, 1, 2], [3, 4]]
    assert sender.sent == 5


def test_an_end_does_not_wait_for_a_receiver_that_hangs() -> None:
    hanging = threading.Event()

    def hang(_: Any) -> None:
        hanging.wait(60)

    sender = Sender("otlp", hang)
    sender.start()
    sender.put(1)

    sender.stop(timeout=0.05)
    hanging.set()


# Dead letters --------------------------------------------------------------------------------------------------------


class Desk:
    """A store with failing pipelines, and processes that look for dead letters."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        plans = [Plan(name, (Step(0, "bad", Fail(error_class=name)),), (0,)) for name in ("permanent", "bug")]
        self.simulation = Simulation(plans, {}, clock=self.clock)
        self.told: list[str] = []
        self.dropped = 0

    def fail(self, pipeline: str = "permanent") -> None:
        self.simulation.call(pipeline)
        self.simulation.run_until_idle()

    def process(self) -> Letters:
        return Letters(self.simulation.store, PlainSealer(), self.told.append, self._drop)

    def _drop(self, count: int) -> None:
        self.dropped += count


ALL = SlackReceiver()
BUGS = SlackReceiver(("bug",))


def test_a_letter_is_told_once_by_any_number_of_processes() -> None:
    desk = Desk()
    processes = [desk.process() for _ in range(3)]
    for _ in range(2):
        desk.fail()
        desk.clock.advance(1_000)
        for process in (*processes, *processes):
            process.look(ALL)

    desk.process().look(ALL)

    assert len(desk.told) == 2


def test_several_of_the_same_moment_are_all_told() -> None:
    desk = Desk()
    process = desk.process()
    desk.fail()
    process.look(ALL)
    desk.fail()
    process.look(ALL)

    assert len(desk.told) == 2


@pytest.mark.parametrize(("receiver", "count"), [(BUGS, 1), (ALL, 2), (SlackReceiver(("dead_letter", "bug")), 2)])
def test_who_wants_bugs_hears_of_bugs(receiver: SlackReceiver, count: int) -> None:
    desk = Desk()
    desk.fail("permanent")
    desk.fail("bug")

    desk.process().look(receiver)

    assert len(desk.told) == count


def test_a_process_that_starts_tells_what_came_while_none_was_there_and_no_old_news() -> None:
    desk = Desk()
    desk.fail()
    desk.clock.advance(BACK_MS + 1)
    desk.fail()
    desk.clock.advance(1_000)

    desk.process().look(ALL)

    assert len(desk.told) == 1


def test_of_a_flood_the_newest_are_told_and_the_rest_counted() -> None:
    desk = Desk()
    for _ in range(MOST + 5):
        desk.fail()
        desk.clock.advance(1)

    desk.process().look(ALL)

    assert len(desk.told) == MOST
    assert desk.dropped >= 1


# Receivers -----------------------------------------------------------------------------------------------------------


def observing(standin: Standin, **receivers: Any) -> Observers:
    made = Observers(
        Simulation([], {}).store,
        PlainSealer(),
        Secrets(
            {
                "SLACK_TOKEN": SLACK_BOT_TOKEN,
                "KEY": TELEMETRY_KEY,
                "HOOK": f"{standin.base_url}/telemetry/hook/{TELEMETRY_KEY}",
            }
        ),
        slack_api=f"{standin.base_url}/slack/api/chat.postMessage",
    )
    env = {"COLLECTOR": f"{standin.base_url}/telemetry"}
    made.configure(Manifest("shop", {}, observe=Observe(env=env, **receivers)))
    return made


OTLP = OtlpReceiver("${{ env.COLLECTOR }}", {"x-api-key": "${{ secrets.KEY }}"})
POSTHOG = PosthogReceiver("${{ env.COLLECTOR }}/", "${{ secrets.KEY }}")


def test_runs_and_attempts_become_spans_and_outcomes(standin: Standin) -> None:
    made = observing(standin, otlp=OTLP, posthog=POSTHOG)

    made.attempt_ended(lambda: ATTEMPT)
    made.run_ended(lambda: RUN)
    made.close()

    assert [span["name"] for span in taken(standin, "spans")] == ["pay[3]", "orders"]
    assert [event["event"] for event in taken(standin, "events")] == ["run failed"]


def test_a_receiver_that_is_away_for_a_moment_loses_nothing(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowlang.worker.observing.sender.PAUSE_S", 0.0)
    standin.fail(Fault("telemetry.traces", status=503, times=2))
    made = observing(standin, otlp=OTLP)

    made.run_ended(lambda: RUN)
    until(lambda: len(taken(standin, "spans")) == 1)
    made.close()


def test_nobody_is_told_when_nobody_is_named(standin: Standin) -> None:
    made = observing(standin)

    made.attempt_ended(lambda: ATTEMPT)
    made.run_ended(lambda: RUN)
    made.close()

    assert standin.calls() == []


def test_a_deploy_that_names_others_is_heeded(standin: Standin) -> None:
    made = observing(standin, otlp=OTLP)
    made.configure(
        Manifest("shop", {}, observe=Observe(posthog=POSTHOG, env={"COLLECTOR": f"{standin.base_url}/telemetry"}))
    )

    made.run_ended(lambda: RUN)
    made.close()

    assert (taken(standin, "spans"), len(taken(standin, "events"))) == ([], 1)


SLACKS = [
    pytest.param(SlackReceiver(channel="ops", token="${{ secrets.SLACK_TOKEN }}"), id="with a token"),
    pytest.param(SlackReceiver(webhook="${{ secrets.HOOK }}"), id="by a webhook"),
]


@pytest.mark.parametrize("receiver", SLACKS)
def test_slack_is_told(
    standin: Standin, receiver: SlackReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(observers, "LOOK_S", 0.01)
    desk = Desk()
    desk.fail()
    made = Observers(
        desk.simulation.store,
        PlainSealer(),
        Secrets({"SLACK_TOKEN": SLACK_BOT_TOKEN, "HOOK": f"{standin.base_url}/telemetry/hook/{TELEMETRY_KEY}"}),
        slack_api=f"{standin.base_url}/slack/api/chat.postMessage",
    )
    made.configure(Manifest("shop", {}, observe=Observe(slack=receiver)))

    until(lambda: bool(taken(standin, "texts") or standin.services["slack"].state()["taken"]))
    made.close()

    assert TELEMETRY_KEY not in caplog.text
    assert SLACK_BOT_TOKEN not in caplog.text
    (text,) = taken(standin, "texts") or [body["text"] for body in standin.services["slack"].state()["taken"]]
    assert text.startswith("`permanent` failed")


def test_what_slack_refuses_is_counted_and_no_secret_is_logged(
    standin: Standin, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observers, "LOOK_S", 0.01)
    monkeypatch.setattr("flowlang.worker.observing.sender.PAUSE_S", 0.0)
    desk = Desk()
    desk.fail()
    made = Observers(
        desk.simulation.store,
        PlainSealer(),
        Secrets({"HOOK": f"{standin.base_url}/telemetry/hook/not-the-key"}),
    )
    made.configure(Manifest("shop", {}, observe=Observe(slack=SlackReceiver(webhook="${{ secrets.HOOK }}"))))

    until(lambda: any("slack: 1 dropped" in record.message for record in caplog.records))
    made.close()

    assert "not-the-key" not in caplog.text


# A whole process ------------------------------------------------------------------------------------------------------


def test_receivers_that_fail_never_touch_a_run(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    standin.fail(Fault("telemetry.*", status=500, times=0))
    monkeypatch.setenv("TELEMETRY_KEY", TELEMETRY_KEY)
    caplog.set_level(logging.ERROR)
    world, ids = _world(standin)
    with world.worker():
        assert [world.ended(run).run.status for run in ids()] == ["succeeded"] * 3


def test_a_worker_process_tells_of_its_attempts_and_runs(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRY_KEY", TELEMETRY_KEY)
    world, ids = _world(standin)
    with world.worker():
        runs = ids()
        for run in runs:
            world.ended(run)

    found = taken(standin, "spans")
    assert sorted(span["name"] for span in found) == ["a"] * 4 + ["p"] * 3
    by_id = {span["spanId"]: span["name"] for span in found}
    assert {by_id[span["parentSpanId"]] for span in found if span["name"] == "a"} == {"p"}
    assert sum(span["status"]["code"] == 2 for span in found) == 1
    assert [event["event"] for event in taken(standin, "events")] == ["run succeeded"] * 3


def _world(standin: Standin) -> tuple[World, Any]:
    """A pipeline whose very first attempt fails, and a way to start three runs of it."""
    failed = threading.Event()

    @handler("t.flaky", effect="pure")
    def flaky() -> int:
        if not failed.is_set():
            failed.set()
            raise ConnectionError("once")
        return 1

    world = World(flaky)
    retry = ((RetryRule(attempts=3, initial_ms=1, jitter="none"),),)
    plan = Plan("p", (Step(0, "a", Uses("t.flaky"), retry=retry),), (0,), triggers=(EventTrigger(("a/b",)),))
    observe = Observe(
        otlp=OtlpReceiver(f"{standin.base_url}/telemetry", {"x-api-key": "${{ secrets.TELEMETRY_KEY }}"}),
        posthog=PosthogReceiver(f"{standin.base_url}/telemetry", "${{ secrets.TELEMETRY_KEY }}"),
    )
    world.service.deploy(Manifest("test", {"p": plan.digest}, observe=observe), [plan])

    def start() -> list[str]:
        return [answer.runs[0].id for answer in world.service.ingest([IncomingEvent(name="a/b")] * 3)]

    return world, start
