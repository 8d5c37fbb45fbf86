"""Transloadit: a form with the fields `transloadit`, a text of JSON, and `signature`, HMAC in hex over that text.

The form comes in parts (`multipart/form-data`) or as one line; what is signed is the text of the field in both.

The algorithm stands in the signature and so comes from the sender: only `sha384:` is taken. Bare hex is HMAC-SHA1, as
old accounts have it, and taken where the project says so (`options.allow_sha1`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flowlang.server.forms import FormError, read_form
from flowlang.server.signatures.verdict import (
    MAX_HEADER_BYTES,
    NO_CONTEXT,
    Context,
    Refused,
    Verdict,
    Verified,
    any_equal,
    kept_id,
    mac_hex,
    text_secret,
)

FIELD = "transloadit"
_SIGNATURE = "signature"

load_secret = text_secret("transloadit")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del now_s
    try:
        form = read_form(body, headers.get("content-type", ""))
    except FormError:
        return Refused("the body is no form")
    given, text = form.get(_SIGNATURE, ""), form.get(FIELD)
    if not given or text is None:
        return Refused("there is no signature")
    if len(given) > MAX_HEADER_BYTES:
        return Refused("the signature is too long")
    signed = text.encode()
    expected = [f"sha384:{mac_hex(key, signed, algorithm='sha384')}" for key in secrets]
    if context.options.allow_sha1:
        expected.extend(mac_hex(key, signed, algorithm="sha1") for key in secrets)
    if not any_equal(expected, [given]):
        return Refused("no signature matches")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """No headers but the type: the signature is in the body, where `wrap` puts it."""
    del body, secret, now_s, delivery, context
    return {"content-type": "application/x-www-form-urlencoded"}


def wrap(body: bytes, secret: bytes) -> tuple[bytes, str]:
    """A body of JSON as Transloadit sends it: as a field of a form, with its signature."""
    signature = f"sha384:{mac_hex(secret, body, algorithm='sha384')}"
    return urlencode({FIELD: body, _SIGNATURE: signature}).encode(), ""


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """The id of the assembly with what became of it, of which Transloadit tells once, and on the way when asked to."""
    del headers
    told = body.get(FIELD) if isinstance(body, dict) else None
    if not isinstance(told, dict) or (ident := kept_id(told.get("assembly_id"))) is None:
        return None
    return kept_id(f"{ident}/{told.get('ok') or told.get('error') or ''}")
