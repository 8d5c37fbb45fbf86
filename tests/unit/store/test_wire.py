"""A flush is written so that the servers' MessagePack reader takes it: payloads as texts, defaults left out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.engine.ops import (
    Accept,
    Cancel,
    ClaimRequest,
    Commit,
    DeadLetter,
    Deploy,
    EventRow,
    Finish,
    Group,
    Join,
    Op,
    RunSeed,
)
from flowlang.store.wire import encode

EVENT = EventRow("e", "n", "s", b"B1", reasons=b"B2")
CASES: list[Op] = [
    Accept(0, EVENT, (RunSeed("r", "p", "v", b"B3", b"B4"),), DeadLetter("e", "event", "n", b"B5")),
    Commit(
        "r", "", 1, "held", b"B1", records={"a": b"B2"}, journal=(b"B3",),
        groups=(Group("g", "g[", "]", 1, 1, 0, cancel_rest=True, state=b"B4", inputs=(b"B5",)),),
        join=Join("g", error=b"B6"), accepts=(Accept(0, EVENT),), finish=Finish("failed", b"B7", DeadLetter("r", "run", "p", b"B8")),
    ),
    Deploy("m", b"B1", {"p": b"B2"}),
    Cancel("r", "B"),
]  # fmt: skip


def heads(data: bytes) -> set[int]:
    """First bytes of all values of type `bin` in MessagePack that holds `B…` payloads only."""
    return {data[at] for at in range(len(data) - 2) if data[at] in {0xC4, 0xC5, 0xC6} and data[at + 2 : at + 3] == b"B"}


@pytest.mark.parametrize("op", CASES, ids=lambda op: type(op).__name__)
def test_no_payload_is_written_as_bytes(op: Op) -> None:
    assert heads(msgspec.msgpack.encode([[op], None])) == (set() if isinstance(op, Cancel) else {0xC4})
    assert heads(encode([op], None)) == set()


@pytest.mark.parametrize("op", CASES, ids=lambda op: type(op).__name__)
def test_all_else_is_as_msgspec_writes_it(op: Op) -> None:
    def as_text(value: Any) -> Any:
        match value:
            case bytes():
                return value.decode()
            case dict():
                return {key: as_text(one) for key, one in value.items()}
            case list():
                return [as_text(one) for one in value]
            case _:
                return value

    claim = ClaimRequest("w", ("q",), 1, 1, 1, 0)
    written = msgspec.msgpack.decode(encode([op], claim))
    plain = as_text(msgspec.msgpack.decode(msgspec.msgpack.encode([[op], claim])))

    def without_empty(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without_empty(one) for key, one in value.items() if one not in ([], {}, "")}
        return [without_empty(one) for one in value] if isinstance(value, list) else value

    assert without_empty(written) == without_empty(plain)


@pytest.mark.parametrize("size", [0, 31, 32, 255, 65_535, 65_536])
def test_texts_of_any_length_are_well_formed(size: int) -> None:
    (ops, _) = msgspec.msgpack.decode(encode([Commit("r", "", 1, "held", b"x" * size)], None))

    assert ops[0]["state"] == "x" * size
