"""From values of the language to plain JSON, and to the text inside a template."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

from flowlang.expr.doubles import json_text
from flowlang.expr.errors import NOT_JSON, TOO_DEEP, TOO_MUCH_WORK, EvaluationError
from flowlang.expr.limits import MAX_JSON_VALUES
from flowlang.expr.times import Duration, Timestamp
from flowlang.expr.values import INT_MAX, INT_MIN, Optional, UInt, is_list, is_map, kind_name, kind_of


def to_json(value: Any) -> Any:
    """Turn a value into what JSON can carry.

    Args:
        value: Any value of the language.

    Returns:
        dict, list, str, int, float, bool or None: timestamps and durations as text, bytes as base64.

    Raises:
        EvaluationError: JSON has nothing for it: an optional, a type, NaN or an infinity, a key that is no text.
    """
    try:
        return _Writer().write(value)
    except RecursionError:
        raise EvaluationError("the value is nested too deeply", TOO_DEEP) from None


class _Writer:
    """Counts what it writes: parts that a value shares are written as often as they are reached."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_JSON_VALUES

    def write(self, value: Any) -> Any:
        if is_map(value):
            self._count(len(value))
            return {_key(key): self.write(other) for key, other in value.items()}
        if is_list(value):
            self._count(len(value))
            return [self.write(other) for other in value]
        return _scalar(value)

    def _count(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise EvaluationError(f"the value holds more than {MAX_JSON_VALUES} values", TOO_MUCH_WORK)


def _scalar(value: Any) -> Any:
    kind = value.__class__
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise EvaluationError("the number does not fit 64 bits", NOT_JSON)
        return value
    if kind is float:
        if not math.isfinite(value):
            raise EvaluationError("JSON has neither NaN nor infinity", NOT_JSON)
        return value
    if kind is UInt:
        return int(value)
    if kind is Timestamp or kind is Duration:
        return str(value)
    if kind is bytes:
        return b64encode(value).decode()
    if kind is Optional:
        raise EvaluationError("an optional is no JSON value; end it with orValue(…) or value()", NOT_JSON)
    kind_of(value)
    raise EvaluationError(f"JSON has no {kind_name(value)} values; convert with string(…)", NOT_JSON)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    raise EvaluationError(f"the keys of a JSON map are texts, and one is {kind_name(key)}", NOT_JSON)


def to_text(value: Any) -> str:
    """Write a scalar as JSON writes it, without quotes, for the text around it.

    Args:
        value: Any value of the language.

    Returns:
        Such as `12.5`, `1000000`, `true`, or the text itself.

    Raises:
        EvaluationError: The value is null, a list or a map, or JSON has nothing for it.
    """
    if value.__class__ is str:
        return str(value)
    plain = to_json(value)
    if plain is None or isinstance(plain, dict | list):
        names = {type(None): "null", dict: "a map", list: "a list"}
        hint = "use .? and orValue('')" if plain is None else "use json(…)"
        raise EvaluationError(f"{names[plain.__class__]} cannot stand inside a text; {hint}", NOT_JSON)
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return json_text(plain) if isinstance(plain, float) else str(plain)
