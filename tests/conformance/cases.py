"""CEL's own conformance cases in their JSON form: decoding values, running a case, judging the answer."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowlang.expr import CelError, Duration, Expression, Timestamp, TypeValue, UInt
from flowlang.expr.operators import make_map
from flowlang.expr.parser import parse
from flowlang.expr.resolve import resolve
from flowlang.expr.values import is_list, is_map, kind_of

Case = dict[str, Any]

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
        rest = list(b.items())
        for key, value in a.items():
            found = next((entry for entry in rest if same(key, entry[0]) and same(value, entry[1])), None)
            if found is None:
                return False
            rest.remove(found)
        return not rest
    if is_list(a):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1.0, a) == math.copysign(1.0, b))
    return bool(a == b)


def evaluate(case: Case) -> Any:
    """Evaluate a case's expression; names with dots and containers are resolved as `dotted_names` says."""
    bindings = {name: decode(value) for name, value in case["bindings"].items()}
    resolved = resolve(
        parse(case["expr"]),
        container=case["container"],
        late_calls=bool(case["disable_check"]),
        variables=frozenset(bindings),
    )
    return Expression(case["expr"], resolved.root, resolved.slots).evaluate(bindings)


def judge(case: Case) -> str | None:
    """Run a case; the answer is None when it passed, else what went wrong."""
    expected = case["expect"]
    try:
        answer = evaluate(case)
    except CelError as error:
        return None if expected["kind"] == "error" else f"{error.__class__.__name__}: {error}"
    if expected["kind"] != "value":
        return f"expected {expected['kind']}, got {answer!r}"
    wanted = decode(expected["value"])
    return None if same(answer, wanted) else f"expected {wanted!r}, got {answer!r}"


__all__ = ["Case", "decode", "evaluate", "judge", "load", "same"]
