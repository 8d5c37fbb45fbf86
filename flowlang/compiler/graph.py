"""The project as a graph: who sends which event, who takes it, and who invokes whom.

Reads models alone, so that it is there for projects with mistakes too. What is wrong with a graph is said by
`flowlang.compiler.rules`, how it is drawn by `flowlang.compiler.pictures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from flowlang.compiler.standing import Standing, standings
from flowlang.expr.regions import OPENING
from flowlang.model import Path, Pipeline, PipelineDocument, ProjectFile
from flowlang.model.trigger import CronTrigger
from flowlang.source import Span

#: How runs end, as the last word of their outcome events.
OUTCOMES: Final = ("succeeded", "failed", "cancelled")

Taking = Literal["trigger", "wait", "cancel"]


@dataclass(frozen=True, slots=True)
class Node:
    """A pipeline of the graph.

    Attributes:
        name: Of the pipeline.
        pipeline: As written.
        document: Where it is written.
    """

    name: str
    pipeline: Pipeline
    document: PipelineDocument

    def span(self, path: Path, *, key: bool = False) -> Span:
        """Where something of it is written."""
        return self.document.document.span_at(path, key=key)


@dataclass(frozen=True, slots=True)
class Sender:
    """A step that sends an event."""

    node: Node
    event: str
    standing: Standing

    @property
    def span(self) -> Span:
        """Where the event is named."""
        return self.node.span((*self.standing.step.path, "emit", "event"))


@dataclass(frozen=True, slots=True)
class Taker:
    """Somebody who waits for events of a name.

    Attributes:
        node: The pipeline.
        event: The name; its last segment may be `*`.
        kind: Whether the event starts a run, is waited for by one, or cancels it.
        path: Where the name is written.
        number: Of the trigger, or of the entry of `cancel_on`.
        standing: The waiting step.
    """

    node: Node
    event: str
    kind: Taking
    path: Path
    number: int = 0
    standing: Standing | None = None

    @property
    def span(self) -> Span:
        """Where the event is named."""
        return self.node.span(self.path)

    def takes(self, event: str) -> bool:
        """Whether events of a name come here."""
        return matches(self.event, event) and not (self.kind == "trigger" and event in own_outcomes(self.node.name))


@dataclass(frozen=True, slots=True)
class Invocation:
    """A step that runs another pipeline."""

    node: Node
    target: str
    standing: Standing
    path: Path
    sure: bool

    @property
    def span(self) -> Span:
        """Where the pipeline is named."""
        return self.node.span(self.path)


@dataclass(frozen=True, slots=True)
class ProjectGraph:
    """A project as a graph.

    Attributes:
        nodes: Pipelines by name, in written order.
        senders: All steps that send events.
        takers: All that wait for events.
        invocations: All that run pipelines.
        webhooks: By name, the templates of their events' names.
    """

    nodes: Mapping[str, Node]
    senders: tuple[Sender, ...] = ()
    takers: tuple[Taker, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    webhooks: Mapping[str, str] = field(default_factory=dict)
    _senders: dict[str, list[Sender]] = field(default_factory=dict, init=False, repr=False)
    _takers: dict[str, list[Taker]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Sort senders and takers by name: there may be thousands of each."""
        for sender in self.senders:
            self._senders.setdefault(sender.event, []).append(sender)
        for taker in self.takers:
            self._takers.setdefault(taker.event, []).append(taker)

    def senders_of(self, event: str) -> tuple[Sender, ...]:
        """Steps that send events of a name, or that match a pattern."""
        if event.endswith("/*"):
            return tuple(sender for sender in self.senders if matches(event, sender.event))
        return tuple(self._senders.get(event, ()))

    def takers_of(self, event: str) -> tuple[Taker, ...]:
        """Those who wait for events of a name."""
        known = (*self._takers.get(event, ()), *self._takers.get(f"{event.rpartition('/')[0]}/*", ()))
        return tuple(taker for taker in known if taker.takes(event))

    def webhook_of(self, pattern: str) -> str | None:
        """The webhook that may send events of a name, or that match a pattern."""
        known = pattern.removesuffix("*")
        for name, sent in self.webhooks.items():
            head, template, _ = sent.partition(OPENING)
            if not template and matches(pattern, sent):
                return name
            if template and (known.startswith(head) or (known != pattern and head.startswith(known))):
                return name
        return None


def matches(pattern: str, event: str) -> bool:
    """Whether a name, whose last segment may be `*`, stands for an event."""
    if pattern == event:
        return True
    head, _, last = pattern.rpartition("/")
    return last == "*" and event.rpartition("/")[0] == head


def own_outcomes(pipeline: str) -> tuple[str, ...]:
    """The outcome events of a pipeline."""
    return tuple(f"pipeline/{pipeline}.{outcome}" for outcome in OUTCOMES)


def graph_of(documents: Iterable[PipelineDocument], project: ProjectFile | None) -> ProjectGraph:
    """Make the graph of a project.

    Args:
        documents: All pipelines; those with mistakes of shape are not in it.
        project: `flowlang.yaml`, for its webhooks.
    """
    nodes: dict[str, Node] = {}
    for document in documents:
        if document.model is not None:
            nodes.setdefault(document.model.pipeline, Node(document.model.pipeline, document.model, document))
    senders: list[Sender] = []
    takers: list[Taker] = []
    invocations: list[Invocation] = []
    for node in nodes.values():
        takers += _triggers(node)
        for standing in standings(node.pipeline):
            step = standing.step
            if step.emit is not None:
                senders.append(Sender(node, step.emit.event, standing))
            if step.wait_for is not None:
                names = step.wait_for.event
                takers += (
                    Taker(node, name, "wait", _named((*step.path, "wait_for", "event"), names, at), standing=standing)
                    for at, name in enumerate(names)
                )
            invocations += _invocations(node, standing)
    webhooks = {} if project is None else {name: webhook.event for name, webhook in project.webhooks.items()}
    return ProjectGraph(nodes, tuple(senders), tuple(takers), tuple(invocations), webhooks)


def _triggers(node: Node) -> list[Taker]:
    found = []
    for number, trigger in enumerate(node.pipeline.triggers):
        if not isinstance(trigger, CronTrigger):
            for at, name in enumerate(trigger.event):
                path = _named(("triggers", number, "event"), trigger.event, at)
                found.append(Taker(node, name, "trigger", path, number))
    for number, cancel in enumerate(node.pipeline.cancel_on):
        for at, name in enumerate(cancel.event):
            path = _named(("cancel_on", number, "event"), cancel.event, at)
            found.append(Taker(node, name, "cancel", path, number))
    return found


def _invocations(node: Node, standing: Standing) -> list[Invocation]:
    step = standing.step
    found = []
    if step.invoke is not None:
        path: Path = (*step.path, "invoke", "pipeline")
        found.append(Invocation(node, step.invoke.pipeline, standing, path, standing.sure))
    if step.undo is not None and step.undo.invoke is not None:
        path = (*step.path, "undo", "invoke", "pipeline")
        found.append(Invocation(node, step.undo.invoke.pipeline, standing, path, sure=False))
    return found


def _named(path: Path, names: tuple[str, ...], at: int) -> Path:
    """Where the name at a position is written: one alone needs no list."""
    return (*path, at) if len(names) > 1 else path
