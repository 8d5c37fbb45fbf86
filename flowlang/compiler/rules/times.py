"""Times that do not fit into one another: what takes longer than the time-out around it never comes to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flowlang.compiler.findings import Findings
from flowlang.compiler.policies import Policies, lower_policies
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Label, Severity
from flowlang.durations import DurationError, format_duration, milliseconds, parse_duration
from flowlang.model import Path, Step
from flowlang.model.verbs import CONTAINERS
from flowlang.plan import RetryRule


@dataclass(frozen=True, slots=True)
class _Bound:
    """A time-out around a step.

    Attributes:
        ms: How long.
        label: Where it is written; None: elsewhere in the project.
        what: Whose it is.
    """

    ms: int
    label: Label | None
    what: str


def time_findings(subject: Subject, named: Policies, default_ms: int | None) -> None:
    """Report times that are longer than the time-out around them.

    Args:
        subject: The pipeline.
        named: Retry policies of the project.
        default_ms: The project's time-out of runs.
    """
    rules = _Times(subject.findings, named)
    bound = None
    if subject.pipeline.timeout is not None:
        label = Label(subject.findings.span(("timeout",)), "the run's time-out")
        bound = _Bound(milliseconds(subject.pipeline.timeout), label, "the run")
    elif default_ms is not None:
        bound = _Bound(default_ms, None, "the run, by `defaults` of flowlang.yaml,")
    rules.block(subject.pipeline.steps, bound)
    rules.block(subject.pipeline.on_failure, None)  # the run has ended by then


class _Times:
    def __init__(self, findings: Findings, named: Policies) -> None:
        self._findings = findings
        self._named = named

    def block(self, steps: Sequence[Step], bound: _Bound | None) -> None:
        for step in steps:
            self.step(step, bound)

    def step(self, step: Step, bound: _Bound | None) -> None:
        inner = bound
        if bound is not None:
            self._check(step, bound)
        if step.verb in {*CONTAINERS, "invoke"} and isinstance(step.timeout, timedelta):
            own = milliseconds(step.timeout)
            if bound is None or own <= bound.ms:
                label = Label(self._findings.span((*step.path, "timeout")), "the time-out around it")
                inner = _Bound(own, label, f"the `{step.verb}` around it")
        for block in (step.steps, step.parallel, step.race, step.switch):
            self.block(block or (), inner)
        for arm in step.catch:
            self.block(arm.steps, bound)
        self.block(step.finally_, None)  # it runs after a time-out too

    def _check(self, step: Step, bound: _Bound) -> None:
        if step.sleep is not None and (slept := _duration_ms(step.sleep)) is not None and slept >= bound.ms:
            self._report((*step.path, "sleep"), "FL510", f"this sleeps for {_shown(slept)}", bound)
        if isinstance(step.timeout, timedelta) and milliseconds(step.timeout) > bound.ms:
            lasts = _shown(milliseconds(step.timeout))
            self._report((*step.path, "timeout"), "FL510", f"this may take {lasts}", bound)
        if step.repeat is not None and step.repeat.for_ is not None and milliseconds(step.repeat.for_) > bound.ms:
            lasts = _shown(milliseconds(step.repeat.for_))
            self._report((*step.path, "repeat", "for"), "FL510", f"this may repeat for {lasts}", bound)
        if step.uses is not None and step.retry:
            self._retry(step, bound)

    def _retry(self, step: Step, bound: _Bound) -> None:
        """Report retries of which the last ones never begin, even if no attempt takes any time."""
        for rule in lower_policies(step.retry or (), self._named, None, ()):
            path: Path = (*step.path, "retry")
            least = least_wait_ms(rule)
            if least > bound.ms:
                waits = _shown(least // 1000 * 1000)
                message = f"{rule.attempts} attempts are at least {waits} apart from first to last"
                self._report(path, "FL507", message, bound, "fewer attempts, or a smaller `max`, end in time")
                return
            if rule.for_ms is not None and rule.for_ms > bound.ms:
                message = f"this is tried again for {_shown(rule.for_ms)}"
                self._report(path, "FL507", message, bound, "a shorter `for` ends in time")
                return

    def _report(self, path: Path, code: str, message: str, bound: _Bound, hint: str = "") -> None:
        self._findings.at(
            path,
            code,
            f"{message}, and {bound.what} is given {_shown(bound.ms)}",
            severity=Severity.WARNING,
            hint=hint or "a shorter time here, or a longer time-out there",
            labels=() if bound.label is None else (bound.label,),
        )


def least_wait_ms(rule: RetryRule) -> int:
    """The least time between the first and the last attempt of a policy.

    Args:
        rule: With `attempts`; else it is bounded by time.
    """
    if rule.attempts is None or rule.jitter == "full":
        return 0
    total, delay = 0.0, float(rule.initial_ms)
    for done in range(1, rule.attempts):
        if delay >= rule.max_ms or rule.factor <= 1:
            total += min(delay, rule.max_ms) * (rule.attempts - done)
            break
        total += delay
        delay *= rule.factor
    return int(total / 2 if rule.jitter == "equal" else total)


def _duration_ms(text: str) -> int | None:
    """How long a sleep lasts that is written as a duration."""
    try:
        return milliseconds(parse_duration(text))
    except DurationError:
        return None


def _shown(duration_ms: int) -> str:
    return format_duration(timedelta(milliseconds=duration_ms))
