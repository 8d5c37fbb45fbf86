"""The requests to the receivers of `observe`: pure functions from what has happened to what is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flowlang import __version__, jsondata
from flowlang.clock import rfc3339
from flowlang.engine.drive import Held
from flowlang.engine.ports import DeadRow
from flowlang.engine.turn import AttemptEnd, Call, RunEnd
from flowlang.telemetry import Trace, attempt_id, span_id, trace_id

_MS = 1_000_000  # nanoseconds
_LONGEST = 500  #: of an error's message, characters


class RunSeen(msgspec.Struct, frozen=True):
    """A run that has ended."""

    id: str
    pipeline: str
    version: str
    status: str
    began_ms: int
    ended_ms: int
    root: str = ""
    parent: str | None = None
    error: Mapping[str, Any] | None = None
    trace: Trace | None = None  #: that its event belongs to


class AttemptSeen(msgspec.Struct, frozen=True):
    """An attempt of a step that has ended."""

    run: str
    pipeline: str
    version: str
    root: str
    step: str
    handler: str
    number: int
    began_ms: int
    ended_ms: int
    error: Mapping[str, Any] | None = None
    snoozed: bool = False
    trace: Trace | None = None  #: that its run's event belongs to


Seen = RunSeen | AttemptSeen


def run_seen(held: Held, end: RunEnd, now_ms: int) -> RunSeen:
    """A run that ends with the commit of its main scope."""
    row, meta = held.row, held.view.meta
    return RunSeen(
        id=row.run,
        pipeline=row.pipeline,
        version=row.version,
        status=end.status,
        began_ms=held.state.started_ms or row.created_ms or now_ms,
        ended_ms=now_ms,
        root=meta.root,
        parent=meta.parent,
        error=None if end.error is None else end.error.view(),
        trace=meta.event.trace,
    )


def attempt_seen(held: Held, call: Call, end: AttemptEnd, times_ms: tuple[int, int]) -> AttemptSeen:
    """An attempt that a handler has answered, with its beginning and end."""
    row = held.row
    return AttemptSeen(
        run=row.run,
        pipeline=row.pipeline,
        version=row.version,
        root=held.view.meta.root,
        step=call.instance,
        handler=call.handler,
        number=call.attempt,
        began_ms=times_ms[0],
        ended_ms=times_ms[1],
        error=None if end.error is None else end.error.view(),
        snoozed=end.snooze_ms is not None,
        trace=held.view.meta.event.trace,
    )


def slack_text(letter: DeadRow, body: bytes) -> str:
    """What is said of a dead letter.

    Args:
        letter: The letter.
        body: Its body, opened.
    """
    about = jsondata.loads(body)
    if letter.kind == "event":
        return f"The event `{_plain(letter.name)}` could not be taken. `flowlang dead-letters show {letter.id}`"
    error = about.get("error") or {}
    said = f"{error.get('class', '')} `{_plain(str(error.get('code', '')))}` {_plain(str(error.get('message', '')))}"
    step = f" at `{_plain(str(error['step']))}`" if error.get("step") else ""
    return f"`{letter.name}` failed{step}: {said[:_LONGEST]}\n`flowlang dead-letters show {letter.id}`"


def is_bug(letter: DeadRow, body: bytes) -> bool:
    """Whether a dead letter is of a run that failed by a bug."""
    return letter.kind == "run" and (jsondata.loads(body).get("error") or {}).get("class") == "bug"


def _plain(text: str) -> str:
    """A text without Slack's marks: no link, no mention, no end of a code span."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")


def otlp_traces(project: str, seen: Sequence[Seen]) -> dict[str, Any]:
    """Spans as OTLP's JSON: one a run, and below it one an attempt; an invoked run lies below the one that invoked it.

    Their ids follow from those of the runs, so that processes that know nothing of each other agree on them. A run
    whose event belongs to a trace is part of that one.
    """
    scope = {"name": "flowlang", "version": __version__}
    resource = {"attributes": _attributes({"service.name": project})}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(map(_span, seen))}]}]
    }


def _span(one: Seen) -> dict[str, Any]:
    facts: dict[str, Any] = {"flowlang.pipeline": one.pipeline, "flowlang.version": one.version}
    if isinstance(one, RunSeen):
        ident, parent, name = one.id, one.parent, one.pipeline
        facts |= {"flowlang.run": one.id, "flowlang.status": one.status}
    else:
        ident, parent, name = attempt_id(one.run, one.step, one.number, one.began_ms), one.run, one.step
        facts |= {"flowlang.run": one.run, "flowlang.step": one.step, "flowlang.handler": one.handler}
        facts |= {"flowlang.attempt": one.number}
        if one.snoozed:
            facts["flowlang.snoozed"] = True
    status: dict[str, Any] = {"code": 1}
    if one.error is not None:
        facts |= {"error.type": str(one.error["code"]), "flowlang.error.class": str(one.error["class"])}
        status = {"code": 2, "message": str(one.error["message"])[:_LONGEST]}
    root = one.root or (one.id if isinstance(one, RunSeen) else one.run)
    span = {
        "traceId": trace_id(root) if one.trace is None else one.trace.trace,
        "spanId": span_id(ident),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(one.began_ms * _MS),
        "endTimeUnixNano": str(max(one.began_ms, one.ended_ms) * _MS),
        "attributes": _attributes(facts),
        "status": status,
    }
    if parent is not None:
        return span | {"parentSpanId": span_id(parent)}
    return span if one.trace is None else span | {"parentSpanId": one.trace.span}


def _attributes(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in facts.items()]


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": str(value)}


def posthog_batch(project: str, key: str, runs: Sequence[RunSeen]) -> dict[str, Any]:
    """Outcomes of runs as events that belong to no person; the id of each lets a repeated one count once."""
    return {"api_key": key, "batch": [_captured(project, run) for run in runs]}


def _captured(project: str, run: RunSeen) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "project": project,
        "pipeline": run.pipeline,
        "version": run.version,
        "run": run.id,
        "status": run.status,
        "duration_ms": max(0, run.ended_ms - run.began_ms),
        "$process_person_profile": False,
    }
    if run.error is not None:
        facts |= {"error_class": run.error["class"], "error_code": run.error["code"]}
    ident = trace_id(f"posthog\n{run.id}")
    return {
        "event": f"run {run.status}",
        "distinct_id": f"flowlang/{project}",
        "uuid": f"{ident[:8]}-{ident[8:12]}-8{ident[13:16]}-8{ident[17:20]}-{ident[20:]}",
        "timestamp": rfc3339(run.ended_ms),
        "properties": facts,
    }
