"""A delivery as its sender would send it: what `flowlang webhooks test` and tests of the server send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flowlang import jsondata
from flowlang.errors import ConfigError
from flowlang.plan import WebhookSource
from flowlang.server.signatures import SecretError
from flowlang.server.signatures.keys import scheme_of
from flowlang.server.signatures.verdict import Context


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes over the line.

    Attributes:
        headers: Names in lower case, `content-type` among them.
        body: Raw.
        query: Of the address, without the `?`.
    """

    headers: dict[str, str]
    body: bytes
    query: str


def sent(source: WebhookSource, body: bytes, keys: Sequence[bytes], now_s: int, delivery: str) -> Sent:
    """Sign a body.

    Args:
        source: The webhook.
        body: JSON; a sender of forms puts it into one.
        keys: That count now; the first one signs.
        now_s: Seconds since the epoch.
        delivery: Id of the delivery.

    Raises:
        SecretError: when only the sender can sign, or no key counts.
        ConfigError, JsonError: when it is to be a form and cannot become one.
    """
    scheme = scheme_of(source)
    if scheme.secret and not keys:
        raise SecretError("every secret of the webhook has ended")
    key = keys[0] if keys else b""
    content_type, query = "application/json", ""
    if scheme.wrap is not None:
        body, query = scheme.wrap(body, key)
    elif "json" not in (source.options.content or scheme.content):
        body, content_type = _as_form(body), "application/x-www-form-urlencoded"
    headers = scheme.sign(body, key, now_s, delivery, Context(source.options, query))
    return Sent({"content-type": content_type} | headers, body, query)


def _as_form(body: bytes) -> bytes:
    """A map of texts, written as a form. Raises: ConfigError, JsonError."""
    fields = jsondata.loads_strict(body)
    if not isinstance(fields, dict) or not all(isinstance(value, str) for value in fields.values()):
        raise ConfigError("this webhook takes forms, so the body is a map of texts")
    return urlencode(fields).encode()
