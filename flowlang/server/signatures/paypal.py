"""PayPal: RSA-SHA256 over `id|time|webhook id|crc32 of the body`, by a certificate whose address is in a header.

That address comes from a stranger, so it is taken only where it leads to PayPal (`certificate_url`); fetching it is not
done here, the certificate is an argument. It counts when it is for a host of PayPal's and leads to a root that is
trusted: who controls what one address at PayPal answers cannot sign by that.

A CRC binds a body loosely: who has one signed delivery can make another body with the same CRC. What keeps such a
forgery out is the id, which is signed: it is the delivery's id, taken once, and a delivery that is older than ids are
remembered is refused.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from flowlang.server.signatures.chains import vouched
from flowlang.server.signatures.verdict import (
    MAX_HEADER_BYTES,
    NO_CONTEXT,
    WINDOW_S,
    Context,
    Refused,
    SecretError,
    Verdict,
    Verified,
)

_AGE_S = 4 * 86_400  #: PayPal tries for three days
_MIN_BITS = 2048
_PREFIX = "paypal-"
_ID = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.)*paypal\.com", re.ASCII)
_PATH = re.compile(r"(?:/[A-Za-z0-9_-]{1,100}){1,8}(?:\.[a-z]{3})?", re.ASCII)


def load_secret(text: str) -> bytes:
    """Refuse: PayPal's certificate takes the place of a secret."""
    del text
    raise SecretError("a paypal webhook has no secret: PayPal signs by its certificate; leave `secret` out")


def certificate_url(headers: Mapping[str, str]) -> str | None:
    """Where the certificate is: an address at PayPal by https; None for any other, which nobody may be made to call."""
    url = headers.get(f"{_PREFIX}cert-url", "")
    if not url.isascii() or len(url) > 500:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    plain = f"https://{parts.netloc}{parts.path}"
    fits = _HOST.fullmatch(parts.netloc) is not None and _PATH.fullmatch(parts.path) is not None
    return url if fits and url == plain else None


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del secrets
    ident, stamp = headers.get(f"{_PREFIX}transmission-id", ""), headers.get(f"{_PREFIX}transmission-time", "")
    given = headers.get(f"{_PREFIX}transmission-sig", "")
    if not (ident and stamp and given):
        return Refused("id, time or signature is missing")
    if len(given) > MAX_HEADER_BYTES:
        return Refused("a header is too long")
    if headers.get(f"{_PREFIX}auth-algo", "") != "SHA256withRSA":
        return Refused("the algorithm is none that is taken")
    if _ID.fullmatch(ident) is None:
        return Refused("the id is none of PayPal's")
    if (reason := _out_of_time(stamp, now_s)) is not None:
        return Refused(reason)
    if context.certificate is None or not context.options.webhook_id:
        return Refused("there is no certificate of PayPal")
    signed = f"{ident}|{stamp}|{context.options.webhook_id}|{zlib.crc32(body)}".encode("utf-8", "replace")
    reason = _why_not(context, context.certificate, given, signed, now_s)
    return Verified(ident) if reason is None else Refused(reason)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str, context: Context = NO_CONTEXT) -> dict[str, str]:
    """Refuse: only PayPal can. Raises: SecretError."""
    del body, secret, now_s, delivery, context
    raise SecretError("only PayPal can sign for PayPal; an account of its sandbox sends deliveries to try")


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """None: the id is in the verdict, since it is signed."""
    del headers, body
    return None


def _out_of_time(stamp: str, now_s: int) -> str | None:
    if _TIME.fullmatch(stamp) is None:
        return "the time is none"
    try:
        age = now_s - datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return "the time is none"
    if age > _AGE_S:
        return "the signature is too old"
    return "the signature is from the future" if age < -WINDOW_S else None


def _why_not(context: Context, pem: bytes, given: str, signed: bytes, now_s: int) -> str | None:
    """Why a signature is not PayPal's; None when it is."""
    key = vouched(pem, lambda name: _HOST.fullmatch(name) is not None, context.roots, now_s)
    if isinstance(key, Refused):
        return key.reason
    if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_BITS:
        return "the certificate's key is none that is taken"
    try:
        signature = base64.b64decode(given.encode("ascii"), validate=True)
        if base64.b64encode(signature).decode() != given:
            return "no signature matches"
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):  # binascii.Error and UnicodeEncodeError are ValueErrors
        return "no signature matches"
    return None
