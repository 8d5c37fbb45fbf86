"""JSON as FlowLang carries it: strict in, exact out.

Owns the one way to read and write JSON values. Ingest reads strictly: duplicate keys, NaN, infinities, integers beyond
64 bits, lone surrogates, and nesting or key counts beyond bounds are refused: each changes its meaning on the way.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import msgspec

from flowlang.errors import FlowError

MAX_DEPTH = 64
MAX_KEYS = 10_000
INT_MIN = -(2**63)
INT_MAX = 2**63 - 1

_encoder = msgspec.json.Encoder()
_sorted_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder()


class JsonError(FlowError):
    """Text that is not the JSON we take, or a value that JSON cannot carry."""


def dumps(value: Any) -> bytes:
    """Write a JSON value as UTF-8 bytes; the value must have passed `check` or come from `loads`."""
    return _encoder.encode(value)


def canonical(value: Any) -> bytes:
    """Write a JSON value with sorted keys, for hashing."""
    return _sorted_encoder.encode(value)


def loads(data: bytes | str) -> Any:
    """Read JSON that we wrote ourselves.

    Raises:
        JsonError: when it is no JSON.
    """
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}") from error


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def loads_strict(data: bytes, *, max_keys: int = MAX_KEYS) -> Any:
    """Read JSON from outside.

    Args:
        data: UTF-8 text of one JSON value.
        max_keys: Of all its objects together.

    Returns:
        The value, of dict, list, str, int, float, bool and None.

    Raises:
        JsonError: when it is no JSON or breaks a rule of this module; the message says which and where it can.
    """
    # Each key has a colon behind it, so a text with few colons has few keys.
    decoder = _strict if data.count(b":") <= max_keys else _counting(max_keys)
    try:
        value = decoder.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8: byte {error.start} is wrong") from error
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise JsonError(f"nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:  # Python's own bound on the digits of an integer
        raise JsonError(f"not JSON that we take: {error}") from error
    check(value)
    return value


def count_keys(value: Any) -> int:
    """The keys of all objects in a JSON value."""
    if isinstance(value, dict):
        return len(value) + sum(map(count_keys, value.values()))
    return sum(map(count_keys, value)) if isinstance(value, list) else 0


def _table(items: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(items)
    if len(table) != len(items):
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                raise JsonError(f"the key {key!r} is written twice in one object")
            seen.add(key)
    return table


def _constant(text: str) -> Any:
    raise JsonError(f"{text} is not JSON")


def _counting(max_keys: int) -> json.JSONDecoder:
    """A decoder for one text, which counts its keys."""
    keys = 0

    def table(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal keys
        keys += len(items)
        if keys > max_keys:
            raise JsonError(f"more than {max_keys} keys")
        return _table(items)

    return json.JSONDecoder(object_pairs_hook=table, parse_constant=_constant)


_strict = json.JSONDecoder(object_pairs_hook=_table, parse_constant=_constant)


def check(value: Any) -> None:
    """Check that a Python value is JSON that survives a round trip.

    Raises:
        JsonError: with the path of the first value that does not.
    """
    if not _is_sound(value, 0):
        _check(value, (), 0)


def _is_sound(value: Any, depth: int) -> bool:
    """Whether `_check` finds nothing: without the paths to what it would find, in half the time."""
    if depth > MAX_DEPTH:
        return False
    kind = type(value)
    if kind is str:
        return _is_whole(value)
    if kind is int:
        return bool(INT_MIN <= value <= INT_MAX)
    if kind is dict:
        for key, member in value.items():
            if type(key) is not str or not _is_whole(key) or not _is_sound(member, depth + 1):
                return False
        return True
    if kind is list or kind is tuple:
        return all(_is_sound(member, depth + 1) for member in value)
    return value is None or kind is bool or (kind is float and math.isfinite(value))


def _check(value: Any, path: tuple[str | int, ...], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise JsonError(f"nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind is str:
        _check_text(value, path)
    elif kind is dict:
        for key, member in value.items():
            if type(key) is not str:
                raise JsonError(f"{render_path(path)}: the key {key!r} is no text")
            _check_text(key, path)
            _check(member, (*path, key), depth + 1)
    elif kind is list or kind is tuple:
        for index, member in enumerate(value):
            _check(member, (*path, index), depth + 1)
    elif kind is float:
        if not math.isfinite(value):
            raise JsonError(f"{render_path(path)}: {value} is no JSON number")
    elif kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise JsonError(f"{render_path(path)}: {value} is beyond 64 bits")
    elif value is not None and kind is not bool:
        raise JsonError(f"{render_path(path)}: a {kind.__name__} is no JSON value")


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if not _is_whole(text):
        raise JsonError(f"{render_path(path)}: half a surrogate pair is no text")


def _is_whole(text: str) -> bool:
    """Whether a text has no half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def render_path(path: tuple[str | int, ...]) -> str:
    """Write a path into a JSON value as people do: `data.items[3].sku`; the value itself is `(root)`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text or "(root)"
