"""Customer.io: `X-CIO-Signature` and `X-CIO-Timestamp`, HMAC-SHA256 in bare hex over `v0:time:body`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.lone import Lone
from flowlang.server.signatures.verdict import NO_CONTEXT, Context, Verdict, kept_id, mac_hex, text_secret

HEADER = "x-cio-signature"
_STAMP = "x-cio-timestamp"

load_secret = text_secret("customer-io")


def _signature(key: bytes, stamp: str, body: bytes) -> str:
    return mac_hex(key, b"v0:", stamp.encode(), b":", body)


_LONE = Lone(HEADER, _signature, stamp=_STAMP)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _LONE.verify(headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Customer.io would send this body. See `Scheme.sign`."""
    del context
    return _LONE.sign(body, secret, now_s, delivery)


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """The event's id."""
    del headers
    return kept_id(body.get("event_id")) if isinstance(body, dict) else None
