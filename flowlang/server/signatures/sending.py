"""A delivery as its sender would send it: what `flowlang webhooks test` and tests of the server send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """
    scheme = scheme_of(source)
    if scheme.secret and not keys:
        raise SecretError("every secret of the webhook has ended")
    key = keys[0] if keys else b""
    body, query = (body, "") if scheme.wrap is None else scheme.wrap(body, key)
    headers = scheme.sign(body, key, now_s, delivery, Context(source.options, query))
    return Sent({"content-type": "application/json"} | headers, body, query)
