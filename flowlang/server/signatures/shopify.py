"""Shopify: `X-Shopify-Hmac-Sha256`, HMAC-SHA256 in base64 over the body, with the app's client secret.

There is no time, so what keeps a delivery from being sent again is its id, `X-Shopify-Webhook-Id`, which is not signed.
"""

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
    delivery_in,
    mac_base64,
    signature_of,
    text_secret,
)

HEADER = "x-shopify-hmac-sha256"
_DELIVERY = "x-shopify-webhook-id"

load_secret = text_secret("shopify")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del now_s, context
    header = signature_of(headers, HEADER)
    if isinstance(header, Refused):
        return header
    if not any_equal((mac_base64(key, body) for key in secrets), [header]):
        return Refused("no signature matches")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Shopify would send this body. See `Scheme.sign`."""
    del now_s, context
    return {HEADER: mac_base64(secret, body), _DELIVERY: delivery}


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """Shopify's id of the delivery, the same in each of its attempts."""
    del body
    return delivery_in(headers, _DELIVERY)
