"""JSON trees whose texts are templates, such as the `with` of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from flowlang.expr.errors import EvaluationError, ExpressionSyntaxError, Problem
from flowlang.expr.json_values import to_json
from flowlang.expr.scope import NO_PINS, Pins
from flowlang.expr.template import Template, compile_template

Path = tuple[str | int, ...]
_Filler = Callable[[Mapping[str, object], Pins], Any]

#: Levels of a tree; deeper ones come from no sane file.
_MAX_DEPTH: Final = 100


class ValueTemplate:
    """A compiled tree; immutable, and safe to use in several threads.

    Args:
        value: The tree as written.
        templates: Its templates that have something to evaluate, each with the path to it.
        fill: Makes the new tree.
    """

    __slots__ = ("_fill", "paths", "roots", "templates", "value")

    def __init__(self, value: object, templates: tuple[tuple[Path, Template], ...], fill: _Filler) -> None:
        self.value: object = value
        self.templates: tuple[tuple[Path, Template], ...] = templates
        self.roots: frozenset[str] = frozenset().union(*(template.roots for _, template in templates))
        self.paths: frozenset[tuple[str, ...]] = frozenset().union(*(template.paths for _, template in templates))
        self._fill = fill

    @property
    def literal(self) -> bool:
        """Whether there is nothing to evaluate."""
        return not self.templates

    def evaluate(self, bindings: Mapping[str, object], *, pins: Pins = NO_PINS) -> Any:
        """Make the tree with the values in their places.

        Args:
            bindings: Values of the root names.
            pins: What `now()` and `uuid()` answer.

        Returns:
            A new tree of plain JSON values.

        Raises:
            EvaluationError: A template has no value, or one that JSON cannot carry; `path` says which template.
        """
        return self._fill(bindings, pins)


def compile_value(value: object) -> ValueTemplate:
    """Compile a JSON tree whose texts are templates; the keys of its maps are literal.

    Args:
        value: dict, list, str, int, float, bool or None.

    Returns:
        The compiled tree.

    Raises:
        ExpressionSyntaxError: With the problems of all its templates, each with its path.
    """
    problems: list[Problem] = []
    found: list[tuple[Path, Template]] = []
    for path, text in texts_of(value):
        try:
            template = compile_template(text)
        except ExpressionSyntaxError as error:
            problems += [replace(problem, path=path) for problem in error.problems]
        else:
            if not template.is_literal or template.parts != (text,):
                found.append((path, template))
    if problems:
        raise ExpressionSyntaxError(tuple(problems))
    by_path = dict(found)
    fill = _filler(value, (), by_path)
    evaluated = tuple((path, template) for path, template in found if not template.is_literal)
    return ValueTemplate(value, evaluated, fill)


def texts_of(value: object) -> Iterator[tuple[Path, str]]:
    """Iterate over the texts of a JSON tree, each with the path to it.

    Args:
        value: dict, list, str, int, float, bool or None.

    Yields:
        Path and text, in written order.

    Raises:
        ExpressionSyntaxError: The tree is too deep.
    """
    yield from _texts(value, ())


def _texts(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if len(path) > _MAX_DEPTH:
        problem = Problem(f"the value is nested deeper than {_MAX_DEPTH} levels", 0, 0, path=path)
        raise ExpressionSyntaxError((problem,))
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*path, key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _texts(part, (*path, place))


def _filler(value: object, path: Path, templates: Mapping[Path, Template]) -> _Filler:
    if isinstance(value, dict):
        entries = [(key, _filler(part, (*path, key), templates)) for key, part in value.items()]
        return lambda bindings, pins: {key: fill(bindings, pins) for key, fill in entries}
    if isinstance(value, list):
        fillers = [_filler(part, (*path, place), templates) for place, part in enumerate(value)]
        return lambda bindings, pins: [fill(bindings, pins) for fill in fillers]
    template = templates.get(path)
    return (lambda _bindings, _pins: value) if template is None else _text_filler(template, path)


def _text_filler(template: Template, path: Path) -> _Filler:
    def fill(bindings: Mapping[str, object], pins: Pins) -> Any:
        try:
            return to_json(template.evaluate(bindings, pins=pins))
        except EvaluationError as error:
            error.path = path
            raise error.at(0, len(template.text))  # noqa: B904 - the same error

    return fill
