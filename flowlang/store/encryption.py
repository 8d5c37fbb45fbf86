"""Payloads closed by AES-256-GCM: each run and event has a data key, which a master key of the keyring closes in turn.

Owns what is behind the header of `store.codec` when its key id is not 0: the wrapped data key, a nonce, and the bytes.
The data key lies beside each payload, so a payload can be opened wherever it is found, and goes when it goes. What a
payload is (`engine.sealed_fields`) and whose is authenticated with it: at another place of the store it does not open.

Layout behind the header: salt (16) · data key, wrapped (48) · nonce (12) · payload and tag. A master key never closes
anything itself: with the salt it makes the key that wraps one data key, so that no count of payloads wears it out.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from flowlang.clock import random_bytes
from flowlang.keyring import KEY_BYTES, Keyring
from flowlang.store.codec import PLAIN, CodecError, MissingKeyError, check_origin, header, open_sealed, split

SALT_BYTES: Final = 16
_TAG_BYTES: Final = 16
_NONCE_BYTES: Final = 12
#: Of the data key as it lies beside a payload: salt and what was wrapped.
WRAPPED_BYTES: Final = SALT_BYTES + KEY_BYTES + _TAG_BYTES
#: What encryption adds to a payload.
OVERHEAD_BYTES: Final = WRAPPED_BYTES + _NONCE_BYTES + _TAG_BYTES

#: Data keys that a process remembers, to close with and to open with.
_REMEMBERED: Final = 8192

_WRAP_NONCE: Final = bytes(_NONCE_BYTES)  # each wrapping key closes one data key and nothing else


class EncryptingSealer:
    """`engine.ports.Sealer` with a keyring. Thread-safe.

    A process closes all that is of one run or event with one data key: that which it has read there, or a new one.

    Args:
        keyring: Its first key closes, all of them open; there is at least one.
        plain: Whether payloads that are not encrypted are opened: those from the time before there were keys.
        draw: Gives so many bytes of chance.
    """

    def __init__(self, keyring: Keyring, *, plain: bool = True, draw: Callable[[int], bytes] = random_bytes) -> None:
        if not keyring.current:
            raise ValueError("a sealer that encrypts needs a key; without one, use PlainSealer")
        self._keyring = keyring
        self._plain = plain
        self._draw = draw
        self._closing: dict[str, tuple[bytes, AESGCM]] = {}  #: by origin, the oldest first: header, data key
        self._lock = threading.Lock()
        self._unwrapped = lru_cache(maxsize=_REMEMBERED)(self._unwrap)

    def seal(self, payload: bytes, origin: str, field: str) -> bytes:
        """Close a payload. Raises: CodecError when the origin is no id."""
        known = self._closing.get(origin)
        if known is None:
            known = self._new_key(origin)
        before, cipher = known
        nonce = self._draw(_NONCE_BYTES)
        return before + nonce + cipher.encrypt(nonce, payload, _place(origin, field))

    def open(self, sealed: bytes, field: str, origin: str | None = None) -> bytes:
        """Open what `seal` closed.

        Raises:
            MissingKeyError: when its key is not in the keyring.
            CodecError: when it is of another run or field, was changed, or is no payload at all.
        """
        key, found, start = split(sealed)
        check_origin(found, origin)
        if key == PLAIN:
            if not self._plain:
                raise CodecError(
                    f"stored payload of {found} is not encrypted, and FLOWLANG_ENCRYPTION_PLAIN is `refuse`"
                )
            return open_sealed(sealed)[0]
        nonce_at = start + WRAPPED_BYTES
        body_at = nonce_at + _NONCE_BYTES
        if len(sealed) < body_at + _TAG_BYTES:
            raise CodecError(f"stored payload of {found} is cut off")
        cipher = self._unwrapped(key, found, sealed[start:nonce_at])
        if key == self._keyring.current and found not in self._closing:
            self._remember(found, sealed[:nonce_at], cipher)
        try:
            return cipher.decrypt(sealed[nonce_at:body_at], sealed[body_at:], _place(found, field))
        except InvalidTag:
            raise CodecError(f"stored payload of {found} is not its {field!r}, or was changed") from None

    def _new_key(self, origin: str) -> tuple[bytes, AESGCM]:
        current, data_key = self._keyring.current, self._draw(KEY_BYTES)
        wrapped = wrap(self._keyring.keys[current], current, origin, data_key, self._draw(SALT_BYTES))
        return self._remember(origin, header(origin, current) + wrapped, AESGCM(data_key))

    def _remember(self, origin: str, before: bytes, cipher: AESGCM) -> tuple[bytes, AESGCM]:
        with self._lock:
            known = self._closing.setdefault(origin, (before, cipher))
            while len(self._closing) > _REMEMBERED:
                del self._closing[next(iter(self._closing))]
        return known

    def _unwrap(self, key: int, origin: str, wrapped: bytes) -> AESGCM:
        if key not in self._keyring.keys:
            raise MissingKeyError(key)
        return AESGCM(unwrap(self._keyring.keys[key], key, origin, wrapped))


def wrap(master: bytes, key: int, origin: str, data_key: bytes, salt: bytes) -> bytes:
    """Close a data key.

    Args:
        master: The key that closes it.
        key: Its id.
        origin: Run or event that the data key is of.
        data_key: 32 bytes.
        salt: Bytes of chance, drawn for this.
    """
    place = _owner(key, origin)
    return salt + AESGCM(_wrapping_key(master, salt)).encrypt(_WRAP_NONCE, data_key, place)


def unwrap(master: bytes, key: int, origin: str, wrapped: bytes) -> bytes:
    """Open what `wrap` closed. Raises: CodecError when another key of this id closed it, or it was changed."""
    salt = wrapped[:SALT_BYTES]
    try:
        return AESGCM(_wrapping_key(master, salt)).decrypt(_WRAP_NONCE, wrapped[SALT_BYTES:], _owner(key, origin))
    except InvalidTag:
        raise CodecError(
            f"key {key} of FLOWLANG_ENCRYPTION_KEYS does not open a payload of {origin}: it is another key than the "
            "one that closed it, or the payload was changed"
        ) from None


def _wrapping_key(master: bytes, salt: bytes) -> bytes:
    return hmac.new(master, b"flowlang data key\x00" + salt, hashlib.sha256).digest()


def _owner(key: int, origin: str) -> bytes:
    return b"flowlang key\x00" + key.to_bytes(2, "big") + origin.encode("ascii")


def _place(origin: str, field: str) -> bytes:
    return b"flowlang payload\x00" + len(origin).to_bytes(1, "big") + origin.encode("ascii") + field.encode()
