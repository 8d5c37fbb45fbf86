"""What a client asks, how often and when: without a server and without waiting."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.client import (
    BusyError,
    ConflictError,
    Event,
    InvalidError,
    MissingError,
    Patience,
    ProblemError,
    RefusedError,
    RunNotSucceededError,
    UnreachableError,
    WaitTimeoutError,
)
from flowlang.client.http import wired
from flowlang.client.operations import Operation, Operations, Pause, seconds_of
from flowlang.client.requests import (
    CallPipeline,
    CancelRun,
    DeleteRun,
    GetRun,
    ListRuns,
    Lost,
    ReplayRun,
    Reply,
    SendEvents,
    in_requests,
)
from flowlang.clock import ManualClock
from flowlang.jsondata import JsonError

T = TypeVar("T")

ACCEPTED = Reply(202, b'{"events": [{"status": "accepted", "event": "e00-1"}]}')


class HalfRng:
    """No jitter: half of the way between its bounds."""

    def random(self) -> float:
        return 1.0


class Script:
    """Answers in order; time goes on by the pauses alone, and by what requests wait for where `holds` says so."""

    def __init__(self, *answers: Reply | Lost, patience: Patience | None = None, holds: bool = False) -> None:
        self.holds = holds
        self.held = 0.0
        self.answers = list(answers)
        self.asked: list[Any] = []
        self.pauses: list[float] = []
        self.ids = iter(f"id-{number}" for number in range(10_000))
        self.operations = Operations(
            patience or Patience(),
            token=lambda: next(self.ids),
            rng=HalfRng(),
            clock=ManualClock(),
            elapsed_ms=lambda: (sum(self.pauses) + self.held) * 1000,
        )

    def run(self, operation: Operation[T]) -> T:
        try:
            asked = next(operation)
            while True:
                if isinstance(asked, Pause):
                    self.pauses.append(asked.seconds)
                    asked = operation.send(None)
                else:
                    self.asked.append(asked)
                    if self.holds and isinstance(asked, GetRun):
                        self.held += asked.wait
                    asked = operation.send(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        except StopIteration as end:
            result: T = end.value
            return result


def refusal(status: int, code: str = "x", detail: str = "why", retry_after: str = "") -> Reply:
    return Reply(status, json.dumps({"code": code, "detail": detail}).encode(), retry_after)


GONE = Reply(204)


@pytest.mark.parametrize(
    ("answers", "tries", "error"),
    [
        ([GONE], 1, None),
        ([refusal(404)], 1, MissingError),
        ([Lost("reset"), refusal(404)], 2, None),
        ([refusal(503), refusal(404)], 2, None),
        ([refusal(409)], 1, ConflictError),
        ([Lost("reset"), refusal(409)], 2, ConflictError),
        ([Lost("reset")], 5, UnreachableError),
    ],
)
def test_a_run_that_is_gone_after_an_answer_was_lost_has_been_deleted(
    answers: Sequence[Reply | Lost], tries: int, error: type[Exception] | None
) -> None:
    script = Script(*answers)
    with contextlib.nullcontext() if error is None else pytest.raises(error):
        script.run(script.operations.delete("r00-1"))
    assert script.asked == [DeleteRun("r00-1")] * tries


def a_run(status: str, **more: Any) -> Reply:
    about = {"id": "r00-1", "pipeline": "p", "version": "v", "status": status, "created_at": "2026-01-01T00:00:00.000Z"}
    return Reply(200, json.dumps({"run": about | more, "event": {}, "output": 7}).encode())


def test_what_is_sent_again_is_the_same_request_with_the_same_id() -> None:
    script = Script(Lost("reset"), refusal(503), refusal(429), ACCEPTED)
    assert script.run(script.operations.send(Event("a"))).event == "e00-1"
    assert script.asked == [SendEvents((Event("a", id="id-0"),))] * 4
    assert script.pauses == [0.2, 0.4, 0.8]


@pytest.mark.parametrize(
    ("answers", "pauses", "error"),
    [
        ([Lost("no route")], [0.2, 0.4, 0.8, 1.6], UnreachableError),
        ([refusal(503)], [0.2, 0.4, 0.8, 1.6], BusyError),
        ([refusal(503, retry_after="5")], [5.0, 5.0, 5.0, 5.0], BusyError),
        ([refusal(429, retry_after="31")], [], BusyError),
        ([refusal(502), refusal(504), refusal(404)], [0.2, 0.4], MissingError),
        ([refusal(400)], [], InvalidError),
        ([refusal(413)], [], InvalidError),
        ([refusal(422)], [], InvalidError),
        ([refusal(401)], [], RefusedError),
        ([refusal(403)], [], RefusedError),
        ([refusal(409)], [], ConflictError),
        ([refusal(500)], [], ProblemError),
    ],
)
def test_only_what_may_pass_is_asked_for_again_and_not_without_end(
    answers: Sequence[Reply | Lost], pauses: list[float], error: type[Exception]
) -> None:
    script = Script(*answers)
    with pytest.raises(error) as raised:
        script.run(script.operations.run("r00-1"))
    assert type(raised.value) is error
    assert script.pauses == pauses


@given(st.integers(1, 9), st.floats(0, 20), st.floats(0, 40), st.integers(1, 9))
def test_no_pause_is_longer_than_the_longest_or_shorter_than_asked(
    tries: int, asked: float, longest: float, tried: int
) -> None:
    pause = Patience(tries, 0.2, longest).pause(tried, asked, HalfRng())
    if tried >= tries or asked > longest:
        assert pause is None
    else:
        assert pause is not None
        assert asked <= pause <= longest


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 0 ", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("٥", None),
        ("Thu, 01 Jan 2026 00:00:07 GMT", 7.0),
        ("Wed, 31 Dec 2025 23:59:00 GMT", 0.0),
    ],
)
def test_a_server_says_in_seconds_or_by_a_date_when_to_come_back(text: str, seconds: float | None) -> None:
    now_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert seconds_of(text, now_ms) == seconds


def test_many_events_go_in_requests_of_a_thousand_and_each_has_an_id() -> None:
    def answer(count: int) -> Reply:
        return Reply(202, json.dumps({"events": [{"status": "accepted"}] * count}).encode())

    script = Script(answer(1000), answer(1000), answer(1))
    events: list[Event | dict[str, Any]] = [Event("a", id="mine"), {"name": "b", "data": [1]}]
    sent = script.run(script.operations.send_many(events + [Event("c")] * 1999))
    assert len(sent) == 2001
    assert [len(request.events) for request in script.asked] == [1000, 1000, 1]
    ids = [event.id for request in script.asked for event in request.events]
    assert (ids[0], len(set(ids))) == ("mine", 2001)
    assert script.run(script.operations.send_many([])) == []


def test_large_events_go_in_several_requests_and_one_that_is_too_large_by_itself_is_answered_so() -> None:
    def answer(count: int) -> Reply:
        return Reply(202, json.dumps({"events": [{"status": "accepted"}] * count}).encode())

    large = Event("a", "x" * 1_500_000)
    script = Script(answer(2), answer(1), refusal(413, "body.too-large", "a body may have 4194304 bytes"), answer(1))
    events = [large, large, large, Event("a", "x" * 5_000_000), Event("b")]
    sent = script.run(script.operations.send_many(events))
    assert [len(request.events) for request in script.asked] == [2, 1, 1, 1]
    assert [one.status for one in sent] == ["accepted"] * 3 + ["too_large", "accepted"]
    script = Script(refusal(413, "body.too-large"))
    with pytest.raises(InvalidError):
        script.run(script.operations.send_many([Event("a"), Event("b")]))


@given(st.lists(st.integers(0, 2_500_000), max_size=30))
def test_requests_hold_all_events_in_order_and_none_holds_too_much(sizes: list[int]) -> None:
    events = [Event("a", "x" * size, id=str(number)) for number, size in enumerate(sizes)]
    batches = list(in_requests(events))
    assert [event for batch in batches for event in batch] == events
    for batch in batches:
        assert len(batch) == 1 or len(json.dumps([event.data for event in batch])) <= 4_000_000 + 1000


@pytest.mark.parametrize("data", [{"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"x": float("nan")}, {1: 2}, 2**64])
def test_data_that_json_cannot_carry_is_not_sent(data: Any) -> None:
    script = Script(ACCEPTED)
    with pytest.raises(JsonError):
        script.run(script.operations.send(Event("a", data)))
    assert script.asked == []


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [("invalid", InvalidError, "data.invalid"), ("refused", RefusedError, "event.refused"), ("too_large", InvalidError, "body.too-large")],
)  # fmt: skip
def test_an_event_that_was_not_taken_is_an_error_when_it_was_alone(
    status: str, error: type[ProblemError], code: str
) -> None:
    body = {"events": [{"status": status, "message": "no", "failures": [{"path": "data.n", "message": "is missing"}]}]}
    script = Script(Reply(207, json.dumps(body).encode()))
    with pytest.raises(error, match="no") as raised:
        script.run(script.operations.send(Event("a")))
    assert (raised.value.code, raised.value.failures[0].path) == (code, "data.n")


def test_a_run_is_looked_at_less_and_less_often_until_it_has_ended() -> None:
    script = Script(Reply(202, b'{"id": "r00-1", "new": true}'), *[a_run("running")] * 12, a_run("succeeded"))
    run = script.run(script.operations.call_and_wait("p", {}, None, 60))
    assert (run.status, run.output) == ("succeeded", 7)
    assert script.asked == [CallPipeline("p", {}, "id-0")] + [GetRun("r00-1", wait=30)] * 13
    assert script.pauses == sorted(script.pauses)
    assert (script.pauses[0], script.pauses[-1]) == (0.05, 2.0)


@pytest.mark.parametrize("status", ["failed", "cancelled", "skipped"])
def test_a_run_that_ends_otherwise_is_an_error_that_has_the_run(status: str) -> None:
    script = Script(a_run("pending"), a_run(status))
    with pytest.raises(RunNotSucceededError, match=f"r00-1 of p has ended as {status}") as raised:
        script.run(script.operations.wait("r00-1", 60))
    assert raised.value.run.status == status


def test_a_server_that_lets_requests_wait_is_asked_again_at_once_and_never_beyond_the_time() -> None:
    script = Script(a_run("running"), holds=True)
    with pytest.raises(WaitTimeoutError, match=r"is running after 75\.5 s"):
        script.run(script.operations.wait("r00-1", 75.5))
    assert script.asked == [GetRun("r00-1", wait=wait) for wait in (30.0, 30.0, 15.5)]
    assert script.pauses == []


def test_where_no_further_request_may_wait_a_run_is_looked_at_between_pauses() -> None:
    full, running = refusal(503, "waiting.full", retry_after="1"), a_run("running")
    script = Script(full, running, full, running, running, a_run("succeeded"))
    assert script.run(script.operations.wait("r00-1", 60, reveal=True)).output == 7
    assert [(request.wait, request.reveal) for request in script.asked] == [
        (30, True), (0, True), (30, True), (0, True), (30, True), (30, True),
    ]  # fmt: skip
    assert script.pauses == [0.05, pytest.approx(0.075), pytest.approx(0.1125)]


@pytest.mark.parametrize("cut", [Lost("reset"), refusal(502), refusal(504)])
def test_what_hangs_up_on_a_request_that_waits_is_sent_shorter_ones_and_in_the_end_none(cut: Reply | Lost) -> None:
    running = a_run("running")
    script = Script(*[cut, running] * 6, running, a_run("succeeded"))
    assert script.run(script.operations.wait("r00-1", 600)).status == "succeeded"
    asked = [30, 0, 15, 0, 7.5, 0, 3.75, 0, 1.875, 0, 0.9375, 0, 0, 0]
    assert script.asked == [GetRun("r00-1", wait=wait) for wait in asked]
    assert len(script.pauses) == 7


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_without_waiting_and_with_patience(status: int) -> None:
    script = Script(refusal(status), refusal(status), a_run("running"), a_run("succeeded"))
    script.run(script.operations.wait("r00-1", 600))
    assert [request.wait for request in script.asked] == [30, 0, 0, 30]
    with pytest.raises(BusyError):
        Script(refusal(status)).run(script.operations.wait("r00-1", 600))


@pytest.mark.parametrize(("status", "error"), [(404, MissingError), (403, RefusedError), (422, InvalidError)])
def test_a_refusal_of_a_request_that_waits_is_raised_at_once(status: int, error: type[Exception]) -> None:
    script = Script(refusal(status))
    with pytest.raises(error):
        script.run(script.operations.wait("r00-1", 60))
    assert script.asked == [GetRun("r00-1", wait=30)]


def test_waiting_has_an_end_of_which_the_run_knows_nothing() -> None:
    script = Script(a_run("running"))
    with pytest.raises(WaitTimeoutError, match="is running after 10 s; it goes on"):
        script.run(script.operations.wait("r00-1", 10))
    assert sum(script.pauses) == pytest.approx(10)


def test_a_run_that_was_merged_into_another_one_ends_with_it() -> None:
    script = Script(a_run("skipped", merged_into="r00-2"), a_run("succeeded"))
    script.run(script.operations.wait("r00-1", 60))
    assert script.asked == [GetRun("r00-1", wait=30), GetRun("r00-2", wait=30)]


def test_cancelling_a_run_that_has_ended_is_no_error() -> None:
    script = Script(Reply(202, b"{}"))
    assert script.run(script.operations.cancel("r00-1")) is True
    script = Script(refusal(409, "run.ended"))
    assert script.run(script.operations.cancel("r00-1")) is False
    script = Script(refusal(409, "replay.refused"))
    with pytest.raises(ConflictError):
        script.run(script.operations.cancel("r00-1"))


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"events": 7}'])
def test_an_answer_that_is_not_ours_is_told_as_one(body: bytes) -> None:
    script = Script(Reply(200, body))
    with pytest.raises(ProblemError, match="what answers is not FlowLang"):
        script.run(script.operations.send(Event("a")))
    script = Script(Reply(404, body))
    with pytest.raises(MissingError, match="404 http"):
        script.run(script.operations.run("r00-1"))


@pytest.mark.parametrize(
    ("request_", "method", "path", "body"),
    [
        (SendEvents((Event("a", {"n": 1}, "i"),)), "POST", "/events", [{"name": "a", "data": {"n": 1}, "id": "i"}]),
        (CallPipeline("p", [1], "k"), "POST", "/pipelines/p/runs", {"data": [1]}),
        (CallPipeline("../x?y", 1, "k"), "POST", "/pipelines/..%2Fx%3Fy/runs", {"data": 1}),
        (ReplayRun("r", "k"), "POST", "/runs/r/replay", {}),
        (ReplayRun("r", "k", "pay", None, dry_run=True), "POST", "/runs/r/replay", {"from": "pay", "data": None, "dry_run": True}),
        (CancelRun("r"), "POST", "/runs/r/cancel", None),
        (DeleteRun("r"), "DELETE", "/runs/r", None),
        (GetRun("r/../x"), "GET", "/runs/r%2F..%2Fx", None),
        (GetRun("r", reveal=True, wait=1.5), "GET", "/runs/r", None),
        (ListRuns("p", None, "r", 7), "GET", "/runs", None),
    ],
)  # fmt: skip
def test_requests_are_written_for_http(request_: Any, method: str, path: str, body: Any) -> None:
    wire = wired(request_)
    assert (wire.method, wire.path) == (method, path)
    assert (None if wire.body is None else json.loads(wire.body)) == body
    assert wire.params == {
        ListRuns: {"pipeline": "p", "before": "r", "limit": 7},
        GetRun: {"reveal": "true", "wait": "1.500"} if getattr(request_, "wait", 0) else {},
    }.get(type(request_), {})
    assert wire.waits == getattr(request_, "wait", 0)
    assert wire.headers == ({"idempotency-key": "k"} if hasattr(request_, "key") else {})
