"""Type hints that say by themselves what they mean, read from syntax: `str`, `list[int] | None`, `Literal["a", "b"]`.

Most handlers need no more than these, and then nobody's code has to run for them. A hint that names anything else is
left to `flowlang.handler.live_hints`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowlang.expr.schema_types import SENSITIVE
from flowlang.jsondata import JsonError, check

_SCALARS: Final[Mapping[str, str]] = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TYPING: Final = ("typing.", "typing_extensions.")
_BOUNDS: Final[Mapping[str, str]] = {
    "ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum",
    "min_length": "minLength", "max_length": "maxLength",
}  # fmt: skip
#: Aliases of aliases of …
_MAX_DEPTH: Final = 30


class NotPlainError(Exception):
    """A hint names what cannot be read from syntax."""


@dataclass(frozen=True, slots=True)
class Module:
    """What the names of a module stand for.

    Attributes:
        imported: Names, and what they were imported as.
        aliases: Names that stand for one expression.
        defined: Names of classes, functions and variables.
    """

    imported: Mapping[str, str]
    aliases: Mapping[str, ast.expr]
    defined: frozenset[str]

    @classmethod
    def of(cls, tree: ast.Module) -> Module:
        """Read a module's own statements; what stands in blocks counts as defined, whatever it is."""
        imported: dict[str, str] = {}
        aliases: dict[str, ast.expr] = {}
        defined: set[str] = set()
        for statement in tree.body:
            match statement:
                case ast.ImportFrom(module=str(module), level=0):
                    imported |= {name.asname or name.name: f"{module}.{name.name}" for name in statement.names}
                case ast.Import():
                    imported |= {name.asname or name.name: name.name for name in statement.names}
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in aliases:
                    aliases[name] = value
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    defined.add(statement.name)
                case _:
                    names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
                    defined |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
        return cls(imported, aliases, frozenset(defined))

    def schema(self, hint: str) -> Any:
        """Read a hint as a JSON Schema.

        Args:
            hint: As it is written.

        Raises:
            NotPlainError: It names something else than built-in types and what `typing` makes of them.
        """
        try:
            return self._schema(ast.parse(hint, mode="eval").body, 0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise NotPlainError(hint) from None

    def _schema(self, node: ast.expr, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise NotPlainError
        match node:
            case ast.Constant(value=None):
                return {"type": "null"}
            case ast.Constant(value=str(text)):
                return self._schema(ast.parse(text, mode="eval").body, depth + 1)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return {"anyOf": [self._schema(left, depth + 1), self._schema(right, depth + 1)]}
            case ast.Subscript(value=value, slice=inner):
                arguments = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
                return self._generic(self._named(value), arguments, depth + 1)
            case ast.Name(id=name) if name in self.aliases and name not in self.defined | self.imported.keys():
                return self._schema(self.aliases[name], depth + 1)
            case ast.Name() | ast.Attribute():
                return self._simple(self._named(node))
            case _:
                raise NotPlainError

    def _named(self, node: ast.expr) -> str:
        """The full name that an expression such as `t.Any` stands for; of a built-in, its own."""
        match node:
            case ast.Name(id=name):
                if name in self.defined or name in self.aliases:
                    raise NotPlainError
                full = self.imported.get(name, name)
            case ast.Attribute(value=owner, attr=attribute):
                full = f"{self._named(owner)}.{attribute}"
            case _:
                raise NotPlainError
        for prefix in _TYPING:
            full = full.removeprefix(prefix)
        return full

    def _simple(self, name: str) -> Any:
        if name in _SCALARS:
            return {"type": _SCALARS[name]}
        if name in {"Any", "object"}:
            return True
        if name in {"list", "List", "dict", "Dict"}:
            return {"type": "array" if name.lower() == "list" else "object"}
        raise NotPlainError

    def _generic(self, name: str, arguments: list[ast.expr], depth: int) -> Any:
        match name, arguments:
            case ("list" | "List" | "Sequence", [element]):
                return {"type": "array", "items": self._schema(element, depth)}
            case ("dict" | "Dict", [key, value]) if self._schema(key, depth) == {"type": "string"}:
                return {"type": "object", "additionalProperties": self._schema(value, depth)}
            case ("Optional", [inner]):
                return {"anyOf": [self._schema(inner, depth), {"type": "null"}]}
            case ("Union", [_, *_]):
                return {"anyOf": [self._schema(argument, depth) for argument in arguments]}
            case ("Literal", [_, *_]):
                return {"enum": [_literal(argument) for argument in arguments]}
            case ("flowlang.Sensitive", [inner]):
                schema = self._schema(inner, depth)
                return {**(schema if isinstance(schema, dict) else {}), SENSITIVE: True}
            case ("Annotated", [inner, *notes]):
                schema = self._schema(inner, depth)
                bounds = [self._bounds(note) for note in notes]
                return {**schema, **{key: value for each in bounds for key, value in each.items()}}
            case _:
                raise NotPlainError

    def _bounds(self, note: ast.expr) -> dict[str, Any]:
        match note:
            case ast.Constant(value=str()):
                return {}
            case ast.Call(func=function, args=[], keywords=keywords) if self._named(function) == "pydantic.Field":
                names = {keyword.arg for keyword in keywords}
                if names <= {*_BOUNDS, "description", "examples", "pattern"}:
                    given = {
                        _BOUNDS[each.arg]: each.value
                        for each in keywords
                        if each.arg is not None and each.arg in _BOUNDS
                    }
                    return {key: _literal(value) for key, value in given.items()}
        raise NotPlainError


def _literal(node: ast.expr) -> Any:
    value = ast.literal_eval(node)
    try:
        check(value)
    except JsonError:
        raise NotPlainError from None
    return value
