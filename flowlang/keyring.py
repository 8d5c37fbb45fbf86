"""The keys that stored payloads are encrypted with, as `FLOWLANG_ENCRYPTION_KEYS` names them.

Owns their spelling alone, since every command reads settings; what they close is `store.encryption`'s.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

#: Bytes of a key.
KEY_BYTES: Final = 32
#: Ids of keys are numbers up to this one; 0 stands for no key.
MAX_ID: Final = 65_535

_LEAST_BYTES: Final = 8  #: different ones that a key of chance has at the very least


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by their id. Neither `repr` nor `str` shows one.

    Attributes:
        keys: All of them; the first one closes, all of them open.
    """

    keys: Mapping[int, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `id:base64[,id:base64…]`.

        Raises:
            ValueError: saying what would be right, without showing a key.
        """
        keys: dict[int, bytes] = {}
        for entry in filter(None, (part.strip() for part in text.replace("\n", ",").split(","))):
            ident, colon, spelled = entry.partition(":")
            if not colon or not (ident.isascii() and ident.isdigit() and 1 <= int(ident[:6]) <= MAX_ID):
                raise ValueError(
                    f"each key is written as `id:key`, the id a number from 1 to {MAX_ID}; `flowlang keys generate` "
                    "writes one"
                )
            number = int(ident)
            if number in keys:
                raise ValueError(f"key {number} is there twice: give the new one another id")
            keys[number] = _key(number, spelled)
        return cls(keys)

    @property
    def current(self) -> int:
        """Id of the key that closes; 0 when there is none."""
        return next(iter(self.keys), 0)

    def spelled(self) -> str:
        """As the setting has it: for a child process, and for nothing that is shown."""
        return ",".join(f"{ident}:{base64.b64encode(key).decode()}" for ident, key in self.keys.items())

    def marks(self) -> tuple[str, ...]:
        """What tells the keys apart without giving anything away, the one that closes first: `2-5f0c9a1e`."""
        return tuple(f"{ident}-{fingerprint(key)}" for ident, key in self.keys.items())

    def __str__(self) -> str:
        return ",".join(map(str, self.keys)) or "(none)"


def fingerprint(key: bytes) -> str:
    """Eight hex digits by which two keys of one id are told apart."""
    return hmac.new(key, b"flowlang key fingerprint", hashlib.sha256).hexdigest()[:8]


def _key(number: int, spelled: str) -> bytes:
    try:
        key = base64.b64decode(spelled.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {number} is no base64; `flowlang keys generate` writes one") from None
    if len(key) != KEY_BYTES:
        raise ValueError(
            f"key {number} has {len(key)} bytes, and needs {KEY_BYTES}; `flowlang keys generate` writes one"
        )
    if len(set(key)) < _LEAST_BYTES:
        raise ValueError(f"key {number} is not drawn by chance; `flowlang keys generate` writes one that is")
    return key
