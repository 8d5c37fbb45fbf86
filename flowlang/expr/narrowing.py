"""Types of elements that a filter let through: `items.filter(i, has(i.note))` gives items that have a `note`."""

from __future__ import annotations

from dataclasses import replace

from flowlang.expr.facts import FactPath, Facts
from flowlang.expr.types import ListOf, Nullable, ObjectOf, Type, without_null


def narrowed(type_: Type, slot: int, facts: Facts) -> Type:
    """Write facts about a variable into its type.

    Args:
        type_: Type of the variable.
        slot: Its slot, with which the paths of the facts begin.
        facts: What is known of it.

    Returns:
        The type of the values for which the facts hold.
    """
    found = type_
    for path in sorted(facts.not_null, key=str):
        if path[0] == slot:
            found = _changed(found, path[1:], present=False)
    for path in sorted(facts.present, key=str):
        if path[0] == slot:
            found = _changed(found, path[1:], present=True)
    return found


def _changed(type_: Type, path: FactPath, *, present: bool) -> Type:
    if not path:
        return type_ if present else without_null(type_)
    name, rest = path[0], path[1:]
    match type_:
        case Nullable(inner):
            return Nullable(_changed(inner, path, present=present))
        case ListOf() | ObjectOf() if not isinstance(type_, ObjectOf) or not isinstance(name, str):
            return type_
        case ObjectOf():
            field = type_.field(str(name))
            if field is None:
                return type_
            inner = _changed(field.type, rest, present=present)
            required = field.required or (present and not rest)
            fields = {**type_.fields, str(name): replace(field, type=inner, required=required)}
            return ObjectOf(type_.name, fields, type_.rest, closed=type_.closed, variants=type_.variants)
        case _:
            return type_
