"""Base64, for octets in texts."""

from __future__ import annotations

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
    padded = text if text.endswith("=") else text + "=" * (-len(text) % 4)
    # Python forgives a padding of the wrong length, so that is looked at first.
    octets = _octets(padded) if len(padded) % 4 == 0 else None
    if octets is None:
        raise EvaluationError(f"`{text[:40]}` is no base64", BAD_ARGUMENT)
    return octets


def _octets(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None
