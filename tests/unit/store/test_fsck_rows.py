"""The scripts' MessagePack is read whatever bytes their texts hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.store.fsck_rows import read_scope, unpack

leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.binary()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.binary(max_size=40), inner, max_size=20)
)


@given(values)
def test_what_was_packed_is_read(value: Any) -> None:
    assert unpack(msgspec.msgpack.encode(value)) == value


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65_535, 65_536])
def test_texts_are_bytes_of_any_size(size: int) -> None:
    assert unpack(msgspec.msgpack.encode("x" * size)) == b"x" * size


@pytest.mark.parametrize("data", [b"", b"\xda\x00", b"\xa5abc", b"\x92\x01", b"\xc1", b"\x01\x02"])
def test_what_is_no_value_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"row ends|follow|begins no"):
        unpack(data)


def test_a_row_without_a_status_is_refused() -> None:
    with pytest.raises(ValueError, match="no status"):
        read_scope(b"x")
