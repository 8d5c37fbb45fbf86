"""Shopify: `X-Shopify-Hmac-Sha256`, HMAC-SHA256 in base64 over the body, with the app's client secret.

There is no time, so what keeps a delivery from being sent again is its id, `X-Shopify-Webhook-Id`, which is not signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.lone import Lone
from flowlang.server.signatures.verdict import NO_CONTEXT, Context, Verdict, delivery_in, mac_base64, text_secret

HEADER = "x-shopify-hmac-sha256"
_DELIVERY = "x-shopify-webhook-id"

load_secret = text_secret("shopify")


def _signature(key: bytes, _: str, body: bytes) -> str:
    return mac_base64(key, body)


_LONE = Lone(HEADER, _signature, delivery=_DELIVERY)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _LONE.verify(headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Shopify would send this body. See `Scheme.sign`."""
    del context
    return _LONE.sign(body, secret, now_s, delivery)


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """Shopify's id of the delivery, the same in each of its attempts."""
    del body
    return delivery_in(headers, _DELIVERY)
