"""Constant arguments that no call can take: texts that are no timestamp, duration, number, zone or pattern.

Each is found by calling the function itself, so that the checker and the evaluation never disagree.
"""

from __future__ import annotations

import re
from typing import Final

from flowlang.expr import registry
from flowlang.expr.errors import BAD_CONSTANT, EvaluationError, Problem
from flowlang.expr.scope import NO_PINS, Scope
from flowlang.expr.syntax import Call, ListNode, Literal, Node
from flowlang.expr.times import Timestamp

#: Conversions whose one argument may be a constant text.
_CONVERSIONS: Final = frozenset(
    {"timestamp", "duration", "int", "uint", "double", "bool", "ip", "cidr", "base64.decode"}
)
#: Functions whose second argument is a pattern, by name and position of the pattern, the target counted.
_PATTERNS: Final = {"matches": 1, "regex.replace": 1, "regex.extract": 1, "regex.extractAll": 1}
_CLAUSE: Final = re.compile(r"%(?:\.[0-9]+)?(.?)", re.DOTALL)
_CLAUSES: Final = frozenset("sdfexXob")


def constant_problems(node: Call) -> list[Problem]:
    """Find what is wrong with the constant arguments of a call.

    Args:
        node: The call.

    Returns:
        A problem for each wrong argument, at its place.
    """
    parts = node.args if node.target is None else (node.target, *node.args)
    if node.target is None and node.name in _CONVERSIONS and len(parts) == 1:
        return _failing(node, parts[0], [_text(parts[0])])
    if node.name in _PATTERNS and len(parts) > _PATTERNS[node.name]:
        place = _PATTERNS[node.name]
        pattern = _text(parts[place])
        if node.name == "matches":
            return _failing(node, parts[place], ["", pattern])
        return _failing(_matching(node), parts[place], ["", pattern])
    if node.target is not None and node.name.startswith("get") and len(parts) == 2:
        zone = _text(parts[1])
        return _failing(node, parts[1], [None if zone is None else Timestamp(0), zone])
    if node.target is not None and node.name == "format" and len(parts) == 2:
        return _format(parts[0], parts[1])
    return []


def _matching(node: Call) -> Call:
    """The call of `matches` that compiles the same pattern."""
    return Call(node.start, node.end, None, "matches", node.args, node.name_start, node.name_end)


def _text(node: Node) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None


def _failing(node: Call, place: Node, arguments: list[object]) -> list[Problem]:
    """Call the function, and report its error at the argument that causes it."""
    if None in arguments:
        return []
    function = registry.functions().get((node.name, node.target is not None))
    if function is None:
        return []
    try:
        overload = function.resolver(len(arguments))(tuple(arguments))
        if overload.needs_scope:
            overload.implementation(Scope({}, NO_PINS, 0), *arguments)
        else:
            overload.implementation(*arguments)
    except EvaluationError as error:
        return [Problem(error.message, place.start, place.end, kind=BAD_CONSTANT)]
    return []


def _format(template: Node, values: Node) -> list[Problem]:
    """Compare the clauses of a constant text with the values that a list written behind it has."""
    text = _text(template)
    if text is None:
        return []
    clauses = [found for found in _CLAUSE.finditer(text) if found.group() != "%%"]
    for clause in clauses:
        if clause[1] not in _CLAUSES:
            message = f"`{clause.group()}` is no clause"
            hint = "there are %s %d %f %e %x %X %o %b and %%"
            return [Problem(message, template.start, template.end, hint, kind=BAD_CONSTANT)]
    if not isinstance(values, ListNode) or any(element.optional for element in values.elements):
        return []
    given = len(values.elements)
    if given < len(clauses):
        message = f"the text has {len(clauses)} clauses, and the list {given} value{'' if given == 1 else 's'}"
        return [Problem(message, values.start, values.end, kind=BAD_CONSTANT)]
    return []
