"""The project as a graph: who sends which event, who takes it, and who invokes whom.

What is wrong with a graph is said by `flowlang.compiler.rules`, how it is drawn by `flowlang.compiler.pictures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flowlang.compiler.outline import Invocation, PipelineOutline, Sender, Taker, matches
from flowlang.expr.regions import OPENING
from flowlang.model import ProjectFile


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

    nodes: Mapping[str, PipelineOutline]
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


def graph_of(outlines: Iterable[PipelineOutline], project: ProjectFile | None) -> ProjectGraph:
    """Make the graph of a project.

    Args:
        outlines: Of all pipelines; of those of one name, the first counts.
        project: `flowlang.yaml`, for its webhooks.
    """
    nodes: dict[str, PipelineOutline] = {}
    for outline in outlines:
        nodes.setdefault(outline.name, outline)
    webhooks = {} if project is None else {name: webhook.event for name, webhook in project.webhooks.items()}
    return ProjectGraph(
        nodes=nodes,
        senders=tuple(sender for node in nodes.values() for sender in node.senders),
        takers=tuple(taker for node in nodes.values() for taker in node.takers),
        invocations=tuple(call for node in nodes.values() for call in node.invocations),
        webhooks=webhooks,
    )
