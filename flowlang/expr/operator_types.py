"""What operators take and give, as signatures; selection, indexing and equality with schemas are `check`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flowlang.expr.signatures import Signature, signature

#: Types whose values have an order, each among themselves.
_ORDERED: Final = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_NUMBERS: Final = ("int", "uint", "double")


def _same(*types: str) -> list[tuple[str, ...]]:
    return [(type_, type_, type_) for type_ in types]


def _order() -> list[tuple[str, ...]]:
    """Values of one type, and numbers of any two."""
    pairs = [(type_, type_) for type_ in _ORDERED] + [(a, b) for a in _NUMBERS for b in _NUMBERS if a != b]
    return [(*pair, "bool") for pair in pairs]


_DECLARED: Final[dict[str, list[tuple[str, ...]]]] = {
    "+": [
        *_same("int", "uint", "double", "string", "bytes", "list<A>", "duration"),
        ("timestamp", "duration", "timestamp"),
        ("duration", "timestamp", "timestamp"),
    ],
    "-": [
        *_same("int", "uint", "double", "duration"),
        ("timestamp", "duration", "timestamp"),
        ("timestamp", "timestamp", "duration"),
    ],
    "*": _same(*_NUMBERS),
    "/": _same(*_NUMBERS),
    "%": _same("int", "uint"),
    "==": [("A", "A", "bool")],
    "!=": [("A", "A", "bool")],
    "<": _order(),
    "<=": _order(),
    ">": _order(),
    ">=": _order(),
    "in": [("A", "list<A>", "bool"), ("A", "map<A, B>", "bool")],
    "?:": [("bool", "A", "A", "A")],
}

#: Signatures of the operators between values, and of `?:`.
OPERATORS: Final[Mapping[str, tuple[Signature, ...]]] = {
    symbol: tuple(signature(f"{symbol}({', '.join(types[:-1])})", tuple(types[:-1]), types[-1]) for types in declared)
    for symbol, declared in _DECLARED.items()
}

#: Signatures of the operators before a value.
UNARY: Final[Mapping[str, tuple[Signature, ...]]] = {
    "-": tuple(signature(f"-{type_}", (type_,), type_) for type_ in ("int", "double")),
    "!": (signature("!bool", ("bool",), "bool"),),
}
