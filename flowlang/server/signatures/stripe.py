"""Stripe: `Stripe-Signature: t=…,v1=…[,v1=…]`, HMAC-SHA256 in hex over `t.body`.

Several `v1` are sent while a secret is being rolled. Other versions (`v0` of the test mode) count for nothing. The key
is the whole text of the secret, its `whsec_` included. The id of an event is in its body, and signed with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.stamped import Stamped
from flowlang.server.signatures.verdict import NO_CONTEXT, Context, Verdict, kept_id, mac_hex, text_secret

load_secret = text_secret("stripe")


def _signature(key: bytes, stamp: str, body: bytes) -> str:
    return mac_hex(key, stamp.encode(), b".", body)


_STAMPED = Stamped("stripe-signature", _signature)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _STAMPED.verify(headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Stripe would send this body. See `Scheme.sign`."""
    del delivery, context
    return _STAMPED.sign(body, secret, now_s)


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """The event's id, `evt_…`."""
    del headers
    return kept_id(body.get("id")) if isinstance(body, dict) else None
