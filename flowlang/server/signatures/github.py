"""GitHub: `X-Hub-Signature-256: sha256=…`, HMAC-SHA256 in hex over the body.

There is no time, so what keeps a delivery from being sent again is its id, `X-GitHub-Delivery`, which is not signed.
The older `X-Hub-Signature` (SHA-1) counts for nothing.
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
    mac_hex,
    signature_of,
    text_secret,
)

HEADER = "x-hub-signature-256"
_DELIVERY = "x-github-delivery"

load_secret = text_secret("github")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del now_s, context
    header = signature_of(headers, HEADER)
    if isinstance(header, Refused):
        return header
    if not any_equal((f"sha256={mac_hex(key, body)}" for key in secrets), [header]):
        return Refused("no signature matches")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which GitHub would send this body. See `Scheme.sign`."""
    del now_s, context
    return {HEADER: f"sha256={mac_hex(secret, body)}", _DELIVERY: delivery}


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """GitHub's id of the delivery, the same when somebody has it delivered again."""
    del body
    return delivery_in(headers, _DELIVERY)
