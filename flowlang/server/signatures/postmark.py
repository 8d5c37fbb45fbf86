"""Postmark: no signature, but HTTP Basic credentials, which are written into the address that Postmark calls.

They prove who sends and nothing about the body. The secret is `user:password`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from flowlang.server.signatures.verdict import (
    NO_CONTEXT,
    Context,
    Refused,
    SecretError,
    Verdict,
    Verified,
    any_equal,
    signature_of,
)

HEADER = "authorization"


def load_secret(text: str) -> bytes:
    """Read the credentials.

    Raises:
        SecretError: when they are not a user and a password with a colon between.
    """
    user, _, password = text.strip().partition(":")
    if not (user and password):
        raise SecretError("the secret of a postmark webhook is `user:password`, as in the address that Postmark calls")
    return text.strip().encode("utf-8", "surrogateescape")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del body, now_s, context
    header = signature_of(headers, HEADER)
    if isinstance(header, Refused):
        return Refused("there are no credentials")
    kind, _, given = header.partition(" ")
    if kind.lower() != "basic" or not any_equal((base64.b64encode(key).decode() for key in secrets), [given]):
        return Refused("the credentials are others")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Postmark would send this body. See `Scheme.sign`."""
    del body, now_s, delivery, context
    return {HEADER: f"Basic {base64.b64encode(secret).decode()}"}
