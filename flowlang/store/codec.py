"""The envelope around every payload that is stored: its version, its key and where it came from.

Key 0 means plain bytes. Encryption will use other key ids and change nothing outside this module. The origin is the run
or event that made the payload, so that a copy can be told from a first.

Layout: `F` · version (1 byte) · key id (2 bytes) · length of the origin (1 byte) · origin (ASCII) · payload.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from flowlang.errors import StoreError

_HEADER = struct.Struct(">cBHB")
_MAGIC = b"F"
_VERSION = 1
_PLAIN = 0

#: Longest origin, bytes.
MAX_ORIGIN = 255


class CodecError(StoreError):
    """Stored bytes that this release cannot open."""


def seal(payload: bytes, origin: str) -> bytes:
    """Wrap a payload for storage.

    Args:
        payload: Any bytes.
        origin: Id of the run or event that made it, at most 255 ASCII characters.

    Raises:
        CodecError: when the origin is no such id.
    """
    return _header(origin) + payload


@lru_cache(maxsize=4096)  # a run seals several payloads with each commit
def _header(origin: str) -> bytes:
    if not origin.isascii() or len(origin) > MAX_ORIGIN:
        raise CodecError(f"origin {origin!r} is no id of a run or event (ASCII, at most {MAX_ORIGIN} characters)")
    mark = origin.encode("ascii")
    return _HEADER.pack(_MAGIC, _VERSION, _PLAIN, len(mark)) + mark


def open_sealed(data: bytes) -> tuple[bytes, str]:
    """Unwrap a stored payload.

    Returns:
        The payload and its origin.

    Raises:
        CodecError: when it was not sealed, or by a newer release or with a key that is not here.
    """
    if len(data) < _HEADER.size or data[:1] != _MAGIC:
        raise CodecError("stored bytes have no payload header; were they written by another program?")
    _, version, key_id, size = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise CodecError(f"stored payload has version {version}; this release opens version {_VERSION}")
    if key_id != _PLAIN:
        raise CodecError(f"stored payload is sealed with key {key_id}, which is not configured")
    start = _HEADER.size + size
    if len(data) < start:
        raise CodecError("stored payload ends inside its header")
    try:
        origin = data[_HEADER.size : start].decode("ascii")
    except UnicodeDecodeError as error:
        raise CodecError("stored payload has an origin that is no id") from error
    return data[start:], origin


class PlainSealer:
    """`engine.ports.Sealer` without encryption."""

    def seal(self, payload: bytes, origin: str) -> bytes:
        """Close a payload. See `seal`."""
        return seal(payload, origin)

    def open(self, sealed: bytes) -> bytes:
        """Open what `seal` closed. Raises: CodecError."""
        return open_sealed(sealed)[0]
