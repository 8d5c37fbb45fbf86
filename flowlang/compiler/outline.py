"""What the rest of a project has to know of a pipeline: what it sends and takes, whom it invokes, what it uses.

An outline is plain data with places, so that it can be kept: a project of many pipelines is checked as a whole without
reading again those that have not changed. What is wrong within a pipeline is found before and kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from flowlang.compiler.expressions import Read
from flowlang.compiler.flow import SharedLimit, every_step, shared_limits
from flowlang.compiler.standing import Standing, standings
from flowlang.compiler.subject import Subject
from flowlang.model import Path, Pipeline, PipelineDocument
from flowlang.model.trigger import CronTrigger
from flowlang.source import Span

#: How runs end, as the last word of their outcome events.
OUTCOMES = ("succeeded", "failed", "cancelled")

Taking = Literal["trigger", "wait", "cancel"]


@dataclass(frozen=True, slots=True)
class Sender:
    """A step that sends an event.

    Attributes:
        pipeline: Whose step it is.
        event: The name.
        span: Where it is written.
        sure: Whether every run that gets this far without a failure sends it (see `Standing`).
        slow: Whether time passes before.
        named: Whether the event has an id of its own, and so may be the same again.
        delayed: Whether it is sent later.
        fields: The fields of its data with their places; None where they cannot be told.
    """

    pipeline: str
    event: str
    span: Span
    sure: bool
    slow: bool
    named: bool
    delayed: bool
    fields: dict[str, Span] | None


@dataclass(frozen=True, slots=True)
class FieldRead:
    """A field of an event's data that an expression reads.

    Attributes:
        name: Of the field.
        span: Where the expression reads it.
        guarded: Whether it is tested there.
    """

    name: str
    span: Span
    guarded: bool


@dataclass(frozen=True, slots=True)
class Taker:
    """Somebody who waits for events of a name.

    Attributes:
        pipeline: The pipeline.
        event: The name; its last segment may be `*`.
        span: Where it is written.
        kind: Whether the event starts a run, is waited for by one, or cancels it.
        conditional: Whether it is a trigger with a condition.
        by_input: Whether the pipeline's own input says what the event must carry, which is taken as it comes.
        reads: The fields of the event's data that expressions read, as far as that is certain.
    """

    pipeline: str
    event: str
    span: Span
    kind: Taking
    conditional: bool = False
    by_input: bool = False
    reads: tuple[FieldRead, ...] = ()

    def takes(self, event: str) -> bool:
        """Whether events of a name come here."""
        return matches(self.event, event) and not (self.kind == "trigger" and event in own_outcomes(self.pipeline))


@dataclass(frozen=True, slots=True)
class Invocation:
    """A step that runs another pipeline.

    Attributes:
        pipeline: Whose step it is.
        target: The other one.
        span: Where that is named.
        sure: Whether every run that gets this far without a failure invokes it.
        slow: Whether time passes before.
    """

    pipeline: str
    target: str
    span: Span
    sure: bool
    slow: bool


@dataclass(frozen=True, slots=True)
class PipelineOutline:
    """A pipeline, for the rest of its project.

    Attributes:
        name: Of the pipeline.
        senders: Its steps that send events.
        takers: All events that it waits for.
        invocations: Its steps that run pipelines.
        triggers: How many it has.
        crons: Its schedules, each with its time zone.
        holds_back: Whether not each event makes a run at once.
        takes_time: Whether a step of its own sleeps or waits.
        input_schema: JSON Schema of its own input; None: it has none.
        input_span: Where that is written.
        handlers: That its steps call.
        input_file: The schema file that its `input` names.
        vars_read: The vars that its expressions read.
        unread_vars: Its own vars that nothing reads, with their places.
        policies: Retry policies of the project that it names.
        queues: Queues that it names.
        limits: Those that it shares with other pipelines.
    """

    name: str
    senders: tuple[Sender, ...] = ()
    takers: tuple[Taker, ...] = ()
    invocations: tuple[Invocation, ...] = ()
    triggers: int = 0
    crons: tuple[tuple[str, str], ...] = ()
    holds_back: bool = False
    takes_time: bool = False
    input_schema: Any = None
    input_span: Span | None = None
    handlers: tuple[str, ...] = ()
    input_file: str | None = None
    vars_read: tuple[str, ...] = ()
    unread_vars: tuple[tuple[str, Span], ...] = ()
    policies: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    limits: tuple[SharedLimit, ...] = ()


def matches(pattern: str, event: str) -> bool:
    """Whether a name, whose last segment may be `*`, stands for an event."""
    if pattern == event:
        return True
    head, _, last = pattern.rpartition("/")
    return last == "*" and event.rpartition("/")[0] == head


def own_outcomes(pipeline: str) -> tuple[str, ...]:
    """The outcome events of a pipeline."""
    return tuple(f"pipeline/{pipeline}.{outcome}" for outcome in OUTCOMES)


def handlers_called(pipeline: Pipeline) -> tuple[str, ...]:
    """The handlers that steps call, those that undo others included."""
    steps = tuple(every_step(pipeline))
    undos = (step.undo.uses for step in steps if step.undo is not None)
    return tuple(sorted({name for name in (*(step.uses for step in steps), *undos) if name}))


def invoked_by(pipeline: Pipeline) -> tuple[str, ...]:
    """The pipelines that steps run and whose types they need."""
    return tuple(dict.fromkeys(step.invoke.pipeline for step in every_step(pipeline) if step.invoke is not None))


def outline_of(subject: Subject) -> PipelineOutline:
    """Outline a pipeline.

    Args:
        subject: The pipeline after it was lowered.
    """
    return _Outliner(subject).outline()


class _Outliner:
    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._pipeline = subject.pipeline
        self._document: PipelineDocument = subject.document
        self._standings = tuple(standings(subject.pipeline))

    def outline(self) -> PipelineOutline:
        pipeline, checker = self._pipeline, self._subject.checker
        crons = (trigger for trigger in pipeline.triggers if isinstance(trigger, CronTrigger))
        return PipelineOutline(
            name=pipeline.pipeline,
            senders=tuple(self._senders()),
            takers=tuple(self._takers()),
            invocations=tuple(self._invocations()),
            triggers=len(pipeline.triggers),
            crons=tuple((cron, trigger.timezone) for trigger in crons for cron in trigger.cron),
            holds_back=_holds_back(pipeline),
            takes_time=any(step.verb in {"sleep", "wait_for"} for step in pipeline.steps),
            input_schema=None if pipeline.input is None else self._subject.input_schema,
            input_span=None if pipeline.input is None else self._span(("input",), key=True),
            handlers=handlers_called(pipeline),
            input_file=pipeline.input if isinstance(pipeline.input, str) else None,
            vars_read=tuple(sorted(checker.vars_read)),
            unread_vars=tuple(
                (name, self._span(("vars", name), key=True)) for name in pipeline.vars if name not in checker.vars_read
            ),
            policies=tuple(sorted(self._policies())),
            queues=tuple(sorted({pipeline.queue, *(each.step.queue or "default" for each in self._standings)})),
            limits=tuple(shared_limits(self._document)),
        )

    def _span(self, path: Path, *, key: bool = False) -> Span:
        return self._document.document.span_at(path, key=key)

    def _senders(self) -> Iterator[Sender]:
        for standing in self._standings:
            step = standing.step
            if step.emit is None:
                continue
            written = step.with_ if step.has("with_") else {}
            fields = None
            if isinstance(written, dict):
                fields = {name: self._span((*step.path, "with", name), key=True) for name in written}
            yield Sender(
                pipeline=self._pipeline.pipeline,
                event=step.emit.event,
                span=self._span((*step.path, "emit", "event")),
                sure=standing.sure,
                slow=standing.slow,
                named=step.emit.id is not None,
                delayed=bool(step.emit.delay),
                fields=fields,
            )

    def _takers(self) -> Iterator[Taker]:
        pipeline = self._pipeline
        for number, trigger in enumerate(pipeline.triggers):
            if isinstance(trigger, CronTrigger):
                continue
            # With several triggers, or names, a read may be meant for another one's events.
            others = len(pipeline.triggers) > 1 or trigger.has("data") or pipeline.input is not None
            place: Path = ("triggers", number)
            reads = self._reads(("event", "data"), place if others else ())
            by_input = pipeline.input is not None and not trigger.has("data")
            conditional = trigger.if_ is not None
            yield from self._taking(
                "trigger", trigger.event, (*place, "event"), reads, by_input=by_input, conditional=conditional
            )
        for number, cancel in enumerate(pipeline.cancel_on):
            place = ("cancel_on", number)
            reads = self._reads(("incoming", "data"), place)
            yield from self._taking("cancel", cancel.event, (*place, "event"), reads)
        for standing in self._standings:
            if standing.step.wait_for is not None:
                place = (*standing.step.path, "wait_for", "event")
                reads = tuple(self._wait_reads(standing))
                yield from self._taking("wait", standing.step.wait_for.event, place, reads)

    def _taking(
        self,
        kind: Taking,
        names: tuple[str, ...],
        path: Path,
        reads: tuple[FieldRead, ...],
        *,
        by_input: bool = False,
        conditional: bool = False,
    ) -> Iterator[Taker]:
        alone = len(names) == 1  # needs no list, and what is read is meant for it
        for at, name in enumerate(names):
            span = self._span(path if alone else (*path, at))
            found = reads if alone else ()
            yield Taker(self._pipeline.pipeline, name, span, kind, conditional, by_input, found)

    def _wait_reads(self, standing: Standing) -> Iterator[FieldRead]:
        """What is read of an event that a step waits for: in its `match`, and of its output by those behind it."""
        step = standing.step
        assert step.wait_for is not None
        yield from self._reads(("incoming", "data"), (*step.path, "wait_for"))
        if step.wait_for.count == 1 and step.foreach is None and step.repeat is None:
            yield from self._reads(("steps", step.id or "", "output", "data"), ())

    def _reads(self, root: Path, within: Path) -> tuple[FieldRead, ...]:
        """The fields below a root that expressions read, of those at some place."""
        found = (read for read in self._reads_of(root) if read.path[: len(within)] == within)
        return tuple(self._field(read, len(root)) for read in found)

    def _reads_of(self, root: Path) -> Iterator[Read]:
        for read in self._subject.checker.reads:
            path = read.reading.path
            if path[: len(root)] == root and len(path) > len(root):
                yield read

    def _field(self, read: Read, at: int) -> FieldRead:
        span = self._document.document.span_in(read.path, *read.part)
        return FieldRead(read.reading.path[at], span, read.reading.guarded)

    def _invocations(self) -> Iterator[Invocation]:
        name = self._pipeline.pipeline
        for standing in self._standings:
            step = standing.step
            if step.invoke is not None:
                span = self._span((*step.path, "invoke", "pipeline"))
                yield Invocation(name, step.invoke.pipeline, span, standing.sure, standing.slow)
            if step.undo is not None and step.undo.invoke is not None:
                span = self._span((*step.path, "undo", "invoke", "pipeline"))
                yield Invocation(name, step.undo.invoke.pipeline, span, sure=False, slow=standing.slow)

    def _policies(self) -> Iterator[str]:
        yield from policy_names(self._pipeline.retry)
        for standing in self._standings:
            undo = standing.step.undo
            yield from policy_names(standing.step.retry)
            yield from policy_names(None if undo is None else undo.retry)


def policy_names(policies: Any) -> Iterator[str]:
    """The names among retry policies: one, or a list of them."""
    for policy in policies if isinstance(policies, list | tuple) else (policies,):
        if isinstance(policy, str):
            yield policy


def _holds_back(pipeline: Pipeline) -> bool:
    """Whether not each event makes a run at once."""
    limits = (pipeline.idempotency, pipeline.rate_limit, pipeline.debounce, pipeline.batch, pipeline.throttle)
    skips = pipeline.concurrency is not None and pipeline.concurrency.on_limit != "wait"
    return skips or any(limit is not None for limit in limits)
