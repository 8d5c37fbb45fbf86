"""Senders that sign by HMAC in a way of their own, which the project describes: header, algorithm, encoding, layout.

The layout of what is signed is a text such as `{timestamp}.{body}`. A time stamp that is not in it would not be signed,
so the compiler refuses it. An id of the delivery may be left out of it, as GitHub and Shopify do.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from flowlang.plan import WebhookOptions
from flowlang.server.signatures.verdict import (
    NO_CONTEXT,
    Context,
    Refused,
    Verdict,
    Verified,
    any_equal,
    delivery_in,
    mac,
    out_of_window,
    signature_of,
    text_secret,
)

_PART = re.compile(r"\{(timestamp|delivery|body)\}")
_ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64url": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
}

load_secret = text_secret("hmac")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    options = context.options
    header = signature_of(headers, options.header)
    if isinstance(header, Refused):
        return header
    stamp = ""
    if options.timestamp:
        stamp = headers.get(options.timestamp, "")
        if (reason := out_of_window(stamp, now_s, window_s=options.tolerance_ms // 1000)) is not None:
            return Refused(reason)
    ident = headers.get(options.delivery, "") if options.delivery else ""
    if not any_equal((_signature(key, stamp, ident, body, options) for key in secrets), [header]):
        return Refused("no signature matches")
    return Verified(delivery_in(headers, options.delivery) if options.delivery else None)


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which the described sender would send this body. See `Scheme.sign`."""
    options = context.options
    headers = {options.timestamp: str(now_s)} if options.timestamp else {}
    if options.delivery:
        headers[options.delivery] = delivery
    headers[options.header] = _signature(secret, headers.get(options.timestamp, ""), delivery, body, options)
    return headers


def _signature(key: bytes, stamp: str, ident: str, body: bytes, options: WebhookOptions) -> str:
    values = {"timestamp": stamp.encode(), "delivery": ident.encode("utf-8", "replace"), "body": body}
    layout = options.signed or ("{timestamp}.{body}" if options.timestamp else "{body}")
    parts = (values[text] if named else text.encode() for named, text in _parts(layout))
    return options.prefix + _ENCODINGS[options.encoding](mac(key, *parts, algorithm=options.algorithm))


@lru_cache(maxsize=64)
def _parts(layout: str) -> tuple[tuple[bool, str], ...]:
    """A layout as its parts: whether each is a name, and its text."""
    return tuple((at % 2 == 1, text) for at, text in enumerate(_PART.split(layout)) if text)
