"""Events that nothing sends, that nobody takes, and that nobody uses at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from flowlang.compiler.findings import near
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.outline import OUTCOMES, Taker, own_outcomes
from flowlang.diagnostics import Diagnostic, Severity, did_you_mean
from flowlang.source import SourceText, Span

#: What follows for who waits for an event that nothing sends.
_IN_VAIN: Final = {
    "trigger": "this trigger never starts a run",
    "wait": "this wait always runs out",
    "cancel": "this never cancels a run",
}


def event_findings(graph: ProjectGraph, given: ProjectInput) -> Iterator[Diagnostic]:
    """Find events that do not connect anything.

    What has a schema is declared, and may be sent from outside: by the API, a client, `flowlang send`. In a project
    that declares few of its events, any may be; there only a name that is near to another one is looked at.

    Args:
        graph: The project's.
        given: What was read.
    """
    declared = given.schemas.keys() | given.unreadable_schemas
    sent = {sender.event for sender in graph.senders} | declared
    known = {taker.event for taker in graph.takers if _is_sent(taker, graph, sent)}
    declares = 2 * len(known) > len({taker.event for taker in graph.takers})
    for taker in graph.takers:
        yield from _unsent(taker, graph, sent, declares=declares)
    yield from _untaken(graph, declared, declares=declares)


def unused_events(graph: ProjectGraph, given: ProjectInput) -> Iterator[Diagnostic]:
    """Find schemas of events that nobody sends or takes.

    Args:
        graph: The project's.
        given: What was read.
    """
    for name, schema in sorted(given.schemas.items()):
        if schema.path in given.used_schemas or graph.senders_of(name) or graph.takers_of(name):
            continue
        webhook = graph.webhook_of(name)
        message = f"no pipeline sends or takes `{name}`"
        if webhook is not None:
            message = f"no pipeline takes `{name}`, which the webhook `{webhook}` may send"
        hint = "remove the file, or name the event in a trigger"
        yield Diagnostic("FL306", message, _file_span(schema.path), Severity.WARNING, hint)


def _unsent(taker: Taker, graph: ProjectGraph, sent: set[str], *, declares: bool) -> Iterator[Diagnostic]:
    event = taker.event
    if event.startswith("pipeline/"):
        yield from _no_outcome(taker, graph)
        return
    vain = _IN_VAIN[taker.kind]
    if event.startswith("schedule/"):
        message = f"ticks of a schedule go to its own pipeline: {vain}"
        yield Diagnostic("FL305", message, taker.span, Severity.WARNING, 'write `- cron: "0 7 * * *"`')
        return
    if _is_sent(taker, graph, sent):
        return
    hint = _near(event, sent)
    if hint is None and not declares:
        return
    if hint is None:
        prefix = event.removesuffix("*")
        hint = f"if others send it, write its schema: `schemas/events/{event}.json`"
        if prefix != event:
            hint = f"if others send such events, write their schemas below `schemas/events/{prefix}`"
    yield Diagnostic("FL305", f"nothing sends `{event}`: {vain}", taker.span, Severity.WARNING, hint)


def _near(event: str, others: Iterable[str]) -> str | None:
    """The hint for a misspelt event: another one of which one segment is near and the others are the same."""
    segments = event.split("/")
    for other in sorted(others):
        written = other.split("/")
        differing = [pair for pair in zip(segments, written, strict=False) if pair[0] != pair[1]]
        if len(segments) == len(written) and len(differing) == 1 and did_you_mean(differing[0][0], [differing[0][1]]):
            return f"did you mean `{other}`?"
    return None


def _is_sent(taker: Taker, graph: ProjectGraph, sent: set[str]) -> bool:
    event = taker.event
    known = any(taker.takes(name) for name in sent) if event.endswith("*") else event in sent
    return known or graph.webhook_of(event) is not None


def _no_outcome(taker: Taker, graph: ProjectGraph) -> Iterator[Diagnostic]:
    """Find events of runs that there are not; that the pipeline exists is checked elsewhere."""
    pipeline, _, outcome = taker.event.removeprefix("pipeline/").rpartition(".")
    if pipeline not in graph.nodes:
        return
    if outcome not in {*OUTCOMES, "called"}:
        named = own_outcomes(pipeline)
        hint = near(taker.event, named) or f"the outcomes are {', '.join(f'`{each}`' for each in named)}"
        message = f"no run ends with the event `{taker.event}`: {_IN_VAIN[taker.kind]}"
        yield Diagnostic("FL305", message, taker.span, Severity.WARNING, hint)
    elif taker.kind == "trigger" and taker.event in own_outcomes(taker.pipeline):
        message = f"a pipeline is not started by its own outcome: {_IN_VAIN[taker.kind]}"
        hint = "send an event of your own, or `repeat` the steps"
        yield Diagnostic("FL305", message, taker.span, Severity.WARNING, hint)


def _untaken(graph: ProjectGraph, declared: set[str], *, declares: bool) -> Iterator[Diagnostic]:
    for sender in graph.senders:
        if sender.event.partition("/")[0] in graph.webhooks:
            continue  # may not be sent at all, which is said elsewhere
        if sender.event not in declared and not graph.takers_of(sender.event):
            hint = _near(sender.event, {taker.event for taker in graph.takers})
            if hint is None and not declares:
                continue
            hint = hint or f"if others take it, write its schema: `schemas/events/{sender.event}.json`"
            message = f"no pipeline takes `{sender.event}`, and it has no schema"
            yield Diagnostic("FL307", message, sender.span, Severity.INFO, hint)


def _file_span(path: str) -> Span:
    return SourceText(path, "").span(0, 0)
