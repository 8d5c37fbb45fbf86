"""Rows as the scripts write them, read for a check. See `rows.lua`.

The scripts' MessagePack has texts that hold any bytes, which a reader that knows only UTF-8 refuses; so this one gives
bytes. Of payloads it keeps nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from flowlang.engine.fsck import Asked, GroupFacts, ScopeFacts, SlotFacts
from flowlang.engine.reference.tables import SEP

_STATUS = {"r": "ready", "h": "held", "w": "waiting", "e": "ended"}

#: First byte → format of the number that follows it.
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d",
    0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
#: First byte → kind and format of the size that follows it.
_SIZED = {
    0xC4: ("text", ">B"), 0xC5: ("text", ">H"), 0xC6: ("text", ">I"),
    0xD9: ("text", ">B"), 0xDA: ("text", ">H"), 0xDB: ("text", ">I"),
    0xDC: ("list", ">H"), 0xDD: ("list", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def unpack(data: bytes) -> Any:
    """Read one value of MessagePack; texts are bytes.

    Raises:
        ValueError: when it is none.
    """
    try:
        value, end = _read(data, 0)
    except (IndexError, struct.error) as error:
        raise ValueError("the row ends in the middle of a value") from error
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes follow the value")
    return value


def _read(data: bytes, at: int) -> tuple[Any, int]:
    head = data[at]
    at += 1
    if head < 0x80:
        return head, at
    if head >= 0xE0:
        return head - 0x100, at
    if head in _CONSTANTS:
        return _CONSTANTS[head], at
    if head in _NUMBERS:
        form = _NUMBERS[head]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if head < 0x90:
        return _many("map", head & 0x0F, data, at)
    if head < 0xA0:
        return _many("list", head & 0x0F, data, at)
    if head < 0xC0:
        return _many("text", head & 0x1F, data, at)
    if head not in _SIZED:
        raise ValueError(f"byte {head:#x} begins no value")
    kind, form = _SIZED[head]
    return _many(kind, struct.unpack_from(form, data, at)[0], data, at + struct.calcsize(form))


def _many(kind: str, size: int, data: bytes, at: int) -> tuple[Any, int]:
    if kind == "text":
        if at + size > len(data):
            raise IndexError
        return data[at : at + size], at + size
    values = []
    for _ in range(size * 2 if kind == "map" else size):
        value, at = _read(data, at)
        values.append(value)
    return (dict(zip(values[::2], values[1::2], strict=True)) if kind == "map" else values), at


def read_scope(text: bytes) -> ScopeFacts:
    """Read a scope's row.

    Raises:
        ValueError: when it is none.
    """
    status = _STATUS.get(text[:1].decode("latin-1"))
    if status is None:
        raise ValueError("the row begins with no status")
    if status == "ended":
        return ScopeFacts(status)
    (size,) = struct.unpack_from(">I", text, 1)
    row = unpack(text[5 + size :])
    pending = row.get(b"pending")
    return ScopeFacts(
        status=status,
        parent=_text(row.get(b"parent")),
        queue=row[b"queue"].decode(),
        group=_text(row.get(b"group")),
        facts=len(row[b"inbox"]),
        timers=tuple(text[5 : 5 + size].decode().split(SEP)) if size else (),
        waits=frozenset(name.decode() for name in row[b"waits"]),
        asked=None if pending is None else _asked(pending),
        places=tuple((key.decode(), member.decode()) for key, member in _table(row.get(b"slots")).values()),
    )


def read_group(text: bytes) -> GroupFacts:
    """Read a group's row.

    Raises:
        ValueError: when it is none.
    """
    row = unpack(text)
    marks, needs = row.get(b"marks"), row.get(b"needs")
    if marks:
        startable = any(
            mark == 0 and all(marks[needed] == 2 for needed in needed_by)
            for mark, needed_by in zip(marks, needs, strict=True)
        )
    else:
        startable = row[b"next"] < row[b"total"]
    return GroupFacts(
        parent=row[b"parent"].decode(),
        total=row[b"total"],
        max_parallel=row[b"max_parallel"],
        next=row[b"next"],
        alive=row[b"alive"],
        closed=row[b"closed"],
        fired=row[b"fired"],
        startable=startable,
    )


def read_slot(text: bytes) -> SlotFacts:
    """Read a run's own place.

    Raises:
        ValueError: when it is none.
    """
    row = unpack(text)
    return SlotFacts(
        key=row[b"key"].decode(),
        member=row[b"member"].decode(),
        state=row[b"state"].decode(),
        limit=row[b"limit"],
        active=row[b"active"],
        wanting=tuple(name.decode() for name in row[b"wanting"]),
    )


def _asked(pending: Mapping[bytes, Any]) -> Asked:
    member = pending[b"member"].decode()
    if not pending[b"gates"]:
        return Asked(member)
    gate = pending[b"gates"][0]
    return Asked(member, gate[b"type"].decode(), gate[b"key"].decode(), gate.get(b"limit", 0))


def _table(value: Any) -> Mapping[bytes, Any]:
    """A table without fields is written as an empty list."""
    return value or {}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
