"""Runs a case with both implementations and judges what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final
from unittest import mock

from flowlang.expr import CelError, Optional, closures, compile_expression
from flowlang.expr.values import is_list, is_map
from tests.differential.differences import BENDS, SAID, Bend
from tests.differential.generator import Case, generate
from tests.differential.reference import FAILED_INSIDE, Answer, agrees, ask
from tests.differential.tiers import ESCAPING, OTHER_TYPE, PINS, tier_problems


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
        parts = f"{self.what}, seed {self.seed}: {case.text}", f"with {case.bindings}", self.ours, self.theirs
        return "\n    ".join(parts)


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
TIERS: Final = "tier differences"
#: `dyn` fits every type, as CEL has it, so that a value may be of another type than the one that was deduced. Generated
#: code is guarded against it; the law that schemas alone are believed is `tests/unit/expr/test_check_laws`.
DEDUCED: Final = "values of another type than was deduced"
#: What must never be.
WRONG: Final = (UNEXPLAINED, ESCAPED, TIERS)
#: More than one difference at once.
SEVERAL: Final = "several of these at once"


def evaluate(case: Case) -> Outcome:
    """Evaluate in the closure tier."""
    return outcome(lambda: compile_expression(case.text).exactly(case.bindings, PINS))


def outcome(run: Callable[[], Any]) -> Outcome:
    """Run something of ours."""
    try:
        return Outcome(value=run())
    except CelError as error:
        return Outcome(error=error)
    except Exception as error:  # noqa: BLE001 - that none escapes is what is measured
        return Outcome(escaped=error)


def compare(cases: Iterable[Case], *, reference: Callable[[str, Mapping[str, Any]], Answer] | None = ask) -> Tally:
    """Compare our answers with the reference's and our tiers with one another.

    Args:
        cases: What to compare.
        reference: Gives the reference's answer; None: there is no reference here.
    """
    tally = Tally()
    for case in cases:
        tally.counts[COMPARED] += 1
        problems, reached = tier_problems(case)
        tally.counts.update(reached)
        for what, first, second in problems:
            verdict = {ESCAPING: ESCAPED, OTHER_TYPE: DEDUCED}.get(what, TIERS)
            tally.counts[verdict] += 1
            if verdict in WRONG:
                tally.findings.append(Finding(f"{verdict} ({what})", case.seed, first, second))
        if reference is None:
            continue
        ours, theirs = evaluate(case), reference(case.text, case.bindings)
        verdict, reason = judge(case, ours, theirs)
        tally.counts[verdict] += 1
        if reason is not None:
            tally.explained[reason] += 1
        if verdict == UNEXPLAINED:
            said = theirs.printed or theirs.message
            tally.findings.append(Finding(verdict, case.seed, f"ours: {ours}", f"theirs: {said}"))
    return tally


def judge(case: Case, ours: Outcome, theirs: Answer) -> tuple[str, str | None]:
    """Say what a pair of answers is, and why where it is a known difference."""
    if ours.escaped is not None:
        return ESCAPED, None
    if theirs.kind == "error" and ours.error is not None:
        return ERRORS, None
    if theirs.kind == "value" and ours.error is None and agrees(ours.value, theirs):
        return EQUAL, None
    for said in SAID:
        if said.explains(case, ours, theirs):
            return EXPLAINED, said.reason
    for bend in BENDS:
        if _explains(case, theirs, bend):
            return EXPLAINED, bend.reason
    return (EXPLAINED, SEVERAL) if _explains_together(case, theirs) else (UNEXPLAINED, None)


def _explains_together(case: Case, theirs: Answer) -> bool:
    alternatives: dict[str, list[Bend]] = {}
    for bend in BENDS:
        alternatives.setdefault(bend.reason, []).append(bend)
    most = max(map(len, alternatives.values()))
    return any(
        _explains(case, theirs, *(bends[turn % len(bends)] for bends in alternatives.values())) for turn in range(most)
    )


def _explains(case: Case, theirs: Answer, *bends: Bend) -> bool:
    """Whether our answer would be the reference's if we did as it does."""
    with ExitStack() as stack:
        # Times that are written as literals are made before any function is called.
        stack.enter_context(mock.patch.object(closures, "time_literal", return_value=None))
        for bend in bends:
            stack.enter_context(bend.bend())
        bent = outcome(lambda: compile_expression.__wrapped__(case.text).exactly(case.bindings, PINS))
        if bent.escaped is not None:
            return False
        if bent.error is not None or isinstance(bent.value, CelError):
            return theirs.kind == "error" and any(bend.says_it(theirs.message) for bend in bends)
        if theirs.kind == "value":
            return agrees(bent.value, theirs)
        return FAILED_INSIDE.search(theirs.printed) is not None and _failed_inside(bent.value)


def _failed_inside(value: Any) -> bool:
    """Whether a value of bent expressions has an error in it."""
    if is_map(value):
        return any(map(_failed_inside, value.values()))
    if is_list(value):
        return any(map(_failed_inside, value))
    if value.__class__ is Optional and value.present:
        return isinstance(value._value, CelError) or _failed_inside(value._value)
    return False
