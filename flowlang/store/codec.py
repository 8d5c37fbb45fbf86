"""The envelope around every payload that is stored: its version, its key and where it came from.

Key 0 means plain bytes; what other keys close is `store.encryption`'s. The origin is the run or event that made the
payload, so that a copy can be told from a first.

Layout: `F` · version (1 byte) · key id (2 bytes) · length of the origin (1 byte) · origin (ASCII) · payload.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from flowlang.errors import StoreError

_HEADER = struct.Struct(">cBHB")
_MAGIC = b"F"
_VERSION = 1
PLAIN = 0  #: key id of bytes that are not encrypted

#: Longest origin, bytes.
MAX_ORIGIN = 255


class CodecError(StoreError):
    """Stored bytes that this release cannot open."""


class MissingKeyError(CodecError):
    """A stored payload whose key is not configured here.

    Args:
        key: Its id.
    """

    def __init__(self, key: int) -> None:
        super().__init__(
            f"stored payload is sealed with key {key}, which is not configured: add it to FLOWLANG_ENCRYPTION_KEYS"
        )
        self.key = key


def seal(payload: bytes, origin: str) -> bytes:
    """Wrap a payload for storage, unencrypted.

    Args:
        payload: Any bytes.
        origin: Id of the run or event that made it, at most 255 ASCII characters.

    Raises:
        CodecError: when the origin is no such id.
    """
    return _plain_header(origin) + payload


@lru_cache(maxsize=4096)  # a run seals several payloads with each commit
def _plain_header(origin: str) -> bytes:
    return header(origin, PLAIN)


def header(origin: str, key: int) -> bytes:
    """What stands before a payload.

    Args:
        origin: See `seal`.
        key: Id of the key that closes it, 0 for none.

    Raises:
        CodecError: when the origin is no id.
    """
    if not origin.isascii() or len(origin) > MAX_ORIGIN:
        raise CodecError(f"origin {origin!r} is no id of a run or event (ASCII, at most {MAX_ORIGIN} characters)")
    mark = origin.encode("ascii")
    return _HEADER.pack(_MAGIC, _VERSION, key, len(mark)) + mark


def split(data: bytes) -> tuple[int, str, int]:
    """Read the header of a stored payload.

    Returns:
        The id of its key, its origin, and where the payload begins.

    Raises:
        CodecError: when it was not sealed, or by a newer release.
    """
    if len(data) < _HEADER.size or data[:1] != _MAGIC:
        raise CodecError("stored bytes have no payload header; were they written by another program?")
    _, version, key, size = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise CodecError(f"stored payload has version {version}; this release opens version {_VERSION}")
    start = _HEADER.size + size
    if len(data) < start:
        raise CodecError("stored payload ends inside its header")
    try:
        return key, data[_HEADER.size : start].decode("ascii"), start
    except UnicodeDecodeError as error:
        raise CodecError("stored payload has an origin that is no id") from error


def open_sealed(data: bytes) -> tuple[bytes, str]:
    """Unwrap a stored payload that is not encrypted.

    Returns:
        The payload and its origin.

    Raises:
        CodecError: when it was not sealed, or by a newer release or with a key that is not here.
    """
    key, origin, start = split(data)
    if key != PLAIN:
        raise MissingKeyError(key)
    return data[start:], origin


def check_origin(found: str, wanted: str | None) -> None:
    """Check that a payload is of the run or event that it was read for. Raises: CodecError."""
    if wanted is not None and found != wanted:
        raise CodecError(f"stored payload is of {found}, and was read as one of {wanted}: it lies in the wrong place")


class PlainSealer:
    """`engine.ports.Sealer` without encryption: it knows whose a payload is, and not which."""

    def seal(self, payload: bytes, origin: str, field: str) -> bytes:
        """Close a payload. See `seal`."""
        del field
        return _plain_header(origin) + payload

    def open(self, sealed: bytes, field: str, origin: str | None = None) -> bytes:
        """Open what `seal` closed. Raises: CodecError."""
        del field
        if origin is not None and sealed.startswith(before := _plain_header(origin)):
            return sealed[len(before) :]
        payload, found = open_sealed(sealed)
        check_origin(found, origin)
        return payload
