"""GitHub: `X-Hub-Signature-256: sha256=…`, HMAC-SHA256 in hex over the body.

There is no time, so what keeps a delivery from being sent again is its id, `X-GitHub-Delivery`, which is not signed.
The older `X-Hub-Signature` (SHA-1) counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.lone import Lone
from flowlang.server.signatures.verdict import NO_CONTEXT, Context, Verdict, delivery_in, mac_hex, text_secret

HEADER = "x-hub-signature-256"
_DELIVERY = "x-github-delivery"

load_secret = text_secret("github")


def _signature(key: bytes, _: str, body: bytes) -> str:
    return f"sha256={mac_hex(key, body)}"


_LONE = Lone(HEADER, _signature, delivery=_DELIVERY)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _LONE.verify(headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which GitHub would send this body. See `Scheme.sign`."""
    del context
    return _LONE.sign(body, secret, now_s, delivery)


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """GitHub's id of the delivery, the same when somebody has it delivered again."""
    del body
    return delivery_in(headers, _DELIVERY)
