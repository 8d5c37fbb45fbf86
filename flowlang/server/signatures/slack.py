"""Slack: `X-Slack-Signature: v0=…` and `X-Slack-Request-Timestamp`, HMAC-SHA256 in hex over `v0:time:body`.

The same for events (JSON), slash commands and interactivity (forms). Slack asks once whether an address is ours, by an
`url_verification` that holds a challenge; it is answered like everything else only after its signature was verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.server.signatures.lone import Lone
from flowlang.server.signatures.verdict import MAX_DELIVERY, NO_CONTEXT, Context, Verdict, kept_id, mac_hex, text_secret

HEADER = "x-slack-signature"
_STAMP = "x-slack-request-timestamp"

load_secret = text_secret("slack")


def _signature(key: bytes, stamp: str, body: bytes) -> str:
    return "v0=" + mac_hex(key, b"v0:", stamp.encode(), b":", body)


_LONE = Lone(HEADER, _signature, stamp=_STAMP)


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del context
    return _LONE.verify(headers, body, secrets, now_s)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Slack would send this body. See `Scheme.sign`."""
    del context
    return _LONE.sign(body, secret, now_s, delivery)


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """The id of an event, or of what a command or a click triggered."""
    del headers
    if not isinstance(body, dict):
        return None
    acted = body.get("payload")
    inner = acted if isinstance(acted, dict) else body
    return kept_id(inner.get("event_id")) or kept_id(inner.get("trigger_id"))


def challenge(body: Any) -> str | None:
    """What Slack wants to read when it asks whether an address is ours; None for all else that it sends."""
    if isinstance(body, dict) and body.get("type") == "url_verification":
        asked = body.get("challenge")
        return asked if isinstance(asked, str) and len(asked) <= MAX_DELIVERY else ""
    return None
