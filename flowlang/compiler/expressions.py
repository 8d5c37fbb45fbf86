"""Checks expressions where they stand: which names they may read, which steps they see, which functions fit there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flowlang.compiler.findings import Findings, near
from flowlang.expr import Expression, ExpressionSyntaxError, Problem, compile_expression, compile_value
from flowlang.expr import Reference as Reading
from flowlang.model import Path
from flowlang.model.expression import ExpressionText

#: What `steps.ID` has.
STEP_FIELDS: Final = ("status", "output", "error", "attempts", "started_at", "ended_at")

#: Where names that are not known everywhere may be read, in the words of a hint.
_WHERE: Final = {
    "secrets": "`secrets` can be read in `with` only; a handler has them as `ctx.secrets`",
    "env": "`env` can be read in `vars` only; name its value there and read `vars.NAME`",
    "error": "`error` is there in `catch`, `finally` and `on_failure`",
    "results": "`results` is there in `collect` only",
    "index": "`index` is there inside a `foreach` or `repeat`",
    "last": "`last` is there inside a `repeat`",
    "item": "`item` is there inside a `foreach` without `as`",
    "incoming": "`incoming` is there in `match` only",
    "events": "`events` is there in pipelines with a `batch`",
    "body": "`body` is there in a webhook's `event`, `id` and `data`",
    "headers": "`headers` is there in a webhook's `event`, `id` and `data`",
    "github": "the event that started the run is `event`, what is running is `run`",
    "inputs": "a call's data is `event.data`",
    "outputs": "a step's output is `steps.ID.output`",
    "trigger": "the event that started the run is `event`",
    "execution": "what is running is `run`",
}


@dataclass(frozen=True, slots=True)
class Place:
    """What an expression may read where it stands.

    Attributes:
        names: Root names.
        steps: Ids of the steps that it sees.
        vars: Names of the vars that it sees.
        pinned: Whether `now()` and `uuid()` have a meaning there.
    """

    names: frozenset[str]
    steps: frozenset[str] = frozenset()
    vars: frozenset[str] = frozenset()
    pinned: bool = True

    def seeing(self, steps: frozenset[str]) -> Place:
        """The same place, seeing more steps."""
        return replace(self, steps=self.steps | steps)

    def knowing(self, *names: str) -> Place:
        """The same place, with more names."""
        return replace(self, names=self.names | set(names))


@dataclass(slots=True)
class Checker:
    """Checks the expressions of one pipeline.

    Attributes:
        findings: Where to report.
        step_ids: All ids of the pipeline.
        environ: Variables of the environment, when they must be there; None: they need not.
        env_read: Collects the names of those that are read.
        vars_read: Collects the vars that are read.
    """

    findings: Findings
    step_ids: frozenset[str]
    environ: Mapping[str, str] | None = None
    env_read: set[str] = field(default_factory=set)
    vars_read: set[str] = field(default_factory=set)

    def expression(self, written: ExpressionText, path: Path, place: Place) -> str:
        """Check an expression under a key that takes one; returns its text."""
        try:
            compiled = compile_expression(written.text)
        except ExpressionSyntaxError as error:
            for problem in error.problems:
                self._syntax(problem, path, written.offset)
            return written.text
        self._check(compiled, path, written.offset, place)
        return written.text

    def value(self, tree: Any, path: Path, place: Place) -> Any:
        """Check a value with templates; returns it."""
        try:
            compiled = compile_value(tree)
        except ExpressionSyntaxError as error:
            for problem in error.problems:
                self._syntax(problem, (*path, *problem.path), 0)
            return tree
        for inner, template in compiled.templates:
            for placed in template.expressions:
                self._check(placed.expression, (*path, *inner), placed.offset, place)
        return tree

    def _syntax(self, problem: Problem, path: Path, offset: int) -> None:
        if self.findings.document.is_broken(path):
            return  # what YAML did to it has been reported
        part = (offset + problem.start, offset + problem.end)
        self.findings.at(path, "FL201", problem.message, part=part, hint=problem.hint)

    def _check(self, expression: Expression, path: Path, offset: int, place: Place) -> None:
        for reading in expression.references:
            self._reading(reading, path, offset, place)
        if not place.pinned:
            for name in sorted(expression.calls & {"now", "uuid"}):
                start = expression.text.find(f"{name}(")
                self.findings.at(
                    path,
                    "FL207",
                    f"`{name}()` gives another answer each time, and this must give the same one",
                    part=(offset + start, offset + start + len(name)),
                    hint="read `event.time` instead" if name == "now" else "read `event.id` instead",
                )

    def _reading(self, reading: Reading, path: Path, offset: int, place: Place) -> None:
        root = reading.path[0]
        part = _shifted(reading.spans[0], offset)
        if root not in place.names:
            hint = near(root, place.names) or _WHERE.get(root) or near(root, place.names, listing="the names here are")
            if root in _WHERE and root not in {"item", "inputs", "outputs"}:
                hint = _WHERE[root]
            self.findings.at(path, "FL202", f"there is no `{root}` here", part=part, hint=hint)
        elif root == "steps":
            self._step(reading, path, offset, place)
        elif root == "vars":
            self._var(reading, path, offset, place)
        elif root == "env":
            self._env(reading, path, offset)

    def _step(self, reading: Reading, path: Path, offset: int, place: Place) -> None:
        if len(reading.path) < 2:
            return
        name = reading.path[1]
        part = _shifted(reading.spans[1], offset)
        if name not in self.step_ids:
            hint = near(name, self.step_ids, listing="the steps are")
            self.findings.at(path, "FL203", f"the pipeline has no step `{name}`", part=part, hint=hint)
        elif name not in place.steps:
            self.findings.at(
                path,
                "FL204",
                f"the step `{name}` cannot be seen from here",
                part=part,
                hint="a step sees those that must have ended before it; of a loop only the loop itself",
            )
        elif len(reading.path) > 2 and reading.path[2] not in STEP_FIELDS:
            wrong = reading.path[2]
            hint = near(wrong, STEP_FIELDS) or f"its result is `steps.{name}.output`"
            message = f"a step has no `{wrong}`"
            self.findings.at(path, "FL206", message, part=_shifted(reading.spans[2], offset), hint=hint)

    def _var(self, reading: Reading, path: Path, offset: int, place: Place) -> None:
        if len(reading.path) < 2:
            self.vars_read |= place.vars
            return
        name = reading.path[1]
        self.vars_read.add(name)
        if name not in place.vars and not reading.guarded:
            hint = near(name, place.vars, listing="the vars here are")
            self.findings.at(
                path, "FL205", f"there is no var `{name}` here", part=_shifted(reading.spans[1], offset), hint=hint
            )

    def _env(self, reading: Reading, path: Path, offset: int) -> None:
        if len(reading.path) < 2:
            return
        name = reading.path[1]
        self.env_read.add(name)
        if self.environ is not None and name not in self.environ and not reading.guarded:
            part = _shifted(reading.spans[1], offset)
            hint = f"set {name} and deploy again"
            self.findings.at(path, "FL208", f"the variable {name} is not set", part=part, hint=hint)


def expressions_in(tree: Any) -> Iterator[Expression]:
    """The expressions in a value with templates; none when it cannot be read."""
    try:
        compiled = compile_value(tree)
    except ExpressionSyntaxError:
        return
    for _, template in compiled.templates:
        for placed in template.expressions:
            yield placed.expression


def _shifted(span: tuple[int, int], offset: int) -> tuple[int, int]:
    return span[0] + offset, span[1] + offset
