"""Base64, for octets in texts."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode

from flowlang.expr.errors import BAD_ARGUMENT, EvaluationError
from flowlang.expr.registry import declare


@declare(
    "base64.encode(bytes) -> string",
    doc="Writes octets as base64 text.",
    examples=("base64.encode(b'hello') == 'aGVsbG8='",),
)
def _encode(value: bytes) -> str:
    return b64encode(value).decode()


@declare(
    "base64.decode(string) -> bytes",
    doc="Reads base64 text, with or without the padding at its end.",
    examples=("base64.decode('aGVsbG8=') == b'hello'", "base64.decode('aGVsbG8') == b'hello'"),
)
def _decode(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise EvaluationError(f"`{text[:40]}` is no base64", BAD_ARGUMENT) from None
