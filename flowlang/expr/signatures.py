"""Reads the types that signatures are written with: `list<A>`, `map<string, A>`, `optional<int>`.

Single capital letters are parameters of the signature; each call may give them other types. `number` takes an int, a
uint or a double.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from flowlang.expr.types import SCALARS, ListOf, MapOf, Opaque, OptionalOf, Type, TypeOf, Variable, parts

_TOKEN: Final = re.compile(r"\s*([\w.]+|[<>,])")
_ANY: Final = Variable("T")
_NUMBER: Final = Opaque("number")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function or operator takes and gives.

    Args:
        parameters: Types of the arguments; of a method, the target's first.
        result: Type of the result.
        text: As declared, for messages.

    Attributes:
        variables: Names of its parameters of type.
        is_fallback: Whether it counts only where no signature before it fits: it takes numbers of several types at
            once.
    """

    parameters: tuple[Type, ...]
    result: Type
    text: str
    variables: frozenset[str] = field(init=False)
    is_fallback: bool = field(init=False)

    def __post_init__(self) -> None:
        names: set[str] = set()
        pending = [*self.parameters, self.result]
        while pending:
            part = pending.pop()
            if isinstance(part, Variable):
                names.add(part.name)
            pending += parts(part)
        object.__setattr__(self, "variables", frozenset(names))
        takes_numbers = any(_NUMBER in {parameter, *parts(parameter)} for parameter in self.parameters)
        object.__setattr__(self, "is_fallback", takes_numbers)


@cache
def signature(text: str, parameters: tuple[str, ...], result: str) -> Signature:
    """Read the types of a declaration.

    Args:
        text: The declaration, such as `string.charAt(int) -> string`.
        parameters: Its parameters, such as `("string", "int")`.
        result: Its result.

    Returns:
        The signature.
    """
    return Signature(tuple(read_type(parameter) for parameter in parameters), read_type(result), text)


@cache
def read_type(text: str) -> Type:
    """Read a type.

    Args:
        text: Such as `int`, `list<A>` or `map<string, list<dyn>>`.

    Returns:
        The type; a name that is no type of the language itself is an opaque one.

    Raises:
        ValueError: The text is no type.
    """
    tokens = _TOKEN.findall(text)
    found, rest = _read(tokens)
    if rest or "".join(tokens) != text.replace(" ", ""):
        raise ValueError(f"`{text}` is no type")
    return found


def _read(tokens: list[str]) -> tuple[Type, list[str]]:
    if not tokens or not tokens[0][0].isalpha():
        raise ValueError("a type begins with a name")
    name, rest = tokens[0], tokens[1:]
    inner: list[Type] = []
    if rest[:1] == ["<"]:
        while rest and rest[0] in {"<", ","}:
            part, rest = _read(rest[1:])
            inner.append(part)
        if rest[:1] != [">"]:
            raise ValueError("a `<` is not closed")
        rest = rest[1:]
    return _named(name, tuple(inner)), rest


def _named(name: str, inner: tuple[Type, ...]) -> Type:
    if len(name) == 1 and name.isupper():
        return Variable(name)
    match name, inner:
        case "list", ():
            return ListOf(_ANY)
        case "list", (element,):
            return ListOf(element)
        case "map", ():
            return MapOf(Variable("K"), Variable("V"))
        case "map", (key, value):
            return MapOf(key, value)
        case ("optional", (value,)):
            return OptionalOf(value)
        case ("type", ()):
            return TypeOf(_ANY)
        case ("type", (value,)):
            return TypeOf(value)
        case _:
            return Opaque(name, inner) if inner or name not in SCALARS else SCALARS[name]
