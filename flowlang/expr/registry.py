"""The functions of the language: each declared once, with signatures, a sentence and examples.

The compiler looks names up here, the reference page is written from here, and the examples are run as tests. The
functions themselves are in `lib`, one topic a module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, TypeVar

from flowlang.expr.errors import NO_OVERLOAD, EvaluationError
from flowlang.expr.values import Optional, kind_name, kind_of

#: Modules that declare functions.
_LIBRARIES: Final = (
    "std",
    "strings",
    "formatting",
    "math",
    "lists",
    "sets",
    "encoders",
    "optional",
    "times",
    "regex",
    "network",
    "flow",
)

_SIGNATURE: Final = re.compile(
    r"(?:(?P<target>[\w<>, .]+?)\.(?=\w+\())?(?P<name>[\w.]+)\((?P<params>.*)\) -> (?P<result>.+)"
)
_PARAMETER_SPLIT: Final = re.compile(r",\s*(?![^<]*>)")

#: Kinds that a parameter's type takes at run time; other types are type parameters or `dyn` and take any value.
_TYPE_KINDS: Final = {
    "bool": "bool",
    "int": "int",
    "uint": "uint",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
    "null": "null_type",
    "list": "list",
    "map": "map",
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "optional": "optional_type",
    "type": "type",
    "ip": "net.IP",
    "cidr": "net.CIDR",
}

Implementation = Callable[..., Any]
_Declared = TypeVar("_Declared", bound=Implementation)


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of a function.

    Args:
        signature: As declared, such as `string.charAt(int) -> string`.
        parameters: Types of the arguments; of a method, the target's first.
        result: Type of the result.
        implementation: Takes the arguments as Python values.
        needs_scope: Whether it takes the evaluation's scope before them: for pins and the work counter.
    """

    signature: str
    parameters: tuple[str, ...]
    result: str
    implementation: Implementation
    needs_scope: bool = False

    def takes(self, kinds: tuple[str, ...]) -> bool:
        """Whether it takes arguments of these kinds."""
        return len(kinds) == len(self.parameters) and all(
            _TYPE_KINDS.get(parameter.partition("<")[0], kind) == kind
            for parameter, kind in zip(self.parameters, kinds, strict=True)
        )


@dataclass(slots=True)
class Function:
    """A function or method by its name.

    Args:
        name: Such as `size` or `math.abs`.
        method: Whether it is called on a target.
        library: Module of `lib` that declares it.
        sentence: What it does.
        examples: Expressions that are true.
        any_count: Whether its last parameter may be repeated.
        lazy: Whether its arguments behind the target are evaluated only when needed.
    """

    name: str
    method: bool
    library: str
    sentence: str
    examples: tuple[str, ...]
    any_count: bool = False
    lazy: bool = False
    overloads: list[Overload] = field(default_factory=list)

    def arities(self) -> list[int]:
        """List how many arguments it takes, the target not counted."""
        return sorted({len(overload.parameters) - self.method for overload in self.overloads})

    def resolver(self, count: int) -> Callable[[tuple[Any, ...]], Overload]:
        """Make the function that picks an overload for arguments.

        Args:
            count: How many there are, the target included.

        Returns:
            Takes the arguments and gives an overload; raises an `EvaluationError` where none takes them.
        """
        if self.any_count:
            only = self.overloads[0]
            return lambda _: only
        candidates = [overload for overload in self.overloads if len(overload.parameters) == count]
        chosen: dict[tuple[type, ...], Overload] = {}

        def resolve(arguments: tuple[Any, ...]) -> Overload:
            classes = tuple([argument.__class__ for argument in arguments])
            overload = chosen.get(classes)
            if overload is None:
                overload = self._pick(candidates, arguments)
                chosen[classes] = overload
            return overload

        return resolve

    def _pick(self, candidates: list[Overload], arguments: tuple[Any, ...]) -> Overload:
        kinds = tuple(kind_of(argument) for argument in arguments)
        for overload in candidates:
            if overload.takes(kinds):
                return overload
        raise EvaluationError(lambda: self._none_takes(candidates, arguments), NO_OVERLOAD)

    def _none_takes(self, candidates: list[Overload], arguments: tuple[Any, ...]) -> str:
        given = [kind_name(argument) for argument in arguments]
        if self.method:
            call = f"`{self.name}` on a value of type {given[0]}"
            given = given[1:]
        else:
            call = f"`{self.name}`"
        taken = "; ".join(overload.signature for overload in candidates[:4])
        hint = ""
        if arguments and arguments[0].__class__ is Optional:
            hint = "; unwrap the optional with orValue(…)"
        return f"{call} does not take ({', '.join(given)}){hint}; there is {taken}"


_functions: dict[tuple[str, bool], Function] = {}


def declare(
    *signatures: str,
    doc: str,
    examples: tuple[str, ...],
    needs_scope: bool = False,
    any_count: bool = False,
    lazy: bool = False,
    static: bool = False,
) -> Callable[[_Declared], _Declared]:
    """Declare a function, or further overloads of one.

    Args:
        signatures: Such as `size(string) -> int` or `string.size() -> int`; all have this implementation.
        doc: One sentence; the first declaration of a name counts.
        examples: Expressions that are true.
        needs_scope: The implementation takes the evaluation's scope first.
        any_count: The last parameter may be repeated.
        lazy: The implementation takes the arguments behind the target as functions without parameters.
        static: The signatures are functions of a namespace that is also the name of a type, such as `optional.of(A)`.

    Returns:
        The decorator of the implementation.
    """

    def decorate(implementation: _Declared) -> _Declared:
        library = implementation.__module__.rpartition(".")[2]
        for signature in signatures:
            found = _SIGNATURE.fullmatch(signature)
            assert found is not None, f"`{signature}` is no signature"
            target, text = found["target"], found["params"]
            namespaced = target is not None and (static or target.partition("<")[0] not in _TYPE_KINDS)
            name = f"{target}.{found['name']}" if namespaced else found["name"]
            parameters = tuple(_PARAMETER_SPLIT.split(text)) if text else ()
            method = target is not None and not namespaced
            if method:
                parameters = (target, *parameters)
            function = _functions.setdefault(
                (name, method),
                Function(name, method, library, doc, (), any_count, lazy),
            )
            function.overloads.append(Overload(signature, parameters, found["result"], implementation, needs_scope))
            function.examples = tuple(dict.fromkeys((*function.examples, *examples)))
        return implementation

    return decorate


@cache
def functions() -> dict[tuple[str, bool], Function]:
    """Load the libraries.

    Returns:
        All functions by name and whether they are methods.
    """
    for library in _LIBRARIES:
        import_module(f"flowlang.expr.lib.{library}")
    return _functions


@cache
def namespaces() -> frozenset[str]:
    """List the first names of namespaced functions, such as `math`.

    Returns:
        Names that a call `math.abs(x)` may begin with.
    """
    return frozenset(name.partition(".")[0] for name, method in functions() if not method and "." in name)
