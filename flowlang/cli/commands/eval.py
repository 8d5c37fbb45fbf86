"""`flowlang eval`: one expression, on data of your own; with a schema it is checked first."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from flowlang import jsondata
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.clock import Clock, SystemClock, random_token
from flowlang.diagnostics import Severity
from flowlang.diagnostics.excerpt import excerpt_lines
from flowlang.diagnostics.paint import Paint, printable
from flowlang.expr import (
    CelError,
    EvaluationError,
    Explanation,
    Expression,
    ExpressionSyntaxError,
    Pins,
    Problem,
    Timestamp,
    compile_expression,
    explain,
    literal,
    to_json,
)
from flowlang.expr.value_literals import shortened
from flowlang.source import SourceText

if TYPE_CHECKING:  # only a schema needs the checker, and only `--explain` explanations
    from flowlang.expr.explanation import Part
    from flowlang.expr.types import Type

#: What `now()` answers; tests put another clock here.
CLOCK: Clock = SystemClock()

_FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)

#: Characters of JSON texts that a terminal would act on, or that stdout cannot carry.
_UNSEEN: Final = re.compile("[\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


@click.command("eval", cls=Command)
@click.argument("expression")
@click.option(
    "-d", "--data", "data_file", metavar="FILE", type=_FILE, help="JSON object whose keys are the names; - for stdin."
)
@click.option(
    "--schema",
    "schema_file",
    metavar="FILE",
    type=_FILE,
    help="JSON Schema of the data: check the types first; without --data, only check.",
)
@click.option("--explain", "explained", is_flag=True, help="Show what each part gave, and the type.")
@click.pass_obj
def command(
    session: Session, expression: str, data_file: Path | None, schema_file: Path | None, *, explained: bool
) -> int:
    """Evaluate an expression.

    EXPRESSION is CEL, without ${{ }}; - reads it from stdin. Its value is written as JSON, or as an expression where
    JSON has nothing for it.

    Such as: flowlang eval 'order.cents > 1000' --data order.json
    """
    if [expression, str(data_file), str(schema_file)].count("-") > 1:
        raise click.UsageError("stdin can be read only once")
    text = _text(expression)
    data = _object(data_file) if data_file is not None else None
    report = _Report(session, SourceText("expression", text), explained=explained)
    if schema_file is None:
        return report.evaluate(data or {})
    return _checked(report, schema_file, data)


def _text(expression: str) -> str:
    """The expression as given, or from stdin without the line break at its end."""
    try:
        text = sys.stdin.buffer.read().decode("utf-8").rstrip() if expression == "-" else expression
        text.encode("utf-8")
    except UnicodeError:
        raise click.BadParameter("the expression is not UTF-8 text", param_hint="EXPRESSION") from None
    return text


def _read(path: Path, option: str) -> Any:
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return jsondata.loads_strict(content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.BadParameter(f"{path} cannot be read: {reason}", param_hint=option) from None
    except jsondata.JsonError as error:
        raise click.BadParameter(f"{_name(path)}: {error}", param_hint=option) from None


def _name(path: Path) -> str:
    return "stdin" if str(path) == "-" else str(path)


def _object(path: Path) -> dict[str, Any]:
    data = _read(path, "--data")
    if isinstance(data, dict):
        return data
    kinds = {list: "a list", str: "a text", bool: "a bool", type(None): "null"}
    held = f"{_name(path)} holds {kinds.get(data.__class__, 'a number')}"
    example = '{"order": {"cents": 1900}}'
    raise click.BadParameter(f"{held}; its keys are the names, so give an object: {example}", param_hint="--data")


def _checked(report: _Report, schema_file: Path, data: dict[str, Any] | None) -> int:
    """Check types first, then data, then evaluate."""
    from flowlang.engine.schemas import EventValidator, SchemaError  # noqa: PLC0415 - only with a schema

    schema = _read(schema_file, "--schema")
    if not isinstance(schema, dict | bool):
        raise click.BadParameter(f"{_name(schema_file)} is no JSON Schema: that is an object", param_hint="--schema")
    try:
        validator = EventValidator(schema)
    except SchemaError as error:
        raise click.BadParameter(f"{_name(schema_file)} cannot be used: {error}", param_hint="--schema") from None
    type_, problems = _type(report.source.text, schema)
    if problems:
        return report.refuse(problems)
    report.type = type_
    if data is None:
        return report.only_type()
    checked = validator.check(data)
    if not checked.ok:
        told = "; ".join(f"{failure.path} {failure.message}" for failure in checked.failures)
        return report.misfit(f"the data does not fit the schema: {told}")
    return report.evaluate(checked.data)


def _type(text: str, schema: Any) -> tuple[Type, tuple[Problem, ...]]:
    """The type of an expression on such data, and what is wrong with it."""
    from flowlang.expr.check import check_text  # noqa: PLC0415 - only with a schema
    from flowlang.expr.environment import Environment  # noqa: PLC0415 - the same
    from flowlang.expr.schema_types import type_of_schema  # noqa: PLC0415 - the same
    from flowlang.expr.types import ObjectOf  # noqa: PLC0415 - the same

    found = type_of_schema(schema, name="the data")
    if not isinstance(found, ObjectOf):
        checked = check_text(text, Environment(closed=False))
        return checked.type, checked.problems
    names = {name: member.type for name, member in found.fields.items()}
    checked = check_text(text, Environment(names, closed=found.rest is None))
    if checked.problems:
        return checked.type, checked.problems
    # A field can be guarded, a name cannot.
    optional = {name for name, member in found.fields.items() if not member.required}
    missing = [
        Problem(
            f"`{reference.path[0]}` may be missing",
            *reference.spans[0],
            "list it under `required` in the schema",
            kind="may-be-missing",
        )
        for reference in compile_expression(text).references
        if reference.path[0] in optional
    ]
    return checked.type, tuple(missing)


@dataclass(slots=True)
class _Report:
    """Evaluates and shows: values on stdout, what is wrong on stderr."""

    session: Session
    source: SourceText
    explained: bool
    type: Type | None = None

    def evaluate(self, data: dict[str, Any]) -> int:
        """Evaluate on data and show what comes out."""
        try:
            expression = compile_expression(self.source.text)
        except ExpressionSyntaxError as error:
            return self.refuse(error.problems)
        explanation: Explanation | None = None
        value: object = None
        failure: EvaluationError | None = None
        pins = _pins(expression)
        if self.explained:
            explanation = explain(expression, data, pins=pins)
            value, failure = explanation.value, explanation.error
        else:
            try:
                value = expression.evaluate(data, pins=pins)
            except EvaluationError as error:
                failure = error
        if explanation is not None:
            self._explain(explanation)
        if failure is not None:
            problem = Problem(failure.message, failure.start, failure.end, kind=failure.code)
            return self.refuse((problem,), "evaluation", explanation)
        self._value(value, explanation)
        return OK

    def only_type(self) -> int:
        """Show the type: there is no data to evaluate on."""
        if self.session.as_json:
            self.session.console.document({"type": str(self.type)})
        else:
            self.session.console.out(printable(str(self.type)))
        return OK

    def misfit(self, message: str) -> int:
        """Say that the data is not as the schema says."""
        self.session.console.fail(message)
        if self.session.as_json:
            self.session.console.document({"error": {"kind": "data", "message": message}})
        return REFUSED

    def refuse(
        self, problems: tuple[Problem, ...], kind: str = "expression", explanation: Explanation | None = None
    ) -> int:
        """Show what is wrong with the expression, with carets."""
        for problem in problems:
            self._block(problem)
        if self.session.as_json:
            entries = [self._entry(problem) for problem in problems]
            error = {"kind": kind, "message": problems[0].message, "problems": entries}
            extra = {} if explanation is None else {"explanation": _plain_part(explanation.part)}
            self.session.console.document({"error": error, **extra})
        return REFUSED

    def _explain(self, explanation: Explanation) -> None:
        for line in explanation.lines():
            self.session.console.say(line)
        if self.type is not None:
            self.session.console.say(f"type: {self.type}")

    def _value(self, value: object, explanation: Explanation | None) -> None:
        shown = _shown(value)
        if self.session.as_json:
            document: dict[str, Any] = {} if self.type is None else {"type": str(self.type)}
            document |= shown
            if explanation is not None:
                document["explanation"] = _plain_part(explanation.part)
            self.session.console.document(document)
            return
        plain = json.dumps(shown["value"], ensure_ascii=False) if "value" in shown else shown["cel"]
        self.session.console.out(_UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", plain))

    def _block(self, problem: Problem) -> None:
        """Write a problem as findings are written."""
        paint = Paint(on=self.session.console.talk_in_color)
        span = self.source.span(problem.start, problem.end)
        gutter = len(str(span.line))
        pad = " " * gutter
        lines = [
            f"{paint.severity(Severity.ERROR, f'error[{problem.kind}]')}: {paint.bold(printable(problem.message))}",
            f"{pad}{paint.dim('-->')} {span.path}:{span.line}:{span.column}",
            *excerpt_lines(
                span,
                "",
                {span.path: self.source},
                gutter=gutter,
                mark="^",
                severity=Severity.ERROR,
                paint=paint,
            ),
        ]
        if problem.hint:
            lines += [
                f"{pad} {paint.dim('|')}",
                f"{pad} {paint.dim('=')} {paint.bold('help')}: {printable(problem.hint)}",
            ]
        print("\n".join(lines), file=sys.stderr, flush=True)

    def _entry(self, problem: Problem) -> dict[str, Any]:
        span = self.source.span(problem.start, problem.end)
        return {
            "code": problem.kind,
            "message": problem.message,
            "hint": problem.hint,
            "start": {"offset": span.start, "line": span.line, "column": span.column},
            "end": {"offset": span.end, "line": span.end_line, "column": span.end_column},
        }


def _pins(expression: Expression) -> Pins:
    """This moment, and ids that nobody had before."""
    if expression.calls.isdisjoint({"now", "uuid"}):
        return Pins()
    from flowlang.engine.view import uuids  # noqa: PLC0415 - only where an expression asks for one

    return Pins(Timestamp.from_ms(CLOCK.now_ms()), uuids(random_token(), "", "eval"))


def _shown(value: object) -> dict[str, Any]:
    """A value as JSON, if JSON can carry it, and as an expression."""
    shown: dict[str, Any] = {}
    with suppress(CelError):
        shown["value"] = to_json(value)
    return {**shown, "cel": literal(value)}


def _plain_part(part: Part) -> dict[str, Any]:
    """A part of an explanation for programs; lists and maps are shortened, or data would stand there many times."""
    plain: dict[str, Any] = {"text": part.text, "start": part.start, "end": part.end, "state": part.state.value}
    if part.error is not None:
        plain["error"] = {"code": part.error.code, "message": part.error.message}
    elif part.state == "value":
        plain |= _brief(part.value)
    if part.parts:
        plain["parts"] = [_plain_part(each) for each in part.parts]
    if part.turn_count:
        plain["turn_count"] = part.turn_count
        plain["turns"] = [
            {
                "number": turn.number,
                "variables": {name: _brief(value) for name, value in turn.variables},
                "parts": [_plain_part(each) for each in turn.parts],
            }
            for turn in part.turns
        ]
    return plain


def _brief(value: object) -> dict[str, Any]:
    scalar = value is None or isinstance(value, str | bool | int | float)
    brief: dict[str, Any] = {"shown": shortened(value)}
    if scalar:
        with suppress(CelError):  # NaN and infinities
            brief["value"] = to_json(value)
    return brief
