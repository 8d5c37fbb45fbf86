"""Checks expressions where they stand: which names they may read, which steps they see, which functions fit there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from flowlang.compiler.findings import Findings, near
from flowlang.compiler.habits import ROOTS, Known, foreign, hint_of, may_be_meant
from flowlang.compiler.place_types import EVERYWHERE, step_type, type_of_value
from flowlang.compiler.unbraced import unbraced
from flowlang.diagnostics import Label, Severity
from flowlang.expr import (
    Expression,
    ExpressionSyntaxError,
    Problem,
    Template,
    compile_expression,
    compile_template,
    compile_value,
)
from flowlang.expr import Reference as Reading
from flowlang.expr import errors as problems
from flowlang.expr.check import Checked, check_expression, check_text
from flowlang.expr.environment import Environment
from flowlang.expr.facts import NOTHING, Facts, Implied
from flowlang.expr.json_types import as_json, no_json, no_text
from flowlang.expr.syntax import Logic, Node
from flowlang.expr.taint import Leak, leaks
from flowlang.expr.types import BOOL, DYN, STRING, Field, Nullable, ObjectOf, Type
from flowlang.expr.types import ERROR as REPORTED
from flowlang.expr.value_template import texts_of
from flowlang.jsondata import render_path
from flowlang.model import Path
from flowlang.model.expression import ExpressionText
from flowlang.model.yaml_nodes import Scalar

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
    **ROOTS,
}


#: The code of a finding for each kind of problem that the checker of expressions has.
CODES: Final = {
    problems.SYNTAX: "FL201",
    problems.WRONG_TYPE: "FL211",
    problems.NOT_BOOL: "FL212",
    problems.MAY_BE_MISSING: "FL213",
    problems.UNKNOWN_FIELD: "FL214",
    problems.MAY_BE_NULL: "FL215",
    problems.BAD_CONSTANT: "FL216",
    problems.NEVER_EQUAL: "FL217",
}

#: A look at most texts is enough to see that no other tool would compute them.
_COMPUTED_ELSEWHERE = re.compile(r"\{\{|^[\w$]+[.\[]")

Span = tuple[int, int]

#: Secrets are called by their names.
SECRETS: Final[Mapping[str, str]] = {"secrets": ""}


@dataclass(frozen=True, slots=True)
class Place:
    """What an expression may read where it stands.

    Attributes:
        names: Root names.
        steps: Ids of the steps that it sees.
        vars: Names of the vars that it sees.
        pinned: Whether `now()` and `uuid()` have a meaning there.
        types: Types of the root names, as far as they are known and not the same everywhere.
        facts: What is known of the data there, by the conditions that were true before.
        holding: These conditions, as they are written.
        marked: Names of which nothing may be shown, and what they are called.
    """

    names: frozenset[str]
    steps: frozenset[str] = frozenset()
    vars: frozenset[str] = frozenset()
    pinned: bool = True
    types: Mapping[str, Type] = field(default_factory=dict)
    facts: Facts = NOTHING
    holding: frozenset[str] = frozenset()
    marked: Mapping[str, str] = field(default_factory=lambda: SECRETS)

    def seeing(self, steps: frozenset[str]) -> Place:
        """The same place, seeing more steps."""
        return self if steps <= self.steps else replace(self, steps=self.steps | steps)

    def knowing(self, *names: str) -> Place:
        """The same place, with more names."""
        return replace(self, names=self.names | set(names))

    def typed(self, **types: Type) -> Place:
        """The same place, with names of which the types are known."""
        return replace(self, names=self.names | set(types), types={**self.types, **types})

    def given(self, facts: Facts) -> Place:
        """The same place, where more is known of the data."""
        return replace(self, facts=self.facts | facts) if facts is not NOTHING else self

    def where(self, conditions: frozenset[str]) -> Place:
        """The same place, where more conditions hold."""
        return replace(self, holding=self.holding | conditions) if conditions else self


@dataclass(frozen=True, slots=True)
class Written:
    """A checked expression or value.

    Attributes:
        plain: As the plan stores it.
        type: What it gives, as JSON.
        parts: Types of the texts with expressions in it, by path.
        implied: What follows where it is true, and where it is false.
        leaks: What of it must not be shown, by path.
    """

    plain: Any
    type: Type = DYN
    implied: Implied = field(default_factory=Implied)
    parts: Mapping[Path, Type] = field(default_factory=dict)
    leaks: Mapping[Path, tuple[Leak, ...]] = field(default_factory=dict)

    @property
    def sensitive(self) -> str:
        """What the whole is that must not be shown; empty: it may be, or parts of it are marked."""
        return next((leak.source for leak in self.leaks.get((), ()) if not leak.inner), "")


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What is known of how a step ends, where the steps after it are concerned.

    Attributes:
        output: Type of its output.
        none: Why it may have no output although it has succeeded; empty: it has one.
        unsure: Why it may not have succeeded; empty: it has.
        conditions: What must have been true for it to run, where nothing else makes it unsure; else None.
        sensitive: What its output is that must not be shown; empty: it may be, or parts of it are marked.
    """

    output: Type = DYN
    none: str = ""
    unsure: str = ""
    conditions: frozenset[str] | None = None
    sensitive: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """A path that an expression reads, and where the expression is written."""

    reading: Reading
    path: Path
    offset: int

    @property
    def part(self) -> tuple[int, int]:
        """Offsets of the whole path in the scalar's value."""
        return self.offset + self.reading.spans[0][0], self.offset + self.reading.spans[-1][1]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition without mistakes.

    Attributes:
        expression: The condition.
        offset: Where its text begins in the scalar's value.
        types: Of the parts of its tree.
    """

    expression: Expression
    offset: int
    types: Mapping[Node, Type]


@dataclass(frozen=True, slots=True)
class Seen:
    """What could be read where a value or an expression is written: editors complete and explain by it.

    Attributes:
        path: Where, in its document.
        place: Which steps and vars it sees.
        environment: The names with their types.
    """

    path: Path
    place: Place
    environment: Environment


@dataclass(slots=True)
class Checker:
    """Checks the expressions of one pipeline.

    Attributes:
        findings: Where to report.
        step_ids: All ids of the pipeline.
        environ: Variables of the environment, when they must be there; None: they need not.
        env_read: Collects the names of those that are read.
        vars_read: Collects the vars that are read.
        places: Collects where the texts with expressions are written, as `plan.Places` has it.
        reads: Collects what is read, and where.
        conditions: Collects the conditions without mistakes, by path.
        watch: Is told of each value and expression, before it is checked; None: nobody asks.
    """

    findings: Findings
    step_ids: frozenset[str]
    environ: Mapping[str, str] | None = None
    env_read: set[str] = field(default_factory=set)
    vars_read: set[str] = field(default_factory=set)
    places: dict[str, tuple[int, ...]] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)
    conditions: dict[Path, Condition] = field(default_factory=dict)
    watch: Callable[[Seen], None] | None = None
    _facts: dict[str, StepOutcome] = field(default_factory=dict)
    _steps: ObjectOf = field(init=False)
    _vars: ObjectOf = field(init=False)

    def __post_init__(self) -> None:
        # Which of them can be read where is `Place`'s to say; here they only have types, which become known by and by.
        self._steps = ObjectOf("the pipeline's steps", {name: Field(step_type(DYN)) for name in self.step_ids})
        self._vars = ObjectOf("the vars", {}, DYN)

    def learn_step(self, name: str, outcome: StepOutcome) -> None:
        """Take what is known of how a step ends, for the expressions that come after it."""
        self._facts[name] = outcome
        self._steps.fields[name] = Field(
            step_type(outcome.output, none=outcome.none, unsure=outcome.unsure, sensitive=outcome.sensitive)
        )

    def doubt(self, names: Iterable[str], why: str, conditions: frozenset[str] | None = None) -> None:
        """Take that some steps may not have succeeded, for the expressions that come after.

        Args:
            names: The steps.
            why: In words.
            conditions: What must have been true for them to run, if that is all.
        """
        for name in names:
            before = self._facts.get(name, StepOutcome())
            certain = not before.unsure
            known = conditions is not None and (certain or before.conditions is not None)
            needed = (before.conditions or frozenset()) | (conditions or frozenset()) if known else None
            self.learn_step(name, replace(before, unsure=before.unsure or why, conditions=needed))

    def outcomes(self) -> Mapping[str, StepOutcome]:
        """What is known of steps so far, to come back to."""
        return dict(self._facts)

    def come_back(self, outcomes: Mapping[str, StepOutcome]) -> None:
        """Forget what was learnt of the steps that were known before."""
        for name, outcome in outcomes.items():
            self.learn_step(name, outcome)

    def learn_var(self, name: str, type_: Type, sensitive: str = "") -> None:
        """Take the type of a var for the expressions after it; `sensitive`: what it is, if it must not be shown."""
        self._vars.fields[name] = Field(type_, sensitive=sensitive)

    def expression(self, written: ExpressionText, path: Path, place: Place, *, expected: Type | None = None) -> Written:
        """Check an expression under a key that takes one.

        Args:
            written: The expression.
            path: Where it is written.
            place: What it may read.
            expected: The type that the key takes; None: any.
        """
        self._tell(path, place)
        checked = self._expression(written.text, path, written.offset, place, expected)
        self._remember(path, written.offset, written.offset + len(written.text))
        found = self._leaks(written.text, checked, place)
        return Written(written.text, as_json(checked.type), checked.implied, leaks={(): found} if found else {})

    def value(self, tree: Any, path: Path, place: Place) -> Written:
        """Check a value with templates."""
        self._tell(path, place)
        types: dict[tuple[str | int, ...], Type] = {}
        leaking: dict[tuple[str | int, ...], tuple[Leak, ...]] = {}
        try:
            texts = list(texts_of(tree))
        except ExpressionSyntaxError as error:
            self._problems(error.problems, (*path, *error.problems[0].path), 0, set())
            return Written(tree)
        for inner, text in texts:
            at = (*path, *inner)
            try:
                template = compile_template(text)
            except ExpressionSyntaxError as error:
                self._problems(error.problems, at, 0, set())
                types[inner] = DYN
            else:
                self._literal(text, at, place)
                if not template.is_literal:
                    types[inner], found = self._template(template, at, place)
                    if found:
                        leaking[inner] = found
                    self._remember(at, 0, len(text))
        marks = {at: leak.source for at, found in leaking.items() for leak in found if not leak.inner}
        return Written(tree, type_of_value(tree, types, marks), parts=types, leaks=leaking)

    def _literal(self, text: str, path: Path, place: Place) -> None:
        """Report what of a text would be computed elsewhere, where what it means is certain."""
        if not _COMPUTED_ELSEWHERE.search(text) or self.findings.document.is_broken(path):
            return
        name = next((step for step in reversed(path) if isinstance(step, str)), "")
        known = Known(place.steps, place.vars, self._environment(place))
        found = [
            meant for meant in unbraced(text, place.names) if may_be_meant(text[meant.start : meant.end], name, known)
        ]
        for meant in found or foreign(text, name, known):
            self.findings.at(
                path,
                meant.code,
                meant.message,
                part=(meant.start, meant.end),
                hint=meant.hint,
                severity=Severity.WARNING,
            )

    def _tell(self, path: Path, place: Place) -> None:
        if self.watch is not None:
            self.watch(Seen(path, place, self._environment(place)))

    def _remember(self, path: Path, start: int, end: int) -> None:
        self.places[render_path(path)] = self.findings.document.anchors(path, start, end)

    def _template(self, template: Template, path: Path, place: Place) -> tuple[Type, tuple[Leak, ...]]:
        """Check the expressions in a text. Returns its type, and what of it must not be shown."""
        found: Type = STRING
        leaking: list[Leak] = []
        for placed in template.expressions:
            checked = self._expression(placed.expression.text, path, placed.offset, place, None)
            type_ = checked.type
            for leak in self._leaks(placed.expression.text, checked, place):
                moved = replace(leak, start=leak.start + placed.offset, end=leak.end + placed.offset)
                leaking.append(moved if template.keeps_type else replace(moved, inner=()))
            wrong = no_json(type_) if template.keeps_type else no_text(type_)
            if wrong is not None:
                part = (placed.offset, placed.offset + len(placed.expression.text))
                code = "FL215" if isinstance(type_, Nullable) else "FL211"
                self.findings.at(path, code, wrong[0], part=part, hint=wrong[1])
            if template.keeps_type:
                found = as_json(type_)
        return found, tuple(leaking)

    def _expression(self, text: str, path: Path, offset: int, place: Place, expected: Type | None) -> Checked:
        """Check the names and the types of an expression."""
        environment = self._environment(place)
        try:
            compiled = compile_expression(text)
        except ExpressionSyntaxError:
            checked = check_text(text, environment, expected=expected)
            self._problems(checked.problems, path, offset, set(), environment)
            return Checked(REPORTED)
        reported = self._check(compiled, path, offset, place)
        checked = check_expression(compiled, environment, expected=expected)
        self._problems(checked.problems, path, offset, reported, environment)
        self.reads += (Read(reading, path, offset) for reading in compiled.references)
        if expected is BOOL and not checked.problems and not reported:
            self.conditions[path] = Condition(compiled, offset, checked.types)
        return checked

    @staticmethod
    def _leaks(text: str, checked: Checked, place: Place) -> tuple[Leak, ...]:
        """What an expression gives away; nothing where it could not be read."""
        return (
            leaks(compile_expression(text).root, checked.types, checked.marked, place.marked) if checked.types else ()
        )

    def _environment(self, place: Place) -> Environment:
        types = {name: place.types.get(name) or EVERYWHERE.get(name, DYN) for name in place.names}
        if "steps" in types:
            types["steps"] = self._steps
        if "vars" in types:
            types["vars"] = self._vars
        return Environment(types, facts=place.facts | self._held(place), closed=False)

    def _held(self, place: Place) -> Facts:
        """Outputs that are there because the conditions hold under which their steps ran."""
        if not place.holding:
            return NOTHING
        present = {
            ("steps", name, "output")
            for name, outcome in self._facts.items()
            if outcome.conditions and not outcome.none and outcome.conditions <= place.holding
        }
        return Facts(frozenset(present))

    def _problems(
        self,
        found: Iterable[Problem],
        path: Path,
        offset: int,
        reported: set[Span],
        environment: Environment | None = None,
    ) -> None:
        if self.findings.document.is_broken(path):
            return  # what YAML did to it has been reported
        node = self.findings.document.node_at(path)
        written = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
        for problem in found:
            if not any(start <= problem.start and problem.end <= end for start, end in reported):
                part = (offset + problem.start, offset + problem.end)
                hint = hint_of(problem, written[offset:], environment)
                self.findings.at(path, CODES[problem.kind], problem.message, part=part, hint=hint)

    def _check(self, expression: Expression, path: Path, offset: int, place: Place) -> set[Span]:
        """Check the names that an expression reads. Returns the places that have been reported."""
        reported = {
            span
            for reading in expression.references
            if (span := self._reading(reading, path, offset, place)) is not None
        }
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
        return reported

    def _reading(self, reading: Reading, path: Path, offset: int, place: Place) -> Span | None:
        """Check a path that an expression reads. Returns the place in the expression that has been reported."""
        root = reading.path[0]
        if root not in place.names:
            hint = near(root, place.names) or _WHERE.get(root) or near(root, place.names, listing="the names here are")
            if root in _WHERE and root not in {"item", "inputs", "outputs"}:
                hint = _WHERE[root]
            return self._wrong(reading, 0, path, offset, code="FL202", message=f"there is no `{root}` here", hint=hint)
        if len(reading.path) < 2:
            if root == "vars":
                self.vars_read |= place.vars
            return None
        match root:
            case "steps":
                return self._step(reading, path, offset, place)
            case "vars":
                return self._var(reading, path, offset, place)
            case "env":
                return self._env(reading, path, offset)
            case _:
                return None

    def _step(self, reading: Reading, path: Path, offset: int, place: Place) -> Span | None:
        name = reading.path[1]
        if name not in self.step_ids:
            hint = near(name, self.step_ids, listing="the steps are")
            return self._wrong(
                reading, 1, path, offset, code="FL203", message=f"the pipeline has no step `{name}`", hint=hint
            )
        if name not in place.steps:
            hint = "a step sees those that must have ended before it; of a loop only the loop itself"
            return self._wrong(
                reading,
                1,
                path,
                offset,
                code="FL204",
                message=f"the step `{name}` cannot be seen from here",
                hint=hint,
                labels=self.findings.step_label(name, "the step"),
            )
        if len(reading.path) > 2 and reading.path[2] not in STEP_FIELDS:
            wrong = reading.path[2]
            hint = near(wrong, STEP_FIELDS) or f"its result is `steps.{name}.output`"
            return self._wrong(reading, 2, path, offset, code="FL206", message=f"a step has no `{wrong}`", hint=hint)
        return None

    def _var(self, reading: Reading, path: Path, offset: int, place: Place) -> Span | None:
        name = reading.path[1]
        self.vars_read.add(name)
        if name in place.vars or reading.guarded:
            return None
        hint = near(name, place.vars, listing="the vars here are")
        return self._wrong(reading, 1, path, offset, code="FL205", message=f"there is no var `{name}` here", hint=hint)

    def _env(self, reading: Reading, path: Path, offset: int) -> Span | None:
        name = reading.path[1]
        self.env_read.add(name)
        if self.environ is None or name in self.environ or reading.guarded:
            return None
        hint = f"set {name} and deploy again"
        return self._wrong(reading, 1, path, offset, code="FL208", message=f"the variable {name} is not set", hint=hint)

    def _wrong(
        self,
        reading: Reading,
        segment: int,
        path: Path,
        offset: int,
        *,
        code: str,
        message: str,
        hint: str | None,
        labels: tuple[Label, ...] = (),
    ) -> Span:
        """Report a segment of a path. Returns where it and what is selected from it stand."""
        start, end = reading.spans[segment]
        self.findings.at(path, code, message, part=(start + offset, end + offset), hint=hint, labels=labels)
        return start, reading.spans[-1][1]


def conjuncts(text: str) -> frozenset[str]:
    """The conditions that all hold where an expression is true, as they are written."""
    try:
        root = compile_expression(text).root
    except ExpressionSyntaxError:
        return frozenset()
    pending, found = [root], set()
    while pending:
        node = pending.pop()
        if isinstance(node, Logic) and node.operator == "&&":
            pending += node.operands
        else:
            found.add(text[node.start : node.end].strip())
    return frozenset(found)


def expressions_in(tree: Any) -> Iterator[Expression]:
    """The expressions in a value with templates; none when it cannot be read."""
    try:
        compiled = compile_value(tree)
    except ExpressionSyntaxError:
        return
    for _, template in compiled.templates:
        for placed in template.expressions:
            yield placed.expression
