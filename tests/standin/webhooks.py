"""What the services send by themselves: signed webhooks.

Owns the signatures of Stripe and of Standard Webhooks, made independently of the code that verifies them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.standin import keys


def encode(body: Any) -> bytes:
    """Write a body the way in which it is signed and sent."""
    return json.dumps(body, separators=(",", ":")).encode()


def stripe_headers(body: bytes, now: int, secret: str = keys.STRIPE_WEBHOOK_SECRET) -> dict[str, str]:
    """Return the headers of a webhook from Stripe.

    Args:
        body: The bytes that are sent.
        now: Seconds since 1970.
        secret: The endpoint's secret, used as it is written.
    """
    signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "Stripe-Signature": f"t={now},v1={signature}"}


def standard_headers(
    body: bytes, now: int, message_id: str, secret: str = keys.ACADEMY_WEBHOOK_SECRET
) -> dict[str, str]:
    """Return the headers of a webhook that keeps to Standard Webhooks.

    Args:
        body: The bytes that are sent.
        now: Seconds since 1970.
        message_id: Id of the delivery, the same when it is sent again.
        secret: Base64 behind `whsec_`.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{message_id}.{now}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
