"""Ids follow from what they name, and say where it lives."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.ids import IdError, keyed_hash, new_event_id, partition_of, run_id_for

texts = st.text(max_size=8)


@given(st.text(min_size=1), st.integers(0, 99), st.text(), st.integers(0, 1000))
def test_a_run_lives_where_its_event_does(entropy: str, partition: int, pipeline: str, index: int) -> None:
    event = new_event_id(entropy, partition)
    run = run_id_for(event, pipeline, index)

    assert partition_of(event) == partition_of(run) == partition
    assert re.fullmatch(r"e\d\d-[a-z2-7]{24}", event)
    assert re.fullmatch(r"r\d\d-[a-z2-7]{24}", run)
    assert run == run_id_for(event, pipeline, index)


@given(st.tuples(texts, st.integers(0, 20)), st.tuples(texts, st.integers(0, 20)))
def test_other_triggers_make_other_runs(one: tuple[str, int], other: tuple[str, int]) -> None:
    event = new_event_id("x" * 16)

    assert (run_id_for(event, *one) == run_id_for(event, *other)) == (one == other)


@given(st.tuples(texts, texts, texts), st.tuples(texts, texts, texts))
def test_keys_with_the_same_letters_in_other_places_hash_apart(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (keyed_hash(*one, salt=b"s") == keyed_hash(*other, salt=b"s")) == (one == other)


def test_a_hash_shows_nothing_and_depends_on_the_salt() -> None:
    hashed = keyed_hash("once", "orders", "alice@example.com", salt=b"one")

    assert re.fullmatch(r"[0-9a-f]{32}", hashed)
    assert hashed != keyed_hash("once", "orders", "alice@example.com", salt=b"two")


def _written_out(*parts: str) -> bytes:
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


@given(st.text(max_size=300), texts, st.text(max_size=300), st.binary(max_size=100))
def test_a_keyed_hash_is_the_hmac_of_its_parts(kind: str, name: str, key: str, salt: bytes) -> None:
    whole = hmac.digest(salt, _written_out(kind, name, key), "sha256")

    assert keyed_hash(kind, name, key, salt=salt) == whole.hex()[:32]


@given(st.text(max_size=300))
def test_an_id_is_the_hash_of_what_it_names_in_base32(entropy: str) -> None:
    whole = hashlib.sha256(_written_out("event", entropy)).digest()

    assert new_event_id(entropy) == f"e00-{base64.b32encode(whole[:15]).decode().lower()}"


@pytest.mark.parametrize("text", ["", "r", "r0-x", "x00-abc", "rab-abc", "r00abc", "r٠٠-abc", "00-abc"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(IdError, match="is no id"):
        partition_of(text)


@pytest.mark.parametrize("partition", [-1, 100])
def test_partitions_have_two_digits(partition: int) -> None:
    with pytest.raises(IdError, match="0 to 99"):
        new_event_id("x" * 16, partition)
