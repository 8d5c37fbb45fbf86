"""How a flush is written for the script.

The servers' MessagePack reader knows texts but not bytes (type `bin`), and takes any bytes as a text. So every payload
is written as a text whose content is not UTF-8; nothing but that script reads it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Final

import msgspec

from flowlang.engine.ops import ClaimRequest, Op

_encoder = msgspec.msgpack.Encoder()

_Convert = Callable[[Any], Any]


def encode(ops: Sequence[Op], claim: ClaimRequest | None) -> bytes:
    """Write `[operations, claim request or nil]`; values that equal their default are left out."""
    return _encoder.encode(([_struct_converter(type(op))(op) for op in ops], claim))


def _text(payload: bytes) -> msgspec.Raw:
    size = len(payload)
    head = _HEADS[size] if size < len(_HEADS) else _head(size)
    return msgspec.Raw(head + payload)


def _head(size: int) -> bytes:
    if size < 32:
        return bytes((0xA0 | size,))
    if size < 1 << 16:
        return b"\xda" + size.to_bytes(2, "big")
    return b"\xdb" + size.to_bytes(4, "big")


_HEADS: Final = tuple(map(_head, range(1024)))


@cache
def _struct_converter(kind: type[msgspec.Struct]) -> _Convert:
    """Make a function that copies a Struct with its payloads as texts; one without payloads passes as it is."""
    hints = typing.get_type_hints(kind)
    found = {name: convert for name in kind.__struct_fields__ if (convert := _converter(hints[name])) is not None}
    if not found:
        return lambda value: value
    fields = tuple((name, attrgetter(name), convert) for name, convert in found.items())

    def copy(value: Any) -> Any:
        copied = None
        for name, read, convert in fields:
            body = read(value)
            if body or body == b"":  # most fields of most operations are empty, and hold no payload then
                if copied is None:
                    copied = value.__copy__()
                change(copied, name, convert(body))
        return value if copied is None else copied

    change = msgspec.structs.force_setattr  # of a copy that nobody else has
    return copy


@cache
def _converter(hint: Any) -> _Convert | None:
    """Find what to do with a field's value by its type; None when it holds no payload."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is bytes:
        return _text
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _struct_converter(hint)
    if origin in {types.UnionType, typing.Union}:
        members = [one for one in arguments if one is not types.NoneType]
        if len(members) > 1 and all(isinstance(one, type) and issubclass(one, msgspec.Struct) for one in members):
            return _by_type
        return _converter(members[0])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _each(_converter(arguments[0]))
    if origin is dict:
        return _values(_converter(arguments[1]))
    return None


def _by_type(value: Any) -> Any:
    """Copy one of several kinds of Structs."""
    kind: type[msgspec.Struct] = type(value)
    return _struct_converter(kind)(value)


def _each(convert: _Convert | None) -> _Convert | None:
    return None if convert is None else lambda many: [convert(one) for one in many]


def _values(convert: _Convert | None) -> _Convert | None:
    return None if convert is None else lambda table: {key: convert(one) for key, one in table.items()}
