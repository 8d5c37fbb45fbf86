"""Circles: pipelines that start one another for ever, and ones that nothing starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.outline import PipelineOutline, Taker
from flowlang.diagnostics import Diagnostic, Label, Severity
from flowlang.source import Span


@dataclass(frozen=True, slots=True)
class _Edge:
    """A run of `source` starts one of `target`.

    Attributes:
        says: What is to be seen at the place.
        sure: Whether each run that succeeds does it, and nothing holds the new run back.
        slow: Whether time passes before.
    """

    source: str
    target: str
    span: Span
    says: str
    sure: bool
    slow: bool
    invoked: bool = False


def cycle_findings(graph: ProjectGraph, given: ProjectInput) -> Iterator[Diagnostic]:
    """Find circles that do not end, and circles that do not begin.

    Args:
        graph: The project's.
        given: What was read.
    """
    edges = [*_by_events(graph), *_by_outcomes(graph), *_by_invocations(graph)]
    endless = [edge for edge in edges if edge.sure]
    reported: set[str] = set()
    for circle in _circles(endless):
        if all(edge.invoked for edge in circle):
            reported |= {edge.source for edge in circle}
            yield _reported(circle, "FL315", "each run of {names} invokes the next one, without end", _RECURSION)
        elif not any(edge.slow for edge in circle):
            reported |= {edge.source for edge in circle}
            yield _reported(circle, "FL314", "each run of {names} starts the next one, without pause or end", _BOUND)
    for members in _components(edges):
        if not members & reported and not _has_beginning(members, graph, edges, given):
            inside = [edge for edge in edges if {edge.source, edge.target} <= members]
            yield _reported(_one_circle(inside), "FL313", "nothing but {names} starts {names}", _BEGIN, warning=True)


_RECURSION = "put a condition before the `invoke`, so that it ends"
_BOUND = "put a condition before one of them, or write a `repeat` with `limit` and `every`"
_BEGIN = "if others send one of these events, write its schema; else start one of them by a webhook or `cron`"


# Edges ----------------------------------------------------------------------------------------------------------------


def _by_events(graph: ProjectGraph) -> Iterator[_Edge]:
    for sender in graph.senders:
        for taker in graph.takers_of(sender.event):
            if taker.kind == "trigger":
                # An id of one's own may be the same again, and is then taken once.
                sure = sender.sure and not sender.named and _lets_all_through(taker, graph)
                says = f"sends `{sender.event}`"
                slow = sender.slow or sender.delayed
                yield _Edge(sender.pipeline, taker.pipeline, sender.span, says, sure, slow)


def _by_outcomes(graph: ProjectGraph) -> Iterator[_Edge]:
    for taker in graph.takers:
        if taker.kind != "trigger" or not taker.event.startswith("pipeline/") or not taker.takes(taker.event):
            continue
        source, _, outcome = taker.event.removeprefix("pipeline/").rpartition(".")
        if source in graph.nodes:
            # A run that failed or was cancelled is an end of its own kind.
            sure = outcome in {"succeeded", "called"} and _lets_all_through(taker, graph)
            slow = outcome != "called" and graph.nodes[source].takes_time
            yield _Edge(source, taker.pipeline, taker.span, f"takes `{taker.event}`", sure, slow)


def _by_invocations(graph: ProjectGraph) -> Iterator[_Edge]:
    for call in graph.invocations:
        if call.target in graph.nodes:
            sure = call.sure and not graph.nodes[call.target].holds_back
            says = f"invokes `{call.target}`"
            yield _Edge(call.pipeline, call.target, call.span, says, sure, call.slow, invoked=True)


def _lets_all_through(taker: Taker, graph: ProjectGraph) -> bool:
    return not taker.conditional and not graph.nodes[taker.pipeline].holds_back


# Circles --------------------------------------------------------------------------------------------------------------


def _circles(edges: Iterable[_Edge]) -> Iterator[list[_Edge]]:
    """One circle of each set of pipelines that lead to one another."""
    found = list(edges)
    for members in _components(found):
        yield _one_circle([edge for edge in found if {edge.source, edge.target} <= members])


def _components(edges: Iterable[_Edge]) -> list[frozenset[str]]:
    """The sets of pipelines of which each leads to all, in the order of their names."""
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for edge in edges:
        after.setdefault(edge.source, []).append(edge.target)
        before.setdefault(edge.target, []).append(edge.source)
    # Kosaraju: whoever is left last leads to all of its set; backwards from there, the others of the set are found.
    left: list[str] = []
    seen: set[str] = set()
    for name in sorted(after):
        left += _left(name, after, seen)
    found: list[frozenset[str]] = []
    taken: set[str] = set()
    for name in reversed(left):
        members = frozenset(_left(name, before, taken))
        if len(members) > 1 or (members and name in after.get(name, ())):
            found.append(members)
    return sorted(found, key=sorted)


def _left(name: str, after: Mapping[str, list[str]], seen: set[str]) -> list[str]:
    """What can be gone to from a pipeline and was not seen before, in the order in which it is left again."""
    if name in seen:
        return []
    seen.add(name)
    order: list[str] = []
    way = [(name, iter(after.get(name, ())))]
    while way:
        here, rest = way[-1]
        other = next((each for each in rest if each not in seen), None)
        if other is None:
            order.append(here)
            way.pop()
        else:
            seen.add(other)
            way.append((other, iter(after.get(other, ()))))
    return order


def _one_circle(edges: list[_Edge]) -> list[_Edge]:
    """A shortest circle of edges of which each can be gone on from; by the first name in it."""
    start = min(edge.source for edge in edges)
    ways: dict[str, list[_Edge]] = {start: []}
    pending = [start]
    from_each: dict[str, list[_Edge]] = {}
    for edge in sorted(edges, key=lambda edge: (edge.target, edge.span)):
        from_each.setdefault(edge.source, []).append(edge)
    while pending:
        name = pending.pop(0)
        for edge in from_each.get(name, ()):
            if edge.target == start:
                return [*ways[name], edge]
            if edge.target not in ways:
                ways[edge.target] = [*ways[name], edge]
                pending.append(edge.target)
    raise AssertionError("each pipeline of a component leads back to itself")


def _has_beginning(members: frozenset[str], graph: ProjectGraph, edges: Iterable[_Edge], given: ProjectInput) -> bool:
    """Whether something outside of a circle starts one of its pipelines."""
    if any(edge.source not in members and edge.target in members for edge in edges):
        return True
    nodes = [graph.nodes[name] for name in sorted(members)]
    return any(not node.triggers or _is_started(node, graph, given) for node in nodes)


def _is_started(node: PipelineOutline, graph: ProjectGraph, given: ProjectInput) -> bool:
    declared = given.schemas.keys() | given.unreadable_schemas
    events = (taker.event for taker in node.takers if taker.kind == "trigger")
    return bool(node.crons) or any(_from_outside(event, graph, declared) for event in events)


def _from_outside(event: str, graph: ProjectGraph, declared: set[str]) -> bool:
    """Whether an event may come from outside; one that nothing sends at all has a finding of its own."""
    if event.startswith("pipeline/"):
        return event.endswith(".called")
    sends = graph.senders_of(event)
    return not sends or graph.webhook_of(event) is not None or any(sender.event in declared for sender in sends)


def _reported(circle: list[_Edge], code: str, message: str, hint: str, *, warning: bool = False) -> Diagnostic:
    names = " and ".join(f"`{name}`" for name in sorted({edge.source for edge in circle}))
    labels = tuple(Label(edge.span, f"`{edge.source}` {edge.says}") for edge in circle[1:])
    severity = Severity.WARNING if warning else Severity.ERROR
    first = circle[0]
    return Diagnostic(code, message.format(names=names), first.span, severity, hint, labels, caret=f"{first.says}")
