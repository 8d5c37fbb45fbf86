"""Standard Webhooks, and Svix, which is the same under other header names.

`webhook-id`, `webhook-timestamp` and `webhook-signature`, a list of `v1,<base64>` separated by spaces: HMAC-SHA256 over
`id.timestamp.body`. The encoded texts are compared, so that a second spelling of the same bytes is not the same
signature. Other versions in the list count for nothing; keys of the asymmetric `v1a` (`whpk_…`) are refused at load.
"""

from __future__ import annotations

import base64
import binascii
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

MAX_ID = 256  #: characters of a delivery id


def load_secret(text: str) -> bytes:
    """Read a signing secret: base64, with or without `whsec_` in front.

    Raises:
        SecretError: when it is empty, no base64, or a public key.
    """
    text = text.strip()
    if text.startswith(("whpk_", "whsk_")):
        raise SecretError("the secret of a webhook is an Ed25519 key (v1a); only symmetric secrets (whsec_…) are taken")
    encoded = text.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretError("the secret of a webhook is not base64; write it as the sender shows it: whsec_…") from error
    if not key:
        raise SecretError("the secret of a webhook is empty")
    return key


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
    """Judge a delivery; never raises.

    Args:
        headers: Names in lower case.
        body: Raw, as it came.
        secrets: Keys from `load_secret`; any may have signed.
        now_s: Seconds since the epoch.

    Returns:
        `Verified` with the delivery's id, or `Refused` with the reason.
    """
    return _verify("webhook", headers, body, secrets, now_s)


def verify_svix(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
    """As `verify`, for Svix's header names."""
    return _verify("svix", headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str) -> dict[str, str]:
    """The headers with which a sender would send this body.

    Args:
        body: Raw.
        secret: From `load_secret`.
        now_s: Seconds since the epoch.
        delivery: Id of the delivery, the same in each of its attempts.
    """
    return _sign("webhook", body, secret, now_s, delivery)


def sign_svix(body: bytes, secret: bytes, now_s: int, delivery: str) -> dict[str, str]:
    """As `sign`, for Svix's header names."""
    return _sign("svix", body, secret, now_s, delivery)


def _verify(prefix: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
    ident = headers.get(f"{prefix}-id", "")
    stamp = headers.get(f"{prefix}-timestamp", "")
    header = headers.get(f"{prefix}-signature", "")
    if not (ident and stamp and header):
        return Refused("id, time stamp or signature is missing")
    if len(header) > MAX_HEADER_BYTES or len(ident) > MAX_ID:
        return Refused("a header is too long")
    parts = [part.partition(",") for part in header.split(" ")]
    if len(parts) > MAX_SIGNATURES:
        return Refused(f"there may be {MAX_SIGNATURES} signatures")
    signatures = [signature for version, _, signature in parts if version == "v1"]
    if (reason := out_of_window(stamp, now_s)) is not None:
        return Refused(reason)
    if not any_equal((_signature(key, ident, stamp, body) for key in secrets), signatures):
        return Refused("no signature matches")
    return Verified(ident)


def _sign(prefix: str, body: bytes, secret: bytes, now_s: int, delivery: str) -> dict[str, str]:
    stamp = str(now_s)
    return {
        f"{prefix}-id": delivery,
        f"{prefix}-timestamp": stamp,
        f"{prefix}-signature": f"v1,{_signature(secret, delivery, stamp, body)}",
    }


def _signature(key: bytes, ident: str, stamp: str, body: bytes) -> str:
    signed = ident.encode("utf-8", "replace") + b"." + stamp.encode() + b"." + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
