"""CEL's own conformance cases in their JSON form: decoding values, running a case, judging the answer."""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowlang.expr import CelError, Duration, Expression, Optional, Timestamp, TypeValue, UInt
from flowlang.expr.check import check_text
from flowlang.expr.environment import Environment
from flowlang.expr.operators import make_map
from flowlang.expr.parser import parse
from flowlang.expr.resolve import resolve
from flowlang.expr.signatures import Signature
from flowlang.expr.types import (
    DYN,
    NULL,
    SCALARS,
    ListOf,
    MapOf,
    Nullable,
    Opaque,
    OptionalOf,
    Type,
    TypeOf,
    Variable,
    nullable,
)
from flowlang.expr.values import is_list, is_map, kind_of

Case = dict[str, Any]

#: Types whose encoding is not the name that signatures use.
_NAMED_TYPES = {"null_type": NULL, "any": DYN, "type": TypeOf(DYN), "list": ListOf(DYN), "map": MapOf(DYN, DYN)}
_TYPES = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}


def load(path: Path) -> list[Case]:
    cases: list[Case] = json.loads(path.read_text(encoding="utf-8"))
    return cases


def decode(encoded: Mapping[str, Any]) -> Any:
    """Turn the encoding of a value, an object with one key, into a value of the language."""
    ((tag, content),) = encoded.items()
    match tag:
        case "null" | "bool" | "string":
            return content
        case "int":
            return int(content)
        case "uint":
            return UInt(content)
        case "double":
            return float(content)
        case "bytes":
            return b64decode(content)
        case "list":
            return [decode(element) for element in content]
        case "map":
            return make_map([(decode(key), decode(value)) for key, value in content])
        case "type":
            return TypeValue(_TYPES.get(content, content))
        case "timestamp":
            return Timestamp(content[0] * 1_000_000_000 + content[1])
        case "duration":
            return Duration(content[0] * 1_000_000_000 + content[1])
        case _:
            raise ValueError(f"no such encoding: {tag}")


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same, type included; unlike `==` of the language, NaN is the same as NaN."""
    if kind_of(a) != kind_of(b):
        return False
    if is_map(a):
        return len(a) == len(b) and all(
            any(same(key, other) and same(value, content) for other, content in b.items()) for key, value in a.items()
        )
    if is_list(a):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Optional):
        return bool(a.present == b.present) and (not a.present or same(a.value, b.value))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1.0, a) == math.copysign(1.0, b))
    return bool(a == b)


def compile_case(case: Case) -> tuple[Expression, dict[str, Any]]:
    """Compile a case's expression, and decode its bindings; names with dots are resolved as its declarations say."""
    bindings = {name: decode(value) for name, value in case["bindings"].items()}
    resolved = resolve(
        parse(case["expr"]),
        container=case["container"],
        late_calls=bool(case["disable_check"]),
        variables=frozenset(bindings),
    )
    return Expression(case["expr"], resolved.root, resolved.slots), bindings


def judge(case: Case) -> str | None:
    """Check a case and run it in both tiers; the answer is None when it passed, else what went wrong."""
    expected = case["expect"]
    if not case["disable_check"]:
        checked = check_text(case["expr"], environment(case))
        if checked.problems:
            return None if expected["kind"] == "error" else f"checker: {checked.problems[0]}"
        deduced = encode_type(checked.type)
        if expected.get("deduced_type", deduced) != deduced:
            return f"expected the type {expected['deduced_type']}, got {deduced}"
    if case["check_only"]:
        return None
    try:
        expression, bindings = compile_case(case)
    except CelError as error:
        return None if expected["kind"] == "error" else f"{error.__class__.__name__}: {error}"
    for tier in (expression.exactly, expression.specialise(None)):
        found = _judge_answer(expected, tier, bindings)
        if found is not None:
            return found
    return None


def _judge_answer(expected: dict[str, Any], evaluate: Callable[..., Any], bindings: dict[str, Any]) -> str | None:
    try:
        answer = evaluate(bindings)
    except CelError as error:
        return None if expected["kind"] == "error" else f"{error.__class__.__name__}: {error}"
    if expected["kind"] != "value":
        return f"expected {expected['kind']}, got {answer!r}"
    wanted = decode(expected["value"])
    return None if same(answer, wanted) else f"expected {wanted!r}, got {answer!r}"


def environment(case: Case) -> Environment:
    """The declarations of a case."""
    variables: dict[str, Type] = {}
    functions: dict[tuple[str, bool], tuple[Signature, ...]] = {}
    for declared in case["type_env"]:
        if declared["kind"] == "var":
            variables[declared["name"]] = decode_type(declared["type"])
            continue
        for overload in declared["overloads"]:
            key = declared["name"], bool(overload["is_instance"])
            parameters = tuple(map(decode_type, overload["params"]))
            found = Signature(parameters, decode_type(overload["result"]), overload["id"])
            functions[key] = (*functions.get(key, ()), found)
    return Environment(variables, functions, case["container"])


def decode_type(encoded: str) -> Type:
    """Read the encoding of a type, such as `list<param:T>`."""
    found, rest = _type(encoded)
    assert not rest, encoded
    return found


def _type(text: str) -> tuple[Type, str]:
    name = re.match(r"[\w.:]+", text)
    assert name is not None, text
    rest, inner = text[name.end() :], []
    if rest.startswith("<"):
        rest = "," + rest[1:]
        while rest.startswith(","):
            part, rest = _type(rest[1:].lstrip())
            inner.append(part)
        rest = rest[1:]
    match name.group(), inner:
        case word, []:
            if word.startswith("param:"):
                return Variable(word.removeprefix("param:")), rest
            return _NAMED_TYPES.get(word) or SCALARS.get(word) or Opaque(word), rest
        case "list", [element]:
            return ListOf(element), rest
        case "map", [key, value]:
            return MapOf(key, value), rest
        case "type", [part]:
            return TypeOf(part), rest
        case "wrapper", [part]:
            return nullable(part), rest
        case "optional_type", [part]:
            return OptionalOf(part), rest
        case word, _:
            return Opaque(word, tuple(inner)), rest


def encode_type(type_: Type) -> str:
    """Write a type as the cases do."""
    match type_:
        case OptionalOf(value):
            return f"optional_type<{encode_type(value)}>"
        case ListOf(element):
            return f"list<{encode_type(element)}>"
        case MapOf(key, value):
            return f"map<{encode_type(key)}, {encode_type(value)}>"
        case Nullable(value):
            return f"wrapper<{encode_type(value)}>"
        case TypeOf(value):
            return f"type<{encode_type(value)}>"
        case Opaque(name, parameters) if parameters:
            return f"{name}<{', '.join(map(encode_type, parameters))}>"
        case _:
            return "null_type" if type_ == NULL else str(type_)


__all__ = ["Case", "compile_case", "decode", "judge", "load", "same"]
