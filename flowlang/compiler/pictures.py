"""What there is to draw: a pipeline as an outline of its steps, a project as a network of events and pipelines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.outline import Taker, matches
from flowlang.drawing.network import Link, Network, Sort, Spot
from flowlang.drawing.outline import Kind, Lane, Outline, Part
from flowlang.durations import format_duration
from flowlang.jsondata import render_path
from flowlang.model import Pipeline, Step
from flowlang.model.step import Fail
from flowlang.model.trigger import CronTrigger, EventTrigger

#: Longer texts are cut: a picture is for an overview.
_LONGEST: Final = 48

_KINDS: Final = {
    "uses": Kind.CALL,
    "invoke": Kind.CALL,
    "emit": Kind.SEND,
    "wait_for": Kind.WAIT,
    "sleep": Kind.WAIT,
    "set": Kind.VALUE,
    "steps": Kind.BLOCK,
    "parallel": Kind.PARALLEL,
    "race": Kind.RACE,
    "switch": Kind.CHOICE,
    "stop": Kind.STOP,
    "fail": Kind.FAIL,
}


# A pipeline -----------------------------------------------------------------------------------------------------------


def pipeline_outline(pipeline: Pipeline) -> Outline:
    """Outline a pipeline: what starts it, its steps, and what is done when it fails.

    Args:
        pipeline: As written.
    """
    starts = [_trigger(trigger) for trigger in pipeline.triggers] or ["called"]
    notes = [_cut(f"cancelled by {' or '.join(cancel.event)}") for cancel in pipeline.cancel_on]
    if pipeline.timeout is not None:
        notes.append(f"at most {format_duration(pipeline.timeout)}")
    start = Part("(start)", Kind.START, starts[0], (*starts[1:], *notes))
    lanes = [Lane("", (start, *map(_part, pipeline.steps)))]
    if pipeline.on_failure:
        lanes.append(Lane("on failure", tuple(map(_part, pipeline.on_failure)), aside=True))
    return Outline(pipeline.pipeline, tuple(lanes))


def _trigger(trigger: EventTrigger | CronTrigger) -> str:
    if isinstance(trigger, CronTrigger):
        started = f"cron {' or '.join(trigger.cron)} {trigger.timezone}"
    else:
        started = " or ".join(trigger.event)
    return _cut(started if trigger.if_ is None else f"{started} if {trigger.if_.text}")


def _part(step: Step) -> Part:
    lanes = [*_within(step)]
    lanes += [Lane(_cut(f"catch {', '.join(arm.errors)}"), _parts(arm.steps), aside=True) for arm in step.catch]
    if step.finally_:
        lanes.append(Lane("finally", _parts(step.finally_), aside=True))
    if step.undo is not None:
        undo = step.undo.uses or f"invoke {step.undo.invoke.pipeline if step.undo.invoke else ''}"
        taken_back = Part(f"{render_path(step.path)}.undo", Kind.CALL, undo)
        lanes.append(Lane("undo", (taken_back,), aside=True))
    kind = _KINDS[step.verb]
    if lanes and kind not in {Kind.BLOCK, Kind.PARALLEL, Kind.RACE, Kind.CHOICE}:
        # What does one thing is a box of its own beside what may follow from it.
        key = f"{render_path(step.path)}.{step.verb}"
        lanes.insert(0, Lane("", (Part(key, kind, _doing(step)),)))
    return Part(
        key=_key(step),
        kind=kind,
        title=step.id or _doing(step),
        notes=tuple(_notes(step, alone=not lanes)),
        lanes=tuple(lanes),
        loops=step.foreach is not None or step.repeat is not None,
        ends=step.verb in {"stop", "fail"} and step.if_ is None and not step.catch,
        needs=tuple(step.needs),
    )


def _key(step: Step) -> str:
    return step.id or render_path(step.path)


def _parts(steps: Sequence[Step]) -> tuple[Part, ...]:
    return tuple(map(_part, steps))


def _within(step: Step) -> Iterator[Lane]:
    for children in (step.steps, step.parallel, step.race, step.switch):
        if children is not None:
            yield Lane("", _parts(children))


def _doing(step: Step) -> str:
    """The verb with what it is about."""
    found = step.verb
    match step.verb:
        case "uses":
            found = step.uses or ""
        case "invoke" if step.invoke is not None:
            found = f"invoke {step.invoke.pipeline}" + ("" if step.invoke.wait else ", not waited for")
        case "emit" if step.emit is not None:
            found = f"emit {step.emit.event}"
        case "wait_for" if step.wait_for is not None:
            found = f"wait for {' or '.join(step.wait_for.event)}"
        case "sleep":
            found = f"sleep {step.sleep}"
        case "set":
            found = f"set {', '.join(step.set or {})}"
        case "fail":
            found = f"fail {step.fail.code or step.fail.class_}" if isinstance(step.fail, Fail) else "fail again"
        case _:
            pass
    return _cut(found)


def _notes(step: Step, *, alone: bool) -> Iterator[str]:
    """What else is worth a line; `alone`: whether nothing else says what the step does."""
    if step.id is not None and (alone or step.verb in {"parallel", "race", "switch"}):
        yield _doing(step)
    if step.needs:
        yield _cut(f"after {', '.join(step.needs)}")
    if step.if_ is not None:
        yield _cut(f"if {step.if_.text}")
    if step.foreach is not None:
        yield _cut(f"for each {step.foreach.as_} of {step.foreach.in_.text}")
    if step.repeat is not None:
        bounds = [f"{step.repeat.limit} times"] if step.repeat.limit is not None else []
        bounds += [format_duration(step.repeat.for_)] if step.repeat.for_ is not None else []
        yield _cut(f"until {step.repeat.until.text}")
        yield f"at most {' or '.join(bounds)}"
    if isinstance(step.timeout, timedelta):
        yield f"at most {format_duration(step.timeout)}"
    if step.tolerate is not None:
        yield "its failure is tolerated" if step.foreach is None else "failures are tolerated"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


# The project ----------------------------------------------------------------------------------------------------------


def project_network(graph: ProjectGraph, title: str) -> Network:
    """Draw who starts whom in a project: webhooks, schedules and events lead to pipelines, and those to events.

    Args:
        graph: The project's.
        title: What to call it.
    """
    links: dict[Link, None] = {}
    for name, node in sorted(graph.nodes.items()):
        for cron, timezone in node.crons:
            links[Link(f"schedule {cron} {timezone}", f"pipeline {name}")] = None
    for sender in graph.senders:
        links[Link(f"pipeline {sender.pipeline}", f"event {sender.event}")] = None
    for taker in graph.takers:
        links.update(dict.fromkeys(_taken(taker, graph)))
    for call in graph.invocations:
        if call.target in graph.nodes:
            links[Link(f"pipeline {call.pipeline}", f"pipeline {call.target}", "invokes")] = None
    ends = {end for link in links for end in (link.source, link.target)}
    for key in sorted(ends):
        webhook = graph.webhook_of(key.removeprefix("event ")) if key.startswith("event ") else None
        if webhook is not None:
            links[Link(f"webhook {webhook}", key)] = None
    keys = {end for link in links for end in (link.source, link.target)} | {f"pipeline {name}" for name in graph.nodes}
    keys |= {f"webhook {name}" for name in graph.webhooks}
    return Network(title, tuple(map(_spot, sorted(keys, key=_rank))), tuple(sorted(links)))


def _taken(taker: Taker, graph: ProjectGraph) -> Iterator[Link]:
    """The links to who waits for events of a name: from the event, and from those that its `*` stands for."""
    label, weak = {"trigger": ("", False), "wait": ("waits", True), "cancel": ("cancels", True)}[taker.kind]
    target = f"pipeline {taker.pipeline}"
    if taker.event.startswith("pipeline/"):
        source, _, outcome = taker.event.removeprefix("pipeline/").rpartition(".")
        if source in graph.nodes and taker.takes(taker.event):
            yield Link(f"pipeline {source}", target, f"{label} {outcome}".strip(), weak)
        return
    sent = {sender.event for sender in graph.senders} | {other.event for other in graph.takers}
    sent -= {event for event in sent if event == taker.event or event.endswith("/*")}
    for event in sorted(event for event in sent if matches(taker.event, event)):
        yield Link(f"event {event}", target, label, weak)
    if not taker.event.endswith("/*") or graph.webhook_of(taker.event) is not None or not sent:
        yield Link(f"event {taker.event}", target, label, weak)


_SORTS: Final = ("webhook", "schedule", "event", "pipeline")


def _rank(key: str) -> tuple[int, str]:
    return _SORTS.index(key.partition(" ")[0]), key


def _spot(key: str) -> Spot:
    sort, _, title = key.partition(" ")
    return Spot(key, Sort(sort), title)
