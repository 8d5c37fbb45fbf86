"""Conditions that decide nothing: always or never true, cases that repeat earlier ones, values without a case.

What is always true only because of a condition around it is left alone: saying it twice does no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from flowlang.compiler.expressions import Condition
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Label, Severity
from flowlang.expr import unparse
from flowlang.expr.domains import Domain, Known, Reasoning, Value
from flowlang.expr.facts import FactPath, path_of
from flowlang.expr.syntax import Literal, walk
from flowlang.jsondata import render_path
from flowlang.model import Path, Step
from flowlang.model.verbs import CONTAINERS

#: More values than these are not listed in a message.
_MANY = 6


@dataclass(frozen=True, slots=True)
class _Context:
    """What holds where a step stands.

    Attributes:
        known: Of the data.
        why: The conditions that it comes from.
    """

    known: Known = field(default_factory=dict)
    why: tuple[Path, ...] = ()

    def forgetting(self, names: Iterable[str]) -> _Context:
        """Without what is known of names that mean something else inside."""
        gone = set(names)
        return replace(self, known={path: domain for path, domain in self.known.items() if path[0] not in gone})


class ConditionRules:
    """Looks at the conditions of one pipeline.

    Args:
        subject: The pipeline.

    Attributes:
        exhaustive: Paths of the `switch` steps one of whose cases always runs.
    """

    def __init__(self, subject: Subject) -> None:
        self.exhaustive: set[Path] = set()
        self._subject = subject
        self._findings = subject.findings

    def check(self) -> None:
        """Report all findings."""
        pipeline = self._subject.pipeline
        for number in range(len(pipeline.triggers)):
            self._constant(("triggers", number, "if"))
        # What a trigger lets through says nothing of runs that are called.
        self._block(pipeline.steps, _Context())
        self._block(pipeline.on_failure, _Context())

    # The walk -------------------------------------------------------------------------------------------------------

    def _block(self, steps: Sequence[Step], context: _Context) -> None:
        for step in steps:
            self._step(step, context)
            if step.verb in {"stop", "fail"} and not step.catch:
                context = self._given(context, (*step.path, "if"), truth=False)

    def _step(self, step: Step, context: _Context) -> None:
        path = (*step.path, "if")
        if not self._constant(path):
            self._contradiction(path, context)
        if step.repeat is not None and step.repeat.until.text != "false":
            self._constant((*step.path, "repeat", "until"))  # `false` is as many rounds as `limit` says
        if not (step.verb in CONTAINERS or step.catch or step.finally_):
            return
        inner = self._given(context, path, truth=True)
        if step.foreach is not None:
            inner = inner.forgetting((step.foreach.as_, "index"))
        if step.repeat is not None:
            inner = inner.forgetting(("index", "last"))
        self._block(step.steps or (), inner)
        for child in (*(step.parallel or ()), *(step.race or ())):
            self._step(child, inner)
        if step.switch is not None:
            self._switch(step, step.switch, inner)
        handling = inner.forgetting(("error",))
        for arm in step.catch:
            self._block(arm.steps, handling)
        self._block(step.finally_, handling)

    def _given(self, context: _Context, path: Path, *, truth: bool) -> _Context:
        """What is known where a condition is true, or false."""
        condition = self._subject.checker.conditions.get(path)
        if condition is None:
            return context
        known = Reasoning(condition.types, context.known).given(condition.expression.root, truth=truth)
        return context if known is None else _Context(known, (*context.why, path))

    # Single conditions ----------------------------------------------------------------------------------------------

    def _constant(self, path: Path) -> bool:
        """Report a condition that is the same for all data. Returns whether it is."""
        condition = self._subject.checker.conditions.get(path)
        if condition is None or condition.expression.text == "true":
            return False  # who writes so means it, and it does no harm
        reasoning = Reasoning(condition.types, {})
        decided = reasoning.decide(condition.expression.root)
        if decided is None:
            return False
        reasons = _reasons(condition, reasoning)
        hint = "; ".join(reasons) if reasons else "remove the `if`" if decided else "remove the step"
        if path[0] == "triggers" and not reasons:
            hint = "remove the `if`" if decided else "remove the trigger"
        if path[-1] == "until" and not reasons:
            hint = "compare with what a round gives, as `steps.ID.output`"
        word = "always" if decided else "never"
        self._report(path, "FL503", f"this condition is {word} true", hint)
        return True

    def _contradiction(self, path: Path, context: _Context) -> None:
        """Report a condition that is never true after those around it."""
        condition = self._subject.checker.conditions.get(path)
        if condition is None or condition.expression.paths.isdisjoint(context.known):
            return
        if Reasoning(condition.types, context.known).decide(condition.expression.root) is False:
            labels = self._because(condition, context)
            hint = "it contradicts a condition that holds here"
            self._report(path, "FL503", "this condition is never true here", hint, labels)

    # Cases ----------------------------------------------------------------------------------------------------------

    def _switch(self, step: Step, cases: Sequence[Step], context: _Context) -> None:
        texts: dict[str, Path] = {}
        remaining = context
        for case in cases:
            path = (*case.path, "if")
            condition = self._subject.checker.conditions.get(path)
            if condition is None:
                self._step(case, remaining)
                continue
            text = unparse(condition.expression.root)
            again = texts.setdefault(text, path)
            shadowed = Reasoning(condition.types, remaining.known).decide(condition.expression.root) is False
            alone = Reasoning(condition.types, context.known).decide(condition.expression.root) is False
            if again != path:
                labels: tuple[Label, ...] = (Label(self._findings.span(again), "the same condition"),)
                self._report(path, "FL505", "an earlier case takes all of this one", _CASES, labels)
                self._step_inside(case, context)
            elif shadowed and not alone:
                labels = self._because(condition, remaining)
                self._report(path, "FL505", "earlier cases take all of this one", _CASES, labels)
                self._step_inside(case, context)
            else:
                self._step(case, remaining)
            remaining = self._given(remaining, path, truth=False)
        if any(case.if_ is None for case in cases):
            self.exhaustive.add(step.path)
        else:
            self._missing(step, cases, context)

    def _step_inside(self, case: Step, context: _Context) -> None:
        """Look at the steps of a case that was reported, not at its condition."""
        for block in (case.steps, case.parallel, case.race, case.switch):
            for child in block or ():
                self._step(child, context)

    def _missing(self, step: Step, cases: Sequence[Step], context: _Context) -> None:
        """Report the values of an enum for which no case is written."""
        conditions = [self._subject.checker.conditions.get((*case.path, "if")) for case in cases]
        known = [condition for condition in conditions if condition is not None]
        if len(known) < len(cases):
            return
        subject = _one_path(known)
        if subject is None:
            return
        path, values = subject
        left = []
        here = context.known.get(path)
        for value in sorted(values, key=str):
            if here is not None and not here.has(value):
                continue
            given = {path: Domain(frozenset({value}))}
            decided = [Reasoning(each.types, given).decide(each.expression.root) for each in known]
            if None in decided:
                return
            if True not in decided:
                left.append(value)
        if not left:
            self.exhaustive.add(step.path)
            return
        listed = _listed(left)
        self._findings.at(
            (*step.path, "switch"),
            "FL504",
            f"no case takes {listed} of `{render_path(path)}`: then nothing is done",
            key=True,
            severity=Severity.WARNING,
            hint=f"add a case for {listed}, or a last one without `if`",
        )

    # Words ----------------------------------------------------------------------------------------------------------

    def _because(self, condition: Condition, context: _Context) -> tuple[Label, ...]:
        """The conditions around that speak of the same data, the nearest two."""
        wanted = {path[:3] for path in condition.expression.paths}
        found = []
        for path in reversed(context.why):
            other = self._subject.checker.conditions[path]
            if wanted & {each[:3] for each in other.expression.paths}:
                found.append(Label(self._findings.span(path), "after this one"))
        return tuple(reversed(found[:2]))

    def _report(self, path: Path, code: str, message: str, hint: str, labels: tuple[Label, ...] = ()) -> None:
        condition = self._subject.checker.conditions[path]
        part = (condition.offset, condition.offset + len(condition.expression.text))
        self._findings.at(path, code, message, part=part, severity=Severity.WARNING, hint=hint, labels=labels)


_CASES = "of a `switch` the first case whose `if` is true is taken"


def _one_path(conditions: Sequence[Condition]) -> tuple[FactPath, frozenset[Value]] | None:
    """The one path that all conditions speak of, with the values of its enum.

    How a step ended and the class of an error are no choice of the data: mostly only some of them can be.
    """
    paths = {path for condition in conditions for path in condition.expression.paths}
    if len(paths) != 1:
        return None
    path = next(iter(paths))
    if path[0] in {"steps", "error"} and path[-1] in {"status", "class"}:
        return None
    for condition in conditions:
        for node in walk(condition.expression.root):
            domain = Reasoning(condition.types, {}).domain(node)
            if path_of(node) == path and domain.values is not None and domain.values != _BOOLS:
                return path, domain.values
    return None


def _reasons(condition: Condition, reasoning: Reasoning) -> list[str]:
    """What the schema says of the values that a condition reads."""
    found: dict[str, None] = {}
    for node in walk(condition.expression.root):
        domain = reasoning.domain(node)
        if isinstance(node, Literal) or domain.says_nothing or domain.values == _BOOLS:
            continue
        text = condition.expression.text[node.start : node.end]
        if domain.values is not None:
            found[f"`{text}` is {_listed(sorted(domain.values, key=str), 'or')}"] = None
        elif domain.low == domain.high:
            found[f"`{text}` is {domain.low:g}"] = None
        else:
            low = f"at least {domain.low:g}" if domain.low > float("-inf") else ""
            high = f"at most {domain.high:g}" if domain.high < float("inf") else ""
            found[f"`{text}` is {' and '.join(part for part in (low, high) if part)}"] = None
    return list(found)


_BOOLS = frozenset({("bool", True), ("bool", False)})


def _listed(values: Sequence[Value], last: str = "and") -> str:
    shown = [f"`{str(value).lower() if isinstance(value, bool) else value}`" for _, value in values[:_MANY]]
    if len(values) > _MANY:
        return f"{', '.join(shown)} {last} {len(values) - _MANY} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}"
