"""What to write instead, where two types do not go together."""

from __future__ import annotations

from collections.abc import Sequence

from flowlang.expr.syntax import Literal, Node
from flowlang.expr.types import Type, kind

_NUMBERS = frozenset({"int", "uint", "double"})


def mismatch_hint(operator: str, types: Sequence[Type], parts: Sequence[Node]) -> str | None:
    """Suggest how to make two types fit.

    Args:
        operator: Such as `+`; empty where no operator joins them.
        types: The two types.
        parts: The nodes that have them, where there are any.

    Returns:
        What would be right, or None when that is not known.
    """
    kinds = {kind(type_) for type_ in types}
    if len(kinds) == 2 and kinds <= _NUMBERS:
        return _number_hint(kinds, types, parts)
    if "optional" in kinds:
        return "unwrap the optional with orValue(…)"
    if kinds == {"string", "timestamp"}:
        return "convert the text with timestamp(…)"
    if kinds == {"string", "duration"}:
        return "convert the text with duration(…)"
    if "string" in kinds and operator == "+":
        return "convert with string(…)"
    if "string" in kinds and kinds & _NUMBERS:
        number = next(iter(kinds & _NUMBERS))
        return f"convert the text with {number}(…), or the number with string(…)"
    if operator in {"-", "+"} and kinds & {"timestamp", "duration"} and kinds & _NUMBERS:
        return "write a span of time as duration('90s')"
    if operator == "in" and "string" in kinds:
        return "to find a part of a text, write text.contains(part)"
    return None


def _number_hint(kinds: set[str], types: Sequence[Type], parts: Sequence[Node]) -> str:
    for part, type_ in zip(parts, types, strict=False):
        if isinstance(part, Literal) and kind(type_) == "int":
            return f"write {part.value}.0" if "double" in kinds else f"write {part.value}u"
    target = "double" if "double" in kinds else "int"
    return f"convert one of them with {target}(…)" + (" or int(…)" if target == "double" else "")


def not_bool_hint(type_: Type) -> str | None:
    """Suggest how to make a condition of a value.

    Args:
        type_: Type of the value.

    Returns:
        What would be right, or None when that is not known.
    """
    match kind(type_):
        case "string":
            return "compare it, as in x != ''"
        case "int" | "uint":
            return "compare it, as in x > 0"
        case "double":
            return "compare it, as in x > 0.0"
        case "list" | "map":
            return "ask for its size, as in x.size() > 0"
        case "optional":
            return "ask for its value with hasValue(), or unwrap it with orValue(false)"
        case _:
            return None
