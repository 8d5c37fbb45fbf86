"""Flow control becomes the plan's: of events and runs (a pipeline's), and of attempts (a step's)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from flowlang.compiler.expressions import Checker, Place
from flowlang.compiler.findings import Findings
from flowlang.diagnostics import Diagnostic, Label, Severity
from flowlang.durations import milliseconds
from flowlang.expr.types import DOUBLE, DYN, INT, UINT
from flowlang.model import Path, Pipeline, PipelineDocument
from flowlang.model import flow_control as written
from flowlang.model.expression import ExpressionText
from flowlang.model.step import Step
from flowlang.plan import Batch, Concurrency, Debounce, Idempotency, RateLimit, Throttle
from flowlang.source import Span

#: Verbs whose steps wait while no handler runs: meanwhile an active run has no place.
_WAITING: Final = ("sleep", "wait_for", "invoke")


class FlowLowering:
    """Lowers the flow control of one pipeline.

    Args:
        pipeline: As written.
        findings: Where to report.
        checker: Checks keys.
        place: What the pipeline's own expressions may read.
    """

    def __init__(self, pipeline: Pipeline, findings: Findings, checker: Checker, place: Place) -> None:
        self._pipeline = pipeline
        self._findings = findings
        self._checker = checker
        names = place.names - {"steps"}
        self._run = replace(place, names=names, steps=frozenset(), pinned=False)

    def idempotency(self, event: Place) -> Idempotency | None:
        """Lower `idempotency`; `event`: what the keys of events may read."""
        rule = self._pipeline.idempotency
        if rule is None:
            return None
        key = self._checker.expression(rule.key, ("idempotency", "key"), event)
        return Idempotency(key.plain, milliseconds(rule.ttl))

    def event_limits(self, event: Place) -> dict[str, Any]:
        """Lower what holds events back, as fields of the plan; `event`: what its keys may read."""
        rate, debounce, batch = self._pipeline.rate_limit, self._pipeline.debounce, self._pipeline.batch
        fields: dict[str, Any] = {}
        if rate is not None:
            key = self._key(rate.key, ("rate_limit", "key"), event)
            fields["rate_limit"] = RateLimit(rate.limit, milliseconds(rate.period), key)
        if debounce is not None:
            key = self._key(debounce.key, ("debounce", "key"), event)
            bound = None if debounce.max is None else milliseconds(debounce.max)
            fields["debounce"] = Debounce(milliseconds(debounce.period), bound, key)
        if batch is not None:
            fields["batch"] = Batch(
                batch.size, milliseconds(batch.period), self._key(batch.key, ("batch", "key"), event)
            )
        return fields

    def run_limits(self) -> dict[str, Any]:
        """Lower what holds runs back, as fields of the plan."""
        pipeline = self._pipeline
        fields: dict[str, Any] = {}
        if pipeline.priority is not None:
            fields["priority"] = self._priority(pipeline.priority)
        if pipeline.throttle is not None:
            fields["throttle"] = _throttle(self._checker, pipeline.throttle, ("throttle",), self._run)
        if pipeline.concurrency is not None:
            rule = pipeline.concurrency
            hold = rule.hold or ("active" if rule.on_limit == "wait" else "run")
            key = self._key(rule.key, ("concurrency", "key"), self._run)
            fields["concurrency"] = Concurrency(rule.limit, key, rule.scope, rule.on_limit, hold)
            self._check_waits(rule)
            self._check_own_steps(rule)
        return fields

    def _key(self, key: ExpressionText | None, path: Path, place: Place) -> str | None:
        if key is None:
            return None
        text: str = self._checker.expression(key, path, place).plain
        return text

    def _priority(self, text: ExpressionText) -> str:
        priority = self._checker.expression(text, ("priority",), self._run)
        if priority.type not in {INT, UINT, DOUBLE, DYN} and not has_errors_at(self._findings, ("priority",)):
            message = f"`priority` takes seconds of advance, and this gives {priority.type}"
            self._findings.at(("priority",), "FL211", message, hint="such as `60`")
        plain: str = priority.plain
        return plain

    def _check_waits(self, rule: written.Concurrency) -> None:
        """Say that others run while a run waits, where it looks as if only one should at a time."""
        if rule.limit != 1 or rule.hold is not None or rule.on_limit != "wait":
            return
        waiting = next((step for step in every_step(self._pipeline) if step.verb in _WAITING), None)
        if waiting is not None:
            self._findings.at(
                ("concurrency", "limit"),
                "FL220",
                f"a run gives its place back while it waits, as in its `{waiting.verb}`: then another one runs",
                severity=Severity.WARNING,
                hint="write `hold: run` for one run at a time, or `hold: active` where this is meant",
                labels=(Label(self._findings.span((*waiting.path, waiting.verb), key=True), "here it waits"),),
            )

    def _check_own_steps(self, rule: written.Concurrency) -> None:
        """Find steps that want a place under the key under which their own run has one."""
        if rule.scope != "project":
            return
        for step in every_step(self._pipeline):
            own = step.concurrency
            if own is not None and own.scope == "project" and _text(own.key) == _text(rule.key):
                self._findings.at(
                    (*step.path, "concurrency"),
                    "FL222",
                    "the run itself has a place under this key: when all places are such runs', none of them goes on",
                    key=True,
                    hint="choose another key, or leave it to the pipeline's `concurrency`",
                    labels=(Label(self._findings.span(("concurrency",), key=True), "the run's"),),
                )


def step_limits(checker: Checker, step: Step, place: Place) -> tuple[Throttle | None, Concurrency | None]:
    """Lower the limits of a step's attempts.

    Args:
        checker: Checks keys.
        step: As written.
        place: What its body may read.
    """
    if step.throttle is None and step.concurrency is None:
        return None, None
    place = replace(place, pinned=False)
    throttle, concurrency = None, None
    if step.throttle is not None:
        throttle = _throttle(checker, step.throttle, (*step.path, "throttle"), place)
    if step.concurrency is not None:
        rule = step.concurrency
        path: Path = (*step.path, "concurrency", "key")
        key = None if rule.key is None else checker.expression(rule.key, path, place).plain
        concurrency = Concurrency(rule.limit, key, rule.scope)
    return throttle, concurrency


@dataclass(frozen=True, slots=True)
class SharedLimit:
    """A limit of a key whose places all pipelines of the project share.

    Attributes:
        key: The key's text; empty: it has none.
        limit: How many may run at once.
        span: Where that is written.
    """

    key: str
    limit: int
    span: Span


def shared_limits(document: PipelineDocument) -> Iterator[SharedLimit]:
    """The limits that a pipeline shares with others.

    Args:
        document: Of the pipeline, without mistakes of shape.
    """
    assert document.model is not None
    for rule, path in _concurrencies(document.model):
        if rule.scope == "project":
            yield SharedLimit(_text(rule.key), rule.limit, document.document.span_at((*path, "limit")))


def differing_limits(limits: Iterable[SharedLimit]) -> list[Diagnostic]:
    """Find keys of the project that are written with different limits.

    Args:
        limits: Those of all pipelines.
    """
    first: dict[str, tuple[int, Label]] = {}
    found = []
    for each in limits:
        limit, label = first.setdefault(each.key, (each.limit, Label(each.span, "the first one")))
        if limit != each.limit:
            shared = f"the key `{each.key}`" if each.key else "what has no key"
            message = f"{shared} has the limit {limit} elsewhere in the project, and its places are the same"
            found.append(Diagnostic("FL221", message, each.span, hint=f"write `limit: {limit}`", labels=(label,)))
    return found


def every_step(pipeline: Pipeline) -> Iterator[Step]:
    """All steps of a pipeline, those inside others included."""
    pending = [*pipeline.steps, *pipeline.on_failure]
    while pending:
        step = pending.pop(0)
        yield step
        for children in (step.steps, step.parallel, step.race, step.switch, step.finally_):
            pending.extend(children or ())
        for arm in step.catch:
            pending.extend(arm.steps)


def has_errors_at(findings: Findings, path: Path) -> bool:
    """Whether something has been reported of the value at a path."""
    span = findings.document.span_at(path)
    return any(item.span.start >= span.start and item.span.end <= span.end for item in findings.found)


def _text(key: ExpressionText | None) -> str:
    return "" if key is None else key.text


def _concurrencies(pipeline: Pipeline) -> Iterator[tuple[written.Concurrency | written.StepConcurrency, Path]]:
    if pipeline.concurrency is not None:
        yield pipeline.concurrency, ("concurrency",)
    for step in every_step(pipeline):
        if step.concurrency is not None:
            yield step.concurrency, (*step.path, "concurrency")


def _throttle(checker: Checker, rule: written.Throttle, path: Path, place: Place) -> Throttle:
    key = None if rule.key is None else checker.expression(rule.key, (*path, "key"), place).plain
    return Throttle(rule.limit, milliseconds(rule.period), rule.burst, key)
