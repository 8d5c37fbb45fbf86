"""What an encrypting sealer closes opens as it was, at its own place alone, and with its own key; or it is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowlang.clock import random_bytes
from flowlang.keyring import KEY_BYTES, Keyring
from flowlang.store.codec import MAX_ORIGIN, CodecError, MissingKeyError, PlainSealer, header
from flowlang.store.encryption import OVERHEAD_BYTES, EncryptingSealer

OLD, NEW = random_bytes(KEY_BYTES), random_bytes(KEY_BYTES)
SEALER = EncryptingSealer(Keyring({1: OLD}))
RUN, OTHER = "r00-abcdefghijklmnopqrstuvwx", "r00-zyxwvutsrqponmlkjihgfedc"

origins = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=MAX_ORIGIN)
fields = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.binary(), origins, fields)
def test_what_was_closed_opens_as_it_was(payload: bytes, origin: str, field: str) -> None:
    sealed = SEALER.seal(payload, origin, field)
    assert SEALER.open(sealed, field) == payload
    assert SEALER.open(sealed, field, origin) == payload
    assert len(sealed) == len(header(origin, 1)) + len(payload) + OVERHEAD_BYTES


@given(st.binary(min_size=8))
def test_nothing_of_a_payload_can_be_read(payload: bytes) -> None:
    assert payload not in SEALER.seal(payload, RUN, "meta")


@given(st.binary(max_size=60), st.data())
def test_any_bit_that_is_changed_is_noticed(payload: bytes, data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal(payload, RUN, "meta"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CodecError):
        EncryptingSealer(Keyring({1: OLD}), plain=False).open(bytes(sealed), "meta", RUN)


@given(st.binary(max_size=40), st.data())
def test_what_is_cut_off_or_goes_on_is_noticed(payload: bytes, data: st.DataObject) -> None:
    sealed = SEALER.seal(payload, RUN, "meta")
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for wrong in (sealed[:cut], sealed + b"\x00"):
        with pytest.raises(CodecError):
            SEALER.open(wrong, "meta", RUN)


@given(st.binary(max_size=300))
@example(header(RUN, 1))
@example(header(RUN, 1) + bytes(OVERHEAD_BYTES))
def test_any_bytes_are_refused_with_our_error(data: bytes) -> None:
    with pytest.raises(CodecError):
        EncryptingSealer(Keyring({1: OLD}), plain=False).open(data, "meta")


@given(fields, fields)
def test_a_payload_opens_under_no_other_field(field: str, other: str) -> None:
    sealed = SEALER.seal(b"{}", RUN, field)
    if field == other:
        assert SEALER.open(sealed, other, RUN) == b"{}"
        return
    with pytest.raises(CodecError, match="is not its"):
        SEALER.open(sealed, other, RUN)


def test_a_payload_opens_as_no_other_runs() -> None:
    sealed = SEALER.seal(b"{}", RUN, "meta")
    with pytest.raises(CodecError, match=f"is of {RUN}, and was read as one of {OTHER}"):
        SEALER.open(sealed, "meta", OTHER)
    forged = header(OTHER, 1) + sealed[len(header(RUN, 1)) :]  # says that it is of the other one
    with pytest.raises(CodecError):
        SEALER.open(forged, "meta", OTHER)


def test_a_data_key_of_one_payload_opens_no_other_origin() -> None:
    """The wrapped key and the bytes of one run behind the header of another, in every mix."""
    one, other = (SEALER.seal(b"{}", run, "meta") for run in (RUN, OTHER))
    at = len(header(RUN, 1))
    for mixed in (one[:at] + other[at:], other[:at] + one[at:], one[: at + 64] + other[at + 64 :]):
        with pytest.raises(CodecError):
            SEALER.open(mixed, "meta")


def test_another_key_of_the_same_id_is_named() -> None:
    sealed = SEALER.seal(b"{}", RUN, "meta")
    with pytest.raises(CodecError, match="key 1 of FLOWLANG_ENCRYPTION_KEYS does not open"):
        EncryptingSealer(Keyring({1: NEW})).open(sealed, "meta", RUN)


@pytest.mark.parametrize("sealer", [EncryptingSealer(Keyring({2: NEW})), PlainSealer()], ids=["other keys", "no keys"])
def test_a_missing_key_is_named_with_its_setting(sealer: EncryptingSealer | PlainSealer) -> None:
    with pytest.raises(MissingKeyError, match=r"key 1, which is not configured: add it to FLOWLANG_ENCRYPTION_KEYS"):
        sealer.open(SEALER.seal(b"{}", RUN, "meta"), "meta", RUN)


def test_all_keys_open_and_the_first_one_closes() -> None:
    both = EncryptingSealer(Keyring({2: NEW, 1: OLD}))
    assert both.open(SEALER.seal(b"old", RUN, "meta"), "meta", RUN) == b"old"
    sealed = both.seal(b"new", RUN, "meta")
    assert EncryptingSealer(Keyring({2: NEW})).open(sealed, "meta", RUN) == b"new"


def test_processes_share_the_data_key_of_a_run_that_one_has_read() -> None:
    one, other = (EncryptingSealer(Keyring({1: OLD})) for _ in range(2))
    first = one.seal(b"1", RUN, "meta")
    other.open(first, "meta", RUN)
    second = other.seal(b"2", RUN, "state/")
    wrapped = slice(len(header(RUN, 1)), len(header(RUN, 1)) + 64)
    assert first[wrapped] == second[wrapped]
    assert other.seal(b"3", OTHER, "meta")[wrapped] != first[wrapped]


def test_what_was_stored_before_there_were_keys_opens_unless_that_is_refused() -> None:
    plain = PlainSealer().seal(b"{}", RUN, "meta")
    assert SEALER.open(plain, "meta", RUN) == b"{}"
    with pytest.raises(CodecError, match="FLOWLANG_ENCRYPTION_PLAIN"):
        EncryptingSealer(Keyring({1: OLD}), plain=False).open(plain, "meta", RUN)


@given(st.lists(st.binary(max_size=20), min_size=2, max_size=20))
def test_the_same_payload_is_never_closed_alike(payloads: list[bytes]) -> None:
    sealed = [SEALER.seal(payload, RUN, "meta") for payload in [*payloads, *payloads]]
    assert len(set(sealed)) == len(sealed)
