"""Stripe: `Stripe-Signature: t=…,v1=…[,v1=…]`, HMAC-SHA256 in hex over `t.body`.

Several `v1` are sent while a secret is being rolled. Other versions (`v0` of the test mode) count for nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from flowlang.server.signatures.verdict import (
    MAX_HEADER_BYTES,
    MAX_SIGNATURES,
    Refused,
    SecretError,
    Verdict,
    Verified,
    any_equal,
    out_of_window,
)

HEADER = "stripe-signature"


def load_secret(text: str) -> bytes:
    """Read a signing secret: Stripe's key is the whole text, its `whsec_` included.

    Raises:
        SecretError: when it is empty.
    """
    if not text.strip():
        raise SecretError("the secret of a stripe webhook is empty")
    return text.encode()


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
    """Judge a delivery; never raises.

    Args:
        headers: Names in lower case.
        body: Raw, as it came.
        secrets: Keys from `load_secret`; any may have signed.
        now_s: Seconds since the epoch.

    Returns:
        `Verified`, or `Refused` with the reason.
    """
    header = headers.get(HEADER, "")
    if not header:
        return Refused("there is no signature")
    if len(header) > MAX_HEADER_BYTES:
        return Refused("the signature header is too long")
    stamps: list[str] = []
    signatures: list[str] = []
    for item in header.split(","):
        name, _, value = item.partition("=")
        if name == "t":
            stamps.append(value)
        elif name == "v1":
            signatures.append(value)
    if len(stamps) != 1:
        return Refused("there must be one time stamp")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        return Refused(f"there must be 1 to {MAX_SIGNATURES} signatures of version 1")
    if (reason := out_of_window(stamps[0], now_s)) is not None:
        return Refused(reason)
    if not any_equal((_signature(key, stamps[0], body) for key in secrets), signatures):
        return Refused("no signature matches")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "") -> dict[str, str]:
    """The headers with which Stripe would send this body.

    Args:
        body: Raw.
        secret: From `load_secret`.
        now_s: Seconds since the epoch.
        delivery: Not used: Stripe's id is in the body.
    """
    del delivery
    stamp = str(now_s)
    return {HEADER: f"t={stamp},v1={_signature(secret, stamp, body)}"}


def _signature(key: bytes, stamp: str, body: bytes) -> str:
    return hmac.new(key, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
