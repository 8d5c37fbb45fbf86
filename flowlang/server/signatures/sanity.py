"""Sanity: `sanity-webhook-signature: t=…,v1=…`, HMAC-SHA256 in base64url without padding over `t.body`.

The time is in milliseconds. Sanity's own toolkit has no window; here it is that of all others.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.stamped import Stamped
from flowlang.server.signatures.verdict import NO_CONTEXT, Context, Verdict, delivery_in, mac, text_secret

load_secret = text_secret("sanity")


def _signature(key: bytes, stamp: str, body: bytes) -> str:
    return base64.urlsafe_b64encode(mac(key, stamp.encode(), b".", body)).decode().rstrip("=")


_STAMPED = Stamped("sanity-webhook-signature", _signature, per_second=1000, spaces=True)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _STAMPED.verify(headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Sanity would send this body. See `Scheme.sign`."""
    del context
    return {**_STAMPED.sign(body, secret, now_s), "idempotency-key": delivery}


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """The key that Sanity sends for this very purpose; it is not signed."""
    del body
    return delivery_in(headers, "idempotency-key")
