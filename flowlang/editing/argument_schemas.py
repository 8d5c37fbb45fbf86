"""The arguments of a handler as a JSON Schema: their names, which are needed, and what their type hints say.

A value in `with` may be a template, and a handler's contract takes the text `"3"` for a number: so a scalar is accepted
wherever one is wanted, and types are told in words.
"""

from __future__ import annotations

import ast
from typing import Any, Final

from flowlang.handler.signature import Param, Signature

#: A text with a template in it.
TEMPLATE: Final = {"type": "string", "pattern": r"\$\{\{"}

_SCALARS: Final = frozenset({"str", "int", "float", "bool", "None", "Decimal", "date", "datetime", "UUID"})
_LISTS: Final = frozenset({"list", "tuple", "set", "frozenset", "Sequence", "Iterable", "List", "Tuple"})
_MAPS: Final = frozenset({"dict", "Mapping", "Dict"})
_SCALAR: Final = ["string", "number", "boolean", "null"]


def arguments_schema(signature: Signature, doc: str = "") -> dict[str, Any]:
    """What a step that calls a handler must look like.

    Args:
        signature: Of the handler.
        doc: What it says of itself.
    """
    required = [param.name for param in signature.params if param.required]
    given: dict[str, Any] = {
        "type": "object",
        "additionalProperties": signature.accepts_extra,
        "properties": {param.name: _param(param) for param in signature.params},
    }
    if required:
        given["required"] = required
    with_ = {"description": doc or f"Arguments of `{signature.name}`.", "anyOf": [given, TEMPLATE]}
    needed = {"required": ["with"]} if required else {}
    return {"properties": {"with": with_}, **needed}


def _param(param: Param) -> dict[str, Any]:
    hint = param.annotation_text
    if hint is None:
        return {}
    try:
        kinds = _kinds(ast.parse(hint, mode="eval").body)
    except SyntaxError:
        kinds = None
    shape = {} if kinds is None else {"type": sorted({"string", *kinds})}  # a template is a string
    return {"description": f"{hint}{'' if param.required else ', optional'}", **shape}


def _kinds(node: ast.expr) -> frozenset[str] | None:
    """The JSON types of a hint; None: any."""
    match node:
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            both = _kinds(left), _kinds(right)
            return None if None in both else frozenset().union(*(each for each in both if each is not None))
        case ast.Constant(value=None):
            return frozenset({"null"})
        case ast.Subscript(value=value):
            return _kinds(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            if name in _SCALARS:
                return frozenset(_SCALAR)
            return frozenset({"array"}) if name in _LISTS else frozenset({"object"}) if name in _MAPS else None
        case _:
            return None
