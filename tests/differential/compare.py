"""Runs a case with both implementations and judges what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from flowlang.expr import CelError, EvaluationError, compile_expression
from tests.conformance.cases import same
from tests.differential.differences import DIFFERENCES
from tests.differential.generator import Case, generate
from tests.differential.reference import Answer, agrees, ask


@dataclass(frozen=True, slots=True)
class Outcome:
    """What FlowLang says of a case: a value, or an error of the language; or what should never have escaped."""

    value: Any = None
    error: CelError | None = None
    escaped: BaseException | None = None

    def __str__(self) -> str:
        if self.escaped is not None:
            return f"escaped {self.escaped!r}"
        if self.error is not None:
            return f"{self.error.__class__.__name__}: {self.error}"
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Finding:
    """A case on which something is wrong."""

    what: str
    seed: int
    ours: str
    theirs: str

    def __str__(self) -> str:
        case = generate(self.seed)
        return "\n    ".join(
            (f"{self.what}, seed {self.seed}: {case.text}", f"with {case.bindings}", self.ours, self.theirs)
        )


@dataclass(slots=True)
class Tally:
    """Counts of a comparison, and the cases that need a reader."""

    counts: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.explained += other.explained
        self.findings += other.findings


COMPARED: Final = "compared"
EQUAL: Final = "equal values"
ERRORS: Final = "both errors"
EXPLAINED: Final = "explained"
UNEXPLAINED: Final = "unexplained"
ESCAPED: Final = "escaped exceptions"
TIERS: Final = "tiers differ"


def evaluate(case: Case) -> Outcome:
    """Evaluate in the closure tier."""
    return _outcome(lambda: compile_expression(case.text).exactly(case.bindings))


def evaluate_generated(case: Case) -> Outcome:
    """Evaluate in the tier of generated code."""
    return _outcome(lambda: compile_expression(case.text).specialise(None)(case.bindings))


def _outcome(run: Callable[[], Any]) -> Outcome:
    try:
        return Outcome(value=run())
    except CelError as error:
        return Outcome(error=error)
    except Exception as error:  # noqa: BLE001 - that none escapes is what is measured
        return Outcome(escaped=error)


def same_in_both_tiers(first: Outcome, second: Outcome) -> bool:
    """Whether two tiers say the same: the value, or the error's code and place."""
    if isinstance(first.error, EvaluationError) and isinstance(second.error, EvaluationError):
        a, b = first.error, second.error
        return (a.code, a.start, a.end) == (b.code, b.start, b.end)
    if first.error is not None or second.error is not None:
        return first.error.__class__ is second.error.__class__
    return first.escaped is None and second.escaped is None and same(first.value, second.value)


def compare(cases: Iterable[Case], *, reference: Callable[[str, dict[str, Any]], Answer] = ask) -> Tally:
    """Compare our answers with the reference's."""
    tally = Tally()
    for case in cases:
        ours = evaluate(case)
        generated = evaluate_generated(case)
        theirs = reference(case.text, case.bindings)
        tally.counts[COMPARED] += 1
        if not same_in_both_tiers(ours, generated):
            tally.counts[TIERS] += 1
            tally.findings.append(Finding(TIERS, case.seed, f"closures: {ours}", f"generated: {generated}"))
        verdict, reason = judge(case, ours, theirs)
        tally.counts[verdict] += 1
        if reason is not None:
            tally.explained[reason] += 1
        if verdict in {UNEXPLAINED, ESCAPED}:
            tally.findings.append(
                Finding(verdict, case.seed, f"ours: {ours}", f"theirs: {theirs.printed or theirs.message}")
            )
    return tally


def judge(case: Case, ours: Outcome, theirs: Answer) -> tuple[str, str | None]:
    """Say what a pair of answers is, and why where it is a known difference."""
    if ours.escaped is not None:
        return ESCAPED, None
    if theirs.kind == "error" and ours.error is not None:
        return ERRORS, None
    if theirs.kind == "value" and ours.error is None and agrees(ours.value, theirs):
        return EQUAL, None
    for difference in DIFFERENCES:
        if difference.explains(case, ours, theirs):
            return EXPLAINED, difference.reason
    return UNEXPLAINED, None
