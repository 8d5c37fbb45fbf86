"""Customer.io: `X-CIO-Signature` and `X-CIO-Timestamp`, HMAC-SHA256 in bare hex over `v0:time:body`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.verdict import (
    NO_CONTEXT,
    Context,
    Refused,
    Verdict,
    Verified,
    any_equal,
    kept_id,
    mac_hex,
    out_of_window,
    signature_of,
    text_secret,
)

HEADER = "x-cio-signature"
_STAMP = "x-cio-timestamp"

load_secret = text_secret("customer-io")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    header = signature_of(headers, HEADER)
    if isinstance(header, Refused):
        return header
    stamp = headers.get(_STAMP, "")
    if (reason := out_of_window(stamp, now_s)) is not None:
        return Refused(reason)
    if not any_equal((_signature(key, stamp, body) for key in secrets), [header]):
        return Refused("no signature matches")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Customer.io would send this body. See `Scheme.sign`."""
    del delivery, context
    stamp = str(now_s)
    return {_STAMP: stamp, HEADER: _signature(secret, stamp, body)}


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """The event's id."""
    del headers
    return kept_id(body.get("event_id")) if isinstance(body, dict) else None


def _signature(key: bytes, stamp: str, body: bytes) -> str:
    return mac_hex(key, b"v0:", stamp.encode(), b":", body)
