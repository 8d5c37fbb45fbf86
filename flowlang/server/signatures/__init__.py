"""Webhook signatures: one file a scheme, and the table of the schemes that a project may name.

Each scheme is functions without state. `load_secret` runs when a project is loaded and may refuse; `verify` is total:
whatever a stranger sends, it answers and never raises; `sign` is what `flowlang webhooks test`, demos and tests use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from flowlang.server.signatures import (
    customer_io,
    generic_hmac,
    github,
    mux,
    paypal,
    postmark,
    sanity,
    shopify,
    slack,
    standard_webhooks,
    stripe,
    transloadit,
    twilio,
    unsigned,
)
from flowlang.server.signatures.verdict import Context, Refused, SecretError, Verdict, Verified

__all__ = ["SCHEMES", "UNSIGNED", "Context", "Refused", "Scheme", "SecretError", "Verdict", "Verified"]


class Verify(Protocol):
    """Judges a delivery and never raises."""

    def __call__(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int, context: Context = ...
    ) -> Verdict:
        """Judge a delivery.

        Args:
            headers: Names in lower case.
            body: Raw, as it came.
            secrets: Keys from `load_secret`; any may have signed.
            now_s: Seconds since the epoch.
            context: What some schemes need besides.

        Returns:
            `Verified` with the delivery's id where it is signed, or `Refused` with the reason.
        """


class Sign(Protocol):
    """Signs as the sender does."""

    def __call__(self, body: bytes, secret: bytes, now_s: int, delivery: str, context: Context = ...) -> dict[str, str]:
        """The headers with which the sender would send this body.

        Args:
            body: Raw.
            secret: From `load_secret`.
            now_s: Seconds since the epoch.
            delivery: Id of the delivery, the same in each of its attempts, where the scheme has one in a header.
            context: As for `Verify`.

        Raises:
            SecretError: when only the sender can sign.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender wants to hear when we have its delivery."""

    status: int = 202
    body: bytes | None = None  #: None: the id of the event as JSON
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of sender signs, and what else is particular to it.

    Attributes:
        load_secret: From the configured text to key bytes; raises SecretError for one that cannot be used.
        verify: See `Verify`.
        sign: See `Sign`.
        delivery_of: (headers, body as read) to the sender's id of the delivery, by which repeated ones are known.
        content: Kinds of body that it sends, of `json`, `form` and `multipart`; `options.content` may say others.
        json_field: The field of its forms that holds JSON.
        deadline_s: The sender counts an answer as missing when it takes longer.
        answer: What it wants to hear.
        challenge: (body) to what the sender wants to read when it asks whether the address is ours, else None.
        wrap: (JSON body, key) to the body and query that it would send.
        secret: Whether there is a secret that both know.
        certificate_url: (headers) to where the sender's certificate is, for schemes that need one.
        methods: By which it may call: GET only where the address with its query is signed.
    """

    load_secret: Callable[[str], bytes]
    verify: Verify
    sign: Sign
    delivery_of: Callable[[Mapping[str, str], Any], str | None]
    content: tuple[str, ...] = ("json",)
    json_field: str = ""
    deadline_s: float = 10.0
    answer: Answer = Answer()
    challenge: Callable[[Any], str | None] | None = None
    wrap: Callable[[bytes, bytes], tuple[bytes, str]] | None = None
    secret: bool = True
    certificate_url: Callable[[Mapping[str, str]], str | None] | None = None
    methods: tuple[str, ...] = ("POST",)


def _nobodys(headers: Mapping[str, str], body: Any) -> str | None:
    """No id of the delivery is known."""
    del headers, body
    return None


_OK: Final = Answer(200)
_EMPTY_TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'

#: Provider name in `flowlang.yaml` → scheme.
SCHEMES: Final[dict[str, Scheme]] = {
    "stripe": Scheme(stripe.load_secret, stripe.verify, stripe.sign, stripe.delivery_of),
    "github": Scheme(
        github.load_secret, github.verify, github.sign, github.delivery_of, ("json", "form"), json_field="payload"
    ),
    "slack": Scheme(
        slack.load_secret,
        slack.verify,
        slack.sign,
        slack.delivery_of,
        ("json", "form"),
        json_field="payload",
        deadline_s=3.0,
        answer=Answer(200, b"", "text/plain"),  # a command shows what is answered to whoever gave it
        challenge=slack.challenge,
    ),
    "mux": Scheme(mux.load_secret, mux.verify, mux.sign, mux.delivery_of),
    "standard-webhooks": Scheme(
        standard_webhooks.load_secret, standard_webhooks.verify, standard_webhooks.sign, standard_webhooks.delivery_of
    ),
    "svix": Scheme(
        standard_webhooks.load_secret,
        standard_webhooks.verify_svix,
        standard_webhooks.sign_svix,
        standard_webhooks.delivery_of,
    ),
    "shopify": Scheme(
        shopify.load_secret, shopify.verify, shopify.sign, shopify.delivery_of, deadline_s=5.0, answer=_OK
    ),
    "twilio": Scheme(
        twilio.load_secret,
        twilio.verify,
        twilio.sign,
        twilio.delivery_of,
        ("form", "json"),
        answer=Answer(200, _EMPTY_TWIML, "text/xml"),
        wrap=twilio.wrap,
        methods=("GET", "POST"),
    ),
    "transloadit": Scheme(
        transloadit.load_secret,
        transloadit.verify,
        transloadit.sign,
        transloadit.delivery_of,
        ("multipart", "form"),
        json_field=transloadit.FIELD,
        answer=_OK,
        wrap=transloadit.wrap,
    ),
    "sanity": Scheme(sanity.load_secret, sanity.verify, sanity.sign, sanity.delivery_of),
    "customer-io": Scheme(
        customer_io.load_secret, customer_io.verify, customer_io.sign, customer_io.delivery_of, deadline_s=4.0
    ),
    "postmark": Scheme(postmark.load_secret, postmark.verify, postmark.sign, _nobodys, answer=_OK),
    "paypal": Scheme(
        paypal.load_secret,
        paypal.verify,
        paypal.sign,
        paypal.delivery_of,
        answer=_OK,
        secret=False,
        certificate_url=paypal.certificate_url,
    ),
    "hmac": Scheme(generic_hmac.load_secret, generic_hmac.verify, generic_hmac.sign, _nobodys),
}

#: What stands in the place of a scheme where a project takes what nobody signed.
UNSIGNED: Final = Scheme(unsigned.load_secret, unsigned.verify, unsigned.sign, _nobodys, secret=False)
