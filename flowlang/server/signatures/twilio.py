"""Twilio: `X-Twilio-Signature`, HMAC in base64 over the address that Twilio called and the fields of the form.

The address is the one that the outside sees, which is why the project has to write it (`options.url`): behind a proxy
the server is called by another. Twilio writes it sometimes with and sometimes without the port. Fields are sorted, each
pair of name and value once. A body that is no form is covered by its SHA-256 in the query, `bodySHA256`; such a query
binds every body that comes with it, so that a captured delivery cannot be sent again as an empty form. Twilio may also
call by GET: then the fields are the query, which is part of the address, and there is no body.

The algorithm is SHA-1; a request that is signed with a shared key says in another header that it is SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from flowlang.server.forms import FormError, read_fields
from flowlang.server.signatures.verdict import (
    NO_CONTEXT,
    Context,
    Refused,
    Verdict,
    Verified,
    any_equal,
    delivery_in,
    mac_base64,
    sha256_hex,
    signature_of,
    text_secret,
)

HEADER = "x-twilio-signature"
SETTINGS = "x-twilio-webhooks-signature-settings"
_DELIVERY = "i-twilio-idempotency-token"
_HASH = "bodySHA256"
_FORM = "application/x-www-form-urlencoded"
_ALGORITHMS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}
_PORTS = {"http": 80, "https": 443}

load_secret = text_secret("twilio")


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = NO_CONTEXT
) -> Verdict:
    """Judge a delivery; never raises. See `Scheme.verify`."""
    del now_s
    header = signature_of(headers, HEADER)
    if isinstance(header, Refused):
        return header
    algorithm = _algorithm(headers.get(SETTINGS, ""))
    if algorithm is None:
        return Refused("the algorithm is none that is taken")
    fields = _fields(headers, body, context)
    if isinstance(fields, Refused):
        return fields
    expected = (
        mac_base64(key, _encoded(url + fields), algorithm=algorithm)
        for key in secrets
        for url in _spellings(context.options.url, context.query)
    )
    if not any_equal(expected, [header]):
        return Refused("no signature matches")
    return Verified()


def sign(body: bytes, secret: bytes, now_s: int, delivery: str = "", context: Context = NO_CONTEXT) -> dict[str, str]:
    """The headers with which Twilio would send this body: a form, or JSON after `wrap` has made the query."""
    del now_s
    is_form = _HASH not in context.query
    fields = _sorted(read_fields(body)) if is_form else ""
    url = _spellings(context.options.url, context.query)[0]
    return {
        HEADER: mac_base64(secret, _encoded(url + fields), algorithm="sha1"),
        _DELIVERY: delivery,
        "content-type": _FORM if is_form else "application/json",
    }


def wrap(body: bytes, secret: bytes) -> tuple[bytes, str]:
    """A body of JSON as Twilio sends it: as it is, with its hash in the query."""
    del secret
    return body, f"{_HASH}={sha256_hex(body)}"


def delivery_of(headers: Mapping[str, str], body: Any) -> str | None:
    """Twilio's token of the delivery, the same in each of its attempts; it is not signed."""
    del body
    return delivery_in(headers, _DELIVERY)


def _algorithm(settings: str) -> str | None:
    """The algorithm that a request says it is signed with; None when it is none that we take."""
    if not settings:
        return "sha1"
    named = [
        value for name, _, value in (part.strip().partition("=") for part in settings.split(",")) if name == "algorithm"
    ]
    return _ALGORITHMS.get(named[0]) if len(named) == 1 else ("sha1" if not named else None)


def _fields(headers: Mapping[str, str], body: bytes, context: Context) -> str | Refused:
    """What is signed behind the address."""
    try:
        named = parse_qsl(context.query, keep_blank_values=True)
    except ValueError:
        return Refused("the query cannot be read")
    hashes = [value for name, value in named if name == _HASH]
    if hashes:
        if len(hashes) > 1 or not any_equal([sha256_hex(body)], hashes):
            return Refused("the body is not the one of its hash")
        return ""
    if context.method == "GET":
        return "" if named and not body else Refused("nothing but the address is signed")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return Refused("nothing in the signature speaks of the body")
    try:
        fields = read_fields(body)
    except FormError:
        return Refused("the body is no form")
    # Without fields, the signature of a GET would be good for a POST that says nothing of what was sent.
    return _sorted(fields) if fields else Refused("nothing but the address is signed")


def _sorted(fields: list[tuple[str, str]]) -> str:
    return "".join(name + value for name, value in sorted(set(fields)))


def _spellings(url: str, query: str) -> tuple[str, ...]:
    """The address as Twilio may have written it: without a port, and with it.

    A query that the project writes is a part of the one that came, or was taken off on the way here.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
        if not parts.hostname:
            return ()
        host = parts.netloc.rpartition("@")[2]
        user = parts.netloc[: len(parts.netloc) - len(host)]
        name = host[: -len(f":{parts.port}")] if parts.port else host
        queries = [f"{parts.query}&{query}" if parts.query and query else parts.query or query]
        if parts.query and f"{query}&".startswith(f"{parts.query}&"):
            queries.append(query)
        return tuple(
            urlunsplit(parts._replace(netloc=netloc, query=each, fragment=""))
            for each in queries
            for netloc in (f"{user}{name}", f"{user}{name}:{port}")
        )
    except ValueError:
        return ()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
