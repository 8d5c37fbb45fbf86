"""Reading a body within a bound: of what is sent, and of what it becomes when it is unpacked."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable
from typing import Final

import httpx

from flowlang import Permanent

TOO_LARGE: Final = "http.too_large"
CODINGS: Final = "gzip, deflate"  #: that we ask for, and can unpack

_ANY_HEADER: Final = 47  #: zlib's sign for "gzip or zlib, whichever it is"


async def read_bounded(parts: AsyncIterable[bytes], coding: str, max_bytes: int) -> bytes:
    """Read a body.

    Args:
        parts: As they come in.
        coding: `content-encoding` of the answer.
        max_bytes: The most to keep, before and after unpacking.

    Raises:
        Permanent: with code `http.too_large`.
        httpx.DecodingError: it is packed in a way that we did not ask for, or is broken.
    """
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        unpacker = None
    elif coding in {"gzip", "x-gzip", "deflate"}:
        unpacker = zlib.decompressobj(_ANY_HEADER)
    else:
        raise httpx.DecodingError(f"the body is packed as {coding[:40]!r}, which nobody asked for")
    taken = 0
    body = bytearray()
    async for part in parts:
        taken += len(part)
        # One byte more than may be kept is enough to know; what is left packed is never unpacked.
        body += part if unpacker is None else _unpacked(unpacker, part, max_bytes + 1 - len(body))
        if taken > max_bytes or len(body) > max_bytes:
            raise Permanent(f"the answer is longer than {max_bytes} bytes", code=TOO_LARGE)
    if unpacker is not None and taken and not unpacker.eof:
        raise httpx.DecodingError("the packed body is cut off")
    return bytes(body)


def _unpacked(unpacker: zlib._Decompress, part: bytes, room: int) -> bytes:
    try:
        return unpacker.decompress(part, room)
    except zlib.error as error:
        raise httpx.DecodingError(f"the packed body is broken: {error}") from None
