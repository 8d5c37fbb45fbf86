"""Keys as the setting has them: read exactly, and shown nowhere."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.clock import random_bytes
from flowlang.keyring import KEY_BYTES, MAX_ID, Keyring
from flowlang.settings import Settings

KEYS = st.dictionaries(
    st.integers(1, MAX_ID),
    st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES).filter(lambda key: len(set(key)) >= 8),
    min_size=1,
    max_size=4,
)


@given(KEYS)
def test_what_is_spelled_is_read_again(keys: dict[int, bytes]) -> None:
    ring = Keyring(keys)
    assert Keyring.read(ring.spelled()) == ring
    assert ring.current == next(iter(keys))


@given(KEYS)
def test_no_text_of_a_keyring_has_a_key(keys: dict[int, bytes]) -> None:
    ring = Keyring(keys)
    for key in keys.values():
        spelled = base64.b64encode(key).decode()
        for text in (repr(ring), str(ring), f"{ring}", repr(Settings(encryption_keys=ring)), *ring.marks()):
            assert spelled not in text
            assert key.hex() not in text
            assert repr(key) not in text


def test_an_empty_setting_is_no_key() -> None:
    assert Keyring.read("").current == 0
    assert str(Keyring()) == "(none)"


def test_lines_of_a_file_part_keys_too() -> None:
    one, other = (base64.b64encode(random_bytes(KEY_BYTES)).decode() for _ in range(2))
    assert list(Keyring.read(f"2:{one}\n1:{other}\n").keys) == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "written as `id:key`"),
        ("0:AAAA", "from 1 to 65535"),
        ("65536:AAAA", "from 1 to 65535"),
        ("٣:AAAA", "from 1 to 65535"),
        ("1:AAAA", "key 1 has 3 bytes, and needs 32"),
        ("1:§§§", "key 1 is no base64"),
        (f"7:{base64.b64encode(bytes(32)).decode()}", "key 7 is not drawn by chance"),
        (",".join([f"1:{base64.b64encode(bytes(range(32))).decode()}"] * 2), "key 1 is there twice"),
    ],
)
def test_a_wrong_key_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Keyring.read(text)


def test_a_wrong_setting_does_not_show_the_key() -> None:
    key = base64.b64encode(random_bytes(31)).decode()
    with pytest.raises(Exception, match="FLOWLANG_ENCRYPTION_KEYS: key 1 has 31 bytes") as caught:
        Settings.from_env({"FLOWLANG_ENCRYPTION_KEYS": f"1:{key}"})
    assert key not in str(caught.value)
