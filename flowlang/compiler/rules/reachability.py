"""Steps that no run comes to, because what is written before them always ends the run, the round or the branch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from flowlang.compiler.findings import Findings
from flowlang.diagnostics import Label, Severity
from flowlang.model import Path, Pipeline, Step


def unreachable_steps(pipeline: Pipeline, findings: Findings, exhaustive: Collection[Path]) -> None:
    """Report the first step of each block that nothing comes to.

    Args:
        pipeline: As written.
        findings: Where to report.
        exhaustive: Paths of the `switch` steps one of whose cases always runs.
    """
    _Reach(findings, exhaustive).blocks(pipeline.steps, pipeline.on_failure)


class _Reach:
    def __init__(self, findings: Findings, exhaustive: Collection[Path]) -> None:
        self._findings = findings
        self._exhaustive = exhaustive

    def blocks(self, *blocks: Sequence[Step] | None) -> None:
        for block in blocks:
            self._block(block or ())

    def _block(self, steps: Sequence[Step]) -> None:
        for position, step in enumerate(steps):
            self._inside(step)
            if self.end(step) is not None and position + 1 < len(steps):
                self._report(step, steps[position + 1])
                for rest in steps[position + 1 :]:
                    self._inside(rest)
                return

    def _inside(self, step: Step) -> None:
        self.blocks(step.steps, step.finally_, *(arm.steps for arm in step.catch))
        for child in (*(step.parallel or ()), *(step.race or ()), *(step.switch or ())):
            self._inside(child)

    def _report(self, end: Step, step: Step) -> None:
        label = Label(self._findings.span((*end.path, end.verb), key=True), f"`{end.verb}` always ends it here")
        self._findings.at(
            (*step.path, "id") if step.id is not None else (*step.path, step.verb),
            "FL502",
            "no run comes to this step: what is before it always ends",
            severity=Severity.WARNING,
            hint="put an `if` on what ends it, or remove the steps behind",
            labels=[label],
            key=step.id is None,
        )

    def end(self, step: Step) -> str | None:
        """How a step always ends the block that it stands in: by `stop` or by `fail`; None where it goes on."""
        if step.if_ is not None or step.foreach is not None:
            return None
        found = self._end(step)
        if step.repeat is not None and found == "stop":
            return None  # it ends the round
        if found == "fail" and (step.catch or step.tolerate is not None):
            return None
        return found

    def _end(self, step: Step) -> str | None:
        if step.verb in {"stop", "fail"}:
            return step.verb
        if step.steps is not None:
            return next((found for child in step.steps if (found := self.end(child)) is not None), None)
        if step.switch is not None and step.path in self._exhaustive:
            ends = {self._case(case) for case in step.switch}
            return next(iter(ends)) if len(ends) == 1 else None if None in ends else "fail"
        if step.parallel is not None:
            return "fail" if any(self.end(child) == "fail" for child in step.parallel) else None
        return None

    def _case(self, case: Step) -> str | None:
        """How a case ends that has been chosen."""
        return self.end(case.model_copy(update={"if_": None}))
