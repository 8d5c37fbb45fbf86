"""How many attempts a run may make in the worst case, as far as it is written, against `limits.attempts`.

Counted are numbers that somebody wrote: attempts of a policy, rounds of a `repeat`, items of a list of known length,
through pipelines that are invoked. What is not bounded by a number counts once, so that this never says too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from flowlang.compiler.policies import Policies, lower_policies
from flowlang.compiler.standing import standings
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Diagnostic, Label, Severity
from flowlang.expr import ExpressionSyntaxError, compile_expression
from flowlang.expr.syntax import ListNode
from flowlang.model import Path, Step
from flowlang.model.policy import Retry
from flowlang.source import Span


@dataclass(frozen=True, slots=True)
class _Factor:
    """A number that multiplies attempts.

    Attributes:
        owner: The pipeline that it is written in.
        count: The number.
        span: Where.
        says: What it is.
    """

    owner: str
    count: int
    span: Span
    says: str


@dataclass(frozen=True, slots=True)
class _Worst:
    """The step with most attempts, and why."""

    count: int
    factors: tuple[_Factor, ...]


def attempt_findings(subjects: Mapping[str, Subject], named: Policies, limit: int) -> None:
    """Report steps that may be tried more often than a step may.

    Args:
        subjects: Pipelines by name.
        named: Retry policies of the project.
        limit: `limits.attempts`.
    """
    attempts = _Attempts(subjects, named, limit)
    for subject in subjects.values():
        attempts.check(subject)


class _Attempts:
    def __init__(self, subjects: Mapping[str, Subject], named: Policies, limit: int) -> None:
        self._subjects = subjects
        self._named = named
        self._limit = limit
        self._invocations: dict[str, _Worst] = {}
        self._count_invocations()

    def check(self, subject: Subject) -> None:
        for step in (*subject.pipeline.steps, *subject.pipeline.on_failure):
            worst = self._worst(step, subject, subject.pipeline.retry or ())
            numbers = [factor for factor in worst.factors if factor.count > 1]
            own = [factor for factor in numbers if factor.owner == subject.pipeline.pipeline]
            invoked = prod(factor.count for factor in numbers if factor not in own)
            if worst.count <= self._limit or not own or invoked > self._limit:
                continue  # what invoked pipelines do alone is said of them
            product = " x ".join(str(factor.count) for factor in numbers)
            first, *others = sorted(numbers, key=lambda factor: (factor not in own, -factor.count))
            subject.findings.found.append(
                _diagnostic(first, others, f"{product} = {worst.count} attempts in the worst case", self._limit)
            )

    def _worst(self, step: Step, subject: Subject, retry: Retry) -> _Worst:
        """The most attempts of one call within a step."""
        retry = step.retry or retry
        own = [*self._loops(step, subject)]
        if step.uses is not None:
            attempts = max((rule.attempts or 1 for rule in lower_policies(retry, self._named, None, ())), default=1)
            if step.retry:
                span = subject.findings.span((*step.path, "retry"), key=True)
                own.append(_Factor(subject.pipeline.pipeline, attempts, span, f"{attempts} attempts"))
            return _product(own, _Worst(1, ()))
        inner = [
            self._worst(child, subject, retry)
            for block in (step.steps, step.parallel, step.race, step.switch, step.finally_)
            for child in block or ()
        ]
        inner += [self._worst(child, subject, retry) for arm in step.catch for child in arm.steps]
        inner += [] if step.invoke is None else [self._invocations.get(step.invoke.pipeline, _Worst(1, ()))]
        return _product(own, max(inner, key=lambda worst: worst.count, default=_Worst(1, ())))

    def _count_invocations(self) -> None:
        """Count each pipeline after those that it invokes; of a circle, whose rounds nobody knows, one round."""
        for start in self._subjects:
            pending = [(start, False)]
            seen: set[str] = set()
            while pending:
                name, ready = pending.pop()
                subject = self._subjects.get(name)
                if subject is None or name in self._invocations:
                    continue
                if ready:
                    steps = subject.pipeline.steps
                    found = [self._worst(step, subject, subject.pipeline.retry or ()) for step in steps]
                    self._invocations[name] = max(found, key=lambda worst: worst.count)
                elif name not in seen:
                    seen.add(name)
                    steps_of = (standing.step for standing in standings(subject.pipeline))
                    invoked = [step.invoke.pipeline for step in steps_of if step.invoke is not None]
                    pending += [(name, True), *((each, False) for each in invoked)]

    def _loops(self, step: Step, subject: Subject) -> list[_Factor]:
        found = []
        if step.repeat is not None and step.repeat.limit is not None:
            path: Path = (*step.path, "repeat", "limit")
            limit = step.repeat.limit
            found.append(_Factor(subject.pipeline.pipeline, limit, subject.findings.span(path), f"{limit} rounds"))
        if step.foreach is not None:
            items = _items(step.foreach.in_.text)
            if items is not None:
                path = (*step.path, "foreach", "in")
                found.append(_Factor(subject.pipeline.pipeline, items, subject.findings.span(path), f"{items} items"))
        return found


def _product(factors: Sequence[_Factor], inner: _Worst) -> _Worst:
    count = inner.count
    for factor in factors:
        count *= factor.count
    return _Worst(count, (*factors, *inner.factors))


def _items(text: str) -> int | None:
    """How many items a list has that is written in place."""
    try:
        root = compile_expression(text).root
    except ExpressionSyntaxError:
        return None
    return max(len(root.elements), 1) if isinstance(root, ListNode) else None


def _diagnostic(first: _Factor, others: Sequence[_Factor], message: str, limit: int) -> Diagnostic:
    labels = tuple(Label(factor.span, factor.says) for factor in others)
    hint = f"`limits.attempts` in flowlang.yaml is {limit}: make one of these smaller, or raise it"
    return Diagnostic("FL509", message, first.span, Severity.WARNING, hint, labels, caret=first.says)
