"""Values that are computed in two steps: what is known now is put in, the rest stays to be evaluated later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flowlang.expr.errors import EvaluationError
from flowlang.expr.json_values import to_json
from flowlang.expr.partial import residual
from flowlang.expr.scope import NO_PINS, Pins
from flowlang.expr.template import Template
from flowlang.expr.value_template import Path, ValueTemplate

#: Characters of a known value that may be written into what stays: all that an expression may have.
_LONGEST: Final = 1_000_000


def fill_but(
    template: ValueTemplate, bindings: Mapping[str, object], later: frozenset[str], *, pins: Pins = NO_PINS
) -> Any:
    """Evaluate a tree as far as it can be, and write the rest as templates again.

    Args:
        template: The tree.
        bindings: Values of the root names that are known now.
        later: Root names that are known later only.
        pins: What `now()` and `uuid()` answer.

    Returns:
        A JSON tree of templates: compiled and evaluated with the names in `later`, it gives the whole value.

    Raises:
        EvaluationError: A template that can be evaluated now has no value; `path` says which.
    """
    by_path = dict(template.templates)
    known = {name: value for name, value in bindings.items() if name not in later}

    def fill(value: object, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: fill(part, (*path, key)) for key, part in value.items()}
        if isinstance(value, list):
            return [fill(part, (*path, place)) for place, part in enumerate(value)]
        found = by_path.get(path)
        if found is None:
            return value
        if found.roots & later:
            return _left(found, known, pins)
        try:
            return _literal(to_json(found.evaluate(known, pins=pins)))
        except EvaluationError as error:
            error.path = path
            raise error.at(0, len(found.text))  # noqa: B904 - the same error

    return fill(template.value, ())


def _left(template: Template, known: Mapping[str, object], pins: Pins) -> str:
    """What is left of a text, as a text with templates."""
    written = []
    for part in template.parts:
        if isinstance(part, str):
            written.append(_literal(part))
        else:
            rest = residual(part.expression, known, pins=pins, longest=_LONGEST)
            written.append(f"${{{{ {rest} }}}}")
    return "".join(written)


def _literal(value: Any) -> Any:
    """A value as a template that gives it."""
    match value:
        case str():
            return value.replace("${{", "$${{")
        case dict():
            return {key: _literal(part) for key, part in value.items()}
        case list():
            return [_literal(part) for part in value]
        case _:
            return value
