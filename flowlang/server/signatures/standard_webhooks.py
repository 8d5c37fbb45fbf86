"""Standard Webhooks, and Svix, which is the same under other header names.

`webhook-id`, `webhook-timestamp` and `webhook-signature`, a list of signatures separated by spaces, over
`id.timestamp.body`: `v1,<base64>` is HMAC-SHA256 with a secret (`whsec_…`), `v1a,<base64>` is Ed25519, checked with a
public key (`whpk_…`). The encoded texts are compared, so that a second spelling of the same bytes is not the same
signature. Other versions in the list count for nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flowlang.server.signatures.verdict import (
    MAX_DELIVERY,
    MAX_HEADER_BYTES,
    MAX_SIGNATURES,
    NO_CONTEXT,
    Context,
    Refused,
    SecretError,
    Verdict,
    Verified,
    any_equal,
    mac_base64,
    out_of_window,
)


class PublicKey(bytes):
    """A key that verifies and cannot sign: the 32 bytes of an Ed25519 public key."""

    __slots__ = ()


def load_secret(text: str) -> bytes:
    """Read a signing secret: base64, with or without `whsec_` in front; or a public key, `whpk_` and base64.

    Raises:
        SecretError: when it is empty, no base64, or a private key.
    """
    text = text.strip()
    if text.startswith("whsk_"):
        raise SecretError("the secret of a webhook is the sender's private key (whsk_…); its public key is whpk_…")
    if text.startswith("whpk_"):
        return _public_key(text.removeprefix("whpk_"))
    key = _decoded(text.removeprefix("whsec_"))
    if key is None:
        raise SecretError("the secret of a webhook is not base64; write it as the sender shows it: whsec_…")
    if not key:
        raise SecretError("the secret of a webhook is empty")
    return key


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _verify("webhook", headers, body, secrets, now_s)


def verify_svix(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """As `verify`, for Svix's header names."""
    del context
    return _verify("svix", headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str, context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which a sender would send this body. See `Scheme.sign`."""
    del context
    return _sign("webhook", body, secret, now_s, delivery)


def sign_svix(body: bytes, secret: bytes, now_s: int, delivery: str, context: Context = NO_CONTEXT) -> dict[str, str]:
    """As `sign`, for Svix's header names."""
    del context
    return _sign("svix", body, secret, now_s, delivery)


def _public_key(encoded: str) -> PublicKey:
    raw = _decoded(encoded)
    if raw is None or len(raw) != 32:
        raise SecretError("the public key of a webhook is not 32 bytes of base64; write it as it is shown: whpk_…")
    return PublicKey(raw)


def _decoded(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _verify(prefix: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
    ident = headers.get(f"{prefix}-id", "")
    stamp = headers.get(f"{prefix}-timestamp", "")
    header = headers.get(f"{prefix}-signature", "")
    if not (ident and stamp and header):
        return Refused("id, time stamp or signature is missing")
    if len(header) > MAX_HEADER_BYTES or len(ident) > MAX_DELIVERY:
        return Refused("a header is too long")
    parts = [part.partition(",") for part in header.split(" ")]
    if len(parts) > MAX_SIGNATURES:
        return Refused(f"there may be {MAX_SIGNATURES} signatures")
    if (reason := out_of_window(stamp, now_s)) is not None:
        return Refused(reason)
    signed = (_encoded_id(ident), b".", stamp.encode(), b".", body)
    macs = [signature for version, _, signature in parts if version == "v1"]
    found = any_equal((mac_base64(key, *signed) for key in secrets if not isinstance(key, PublicKey)), macs)
    publics = [key for key in secrets if isinstance(key, PublicKey)]
    if publics and not found:
        message = b"".join(signed)
        signatures = [signature for version, _, signature in parts if version == "v1a"]
        found = any(_is_signed(key, text, message) for key in publics for text in signatures)
    return Verified(ident) if found else Refused("no signature matches")


def _is_signed(key: PublicKey, text: str, message: bytes) -> bool:
    """Whether a text is the one spelling of an Ed25519 signature over the message."""
    try:
        signature = base64.b64decode(text, validate=True)
        if base64.b64encode(signature).decode() != text:
            return False
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):  # binascii.Error is a ValueError
        return False
    return True


def _sign(prefix: str, body: bytes, secret: bytes, now_s: int, delivery: str) -> dict[str, str]:
    if isinstance(secret, PublicKey):
        raise SecretError("a public key (whpk_…) signs nothing; only who has the private key can send this")
    stamp = str(now_s)
    return {
        f"{prefix}-id": delivery,
        f"{prefix}-timestamp": stamp,
        f"{prefix}-signature": f"v1,{mac_base64(secret, _encoded_id(delivery), b'.', stamp.encode(), b'.', body)}",
    }


def _encoded_id(ident: str) -> bytes:
    return ident.encode("utf-8", "replace")


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """None: the id is in the verdict, since it is signed."""
    del headers, body
    return None
