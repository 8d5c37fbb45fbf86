"""Texts with `${{ }}`: finding the expressions in them, and putting values in their places.

Offsets in problems and errors count from the start of the whole text. Trees of such texts are in `value_template`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from flowlang.expr import limits
from flowlang.expr.errors import EvaluationError, ExpressionSyntaxError, Problem
from flowlang.expr.json_values import to_text
from flowlang.expr.program import Expression, compile_expression
from flowlang.expr.regions import CLOSING, OPENING, template_regions
from flowlang.expr.scope import NO_PINS, Pins

_LITERAL_OPENING: Final = "$${{"


@dataclass(frozen=True, slots=True)
class PlacedExpression:
    """An expression inside a text.

    Args:
        expression: The compiled expression.
        offset: Where its text begins; add it to the expression's own offsets.
    """

    expression: Expression
    offset: int

    def evaluate(self, bindings: Mapping[str, object], *, pins: Pins = NO_PINS) -> object:
        """Evaluate the expression; errors say where in the whole text.

        Args:
            bindings: Values of the root names.
            pins: What `now()` and `uuid()` answer.

        Returns:
            A value of the language.

        Raises:
            EvaluationError: It has no value for these bindings.
        """
        try:
            return self.expression.evaluate(bindings, pins=pins)
        except EvaluationError as error:
            error.start += self.offset
            error.end += self.offset
            raise


class Template:
    """A compiled text with `${{ }}`; immutable, and safe to use in several threads.

    Args:
        text: As written.
        parts: Literal texts and expressions, in order.
        keeps_type: Whether it is exactly one expression, whose value is the result.
    """

    __slots__ = ("expressions", "keeps_type", "parts", "paths", "roots", "text")

    def __init__(self, text: str, parts: tuple[str | PlacedExpression, ...], *, keeps_type: bool) -> None:
        self.text: str = text
        self.parts: tuple[str | PlacedExpression, ...] = parts
        self.keeps_type: bool = keeps_type
        self.expressions: tuple[PlacedExpression, ...] = tuple(
            part for part in parts if isinstance(part, PlacedExpression)
        )
        self.roots: frozenset[str] = frozenset().union(*(placed.expression.roots for placed in self.expressions))
        self.paths: frozenset[tuple[str, ...]] = frozenset().union(
            *(placed.expression.paths for placed in self.expressions)
        )

    @property
    def is_literal(self) -> bool:
        """Whether there is nothing to evaluate."""
        return not self.expressions

    def evaluate(self, bindings: Mapping[str, object], *, pins: Pins = NO_PINS) -> object:
        """Put the values in their places.

        Args:
            bindings: Values of the root names.
            pins: What `now()` and `uuid()` answer.

        Returns:
            The value of the only expression, with its type; or a text.

        Raises:
            EvaluationError: An expression has no value, or one that cannot stand inside a text.
        """
        if self.keeps_type:
            return self.expressions[0].evaluate(bindings, pins=pins)
        written = []
        for part in self.parts:
            if isinstance(part, str):
                written.append(part)
                continue
            value = part.evaluate(bindings, pins=pins)
            try:
                written.append(to_text(value))
            except EvaluationError as error:
                raise error.at(part.offset, part.offset + len(part.expression.text))  # noqa: B904 - the same error
        return "".join(written)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


@lru_cache(maxsize=limits.CACHE_SIZE)
def compile_template(text: str) -> Template:
    """Compile a text with any number of `${{ }}`, none included.

    Args:
        text: As written; `$${{` stands for a literal `${{`.

    Returns:
        The compiled template.

    Raises:
        ExpressionSyntaxError: With the problems of all its expressions.
    """
    parts: list[str | PlacedExpression] = []
    problems: list[Problem] = []
    regions, unclosed = template_regions(text)
    position = 0
    for region in regions:
        parts += _literal(text[position : region.start])
        placed = _place(text, region.start + len(OPENING), region.end - len(CLOSING), problems)
        if placed is not None:
            parts.append(placed)
        position = region.end
    if unclosed is not None:
        problems.append(Problem("`${{` is not closed", unclosed, len(text), "write }} behind the expression"))
    parts += _literal(text[position:])
    if problems:
        raise ExpressionSyntaxError(tuple(problems[: limits.MAX_PROBLEMS]))
    return _template(text, parts)


def compile_bare_expression(text: str) -> PlacedExpression:
    """Compile the value of a key that is an expression without braces; braces around the whole are accepted.

    Args:
        text: As written, such as `event.data.amount > 10` or `${{ event.data.amount > 10 }}`.

    Returns:
        The expression and where its text begins.

    Raises:
        ExpressionSyntaxError: It is no expression, or has braces around a part.
    """
    if OPENING not in text:
        lead = len(text) - len(text.lstrip())
        return PlacedExpression(_compile_at(text.strip(), lead), lead)
    template = compile_template(text)
    if template.keeps_type:
        return template.expressions[0]
    message = "this is an expression already, and has ${{ }} around a part of it"
    raise ExpressionSyntaxError((Problem(message, 0, len(text), "write it without ${{ }}"),))


def _template(text: str, parts: list[str | PlacedExpression]) -> Template:
    expressions = [part for part in parts if isinstance(part, PlacedExpression)]
    blank = all(part.isspace() for part in parts if isinstance(part, str))
    if len(expressions) == 1 and blank:
        return Template(text, tuple(expressions), keeps_type=True)
    return Template(text, tuple(parts), keeps_type=False)


def _literal(text: str) -> list[str | PlacedExpression]:
    """A text between expressions; `$${{` stands for a literal `${{`."""
    written = text.replace(_LITERAL_OPENING, OPENING)
    return [written] if written else []


def _place(text: str, start: int, end: int, problems: list[Problem]) -> PlacedExpression | None:
    inner = text[start:end]
    offset = start + len(inner) - len(inner.lstrip())
    try:
        return PlacedExpression(_compile_at(inner.strip(), offset), offset)
    except ExpressionSyntaxError as error:
        problems += error.problems
        return None


def _compile_at(text: str, offset: int) -> Expression:
    try:
        return compile_expression(text)
    except ExpressionSyntaxError as error:
        moved = [replace(p, start=p.start + offset, end=p.end + offset) for p in error.problems]
        raise ExpressionSyntaxError(tuple(moved)) from None
