"""Payloads are sealed with where they came from, and opened only by who can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.store.codec import MAX_ORIGIN, CodecError, PlainSealer, open_sealed, seal

ascii_text = st.text(st.characters(max_codepoint=127), max_size=MAX_ORIGIN)


@given(st.binary(), ascii_text)
def test_what_was_sealed_opens_with_its_origin(payload: bytes, origin: str) -> None:
    assert open_sealed(seal(payload, origin)) == (payload, origin)
    assert PlainSealer().open(PlainSealer().seal(payload, origin, "meta"), "meta", origin) == payload


def test_a_payload_of_another_run_is_refused() -> None:
    with pytest.raises(CodecError, match="is of r00-a, and was read as one of r00-b"):
        PlainSealer().open(PlainSealer().seal(b"{}", "r00-a", "meta"), "meta", "r00-b")


@given(st.binary(max_size=40))
def test_any_bytes_open_or_raise_our_error(data: bytes) -> None:
    try:
        payload, origin = open_sealed(data)
    except CodecError:
        return
    assert seal(payload, origin) == data


@pytest.mark.parametrize("origin", ["é", "x" * 256])
def test_an_origin_that_is_no_id_is_refused(origin: str) -> None:
    with pytest.raises(CodecError, match="no id"):
        seal(b"", origin)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no payload header"),
        (b"{}", "no payload header"),
        (b"F\x02\x00\x00\x00", "version 2"),
        (b"F\x01\x00\x07\x00", "key 7"),
        (b"F\x01\x00\x00\x05abc", "ends inside"),
        (b"F\x01\x00\x00\x01\xff", "origin"),
    ],
)
def test_what_cannot_be_opened_says_why(data: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        open_sealed(data)
