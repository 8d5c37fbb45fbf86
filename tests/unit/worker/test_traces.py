"""The trace of an event goes with its runs: to handlers, into logs, and on with all that the runs send."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from flowlang import Context, handler
from flowlang.plan import Emit, EventTrigger, Invoke, Manifest, Observe, OtlpReceiver, Plan, Step, Uses
from flowlang.service import IncomingEvent
from flowlang.telemetry import Trace, read_trace, span_id, trace_id
from flowlang.worker.logfields import AttemptFields
from tests.standin.keys import TELEMETRY_KEY
from tests.standin.server import Standin
from tests.unit.worker.test_observing import standin, taken
from tests.unit.worker.test_process import World

__all__ = ["standin"]

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True, state="vendor=x")


class Stage:
    """Three pipelines: `first` calls a handler, invokes `child` and emits what starts `second`."""

    def __init__(self, observe: Observe | None = None) -> None:
        self.seen: dict[str, Mapping[str, str]] = {}
        self.records: list[logging.LogRecord] = []

        @handler("t.look", effect="pure")
        def look(ctx: Context) -> None:
            self.seen[ctx.run.pipeline] = ctx.trace_headers
            record = logging.LogRecord("x", logging.INFO, "x", 1, "x", None, None)
            AttemptFields().filter(record)
            self.records.append(record)

        self.world = World(look)
        call = Step(0, "look", Uses("t.look"))
        plans = (
            Plan(
                "first",
                (call, Step(1, "child", Invoke("child", {})), Step(2, "tell", Emit("c/d", {}))),
                (0, 1, 2),
                triggers=(EventTrigger(("a/b",)),),
            ),
            Plan("child", (call,), (0,)),
            Plan("second", (call,), (0,), triggers=(EventTrigger(("c/d",)),)),
            Plan("after", (call,), (0,), triggers=(EventTrigger(("pipeline/second.succeeded",)),)),
        )
        manifest = Manifest("test", {plan.pipeline: plan.digest for plan in plans}, observe=observe)
        self.world.service.deploy(manifest, plans)

    def play(self, trace: Trace | None) -> str:
        """Send the event and let all that follows from it end; returns the first run."""
        with self.world.worker():
            answer = self.world.service.ingest([IncomingEvent("a/b", trace=trace)])[0]
            for pipeline in ("first", "second", "after"):
                for run in self.world.service.runs(pipeline=pipeline):
                    self.world.ended(run.id)
        return answer.runs[0].id

    def events(self) -> dict[str, Any]:
        """The event of each pipeline's run."""
        service = self.world.service
        return {run.pipeline: service.run(run.id).event for run in service.runs()}


def test_all_that_follows_from_an_event_belongs_to_its_trace() -> None:
    stage = Stage()
    stage.play(TRACE)

    assert stage.seen == dict.fromkeys(("first", "child", "second", "after"), TRACE.headers())
    assert {event.trace for event in stage.events().values()} == {TRACE}
    assert {record.__dict__["trace"] for record in stage.records} == {TRACE.trace}


def test_what_follows_from_an_event_without_a_trace_has_none() -> None:
    stage = Stage()
    stage.play(None)

    assert stage.seen == {name: {} for name in ("first", "child", "second", "after")}
    assert {event.trace for event in stage.events().values()} == {None}
    assert not any("trace" in record.__dict__ for record in stage.records)


def observed(standin: Standin) -> Observe:
    return Observe(otlp=OtlpReceiver(f"{standin.base_url}/telemetry", {"x-api-key": "${{ secrets.TELEMETRY_KEY }}"}))


def test_spans_lie_in_the_trace_below_what_came_before(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEMETRY_KEY", TELEMETRY_KEY)
    stage = Stage(observed(standin))
    run = stage.play(TRACE)

    spans = {(span["name"], span["spanId"]): span for span in taken(standin, "spans")}
    assert {span["traceId"] for span in spans.values()} == {TRACE.trace}
    runs = {name: span for (name, _), span in spans.items() if name != "look"}
    first = runs["first"]
    assert (first["spanId"], first["parentSpanId"]) == (span_id(run), TRACE.span)
    assert runs["child"]["parentSpanId"] == runs["second"]["parentSpanId"] == first["spanId"]
    assert runs["after"]["parentSpanId"] == runs["second"]["spanId"]
    for headers in stage.seen.values():
        place = read_trace(headers)
        assert place is not None
        assert (place.trace, place.sampled, place.state) == (TRACE.trace, True, "vendor=x")
        assert ("look", place.span) in spans


def test_where_spans_are_told_a_handler_is_in_the_trace_of_its_run(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMETRY_KEY", TELEMETRY_KEY)
    stage = Stage(observed(standin))
    run = stage.play(None)

    place = read_trace(stage.seen["first"])
    assert place is not None
    assert (place.trace, place.sampled) == (trace_id(run), True)
    assert place.span in {span["spanId"] for span in taken(standin, "spans") if span["traceId"] == trace_id(run)}
