"""Senders of every kind: a secret, what the project says of them, and deliveries signed as they sign."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from flowlang.plan import WebhookOptions
from flowlang.server.signatures import SCHEMES, Context, Scheme, Verdict
from tests.webhooks.authority import certificate, key, roots

NOW = 1_700_000_000
_STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
_OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
HMAC = WebhookOptions(
    header="x-signature", timestamp="x-time", delivery="x-id", signed="{delivery}.{timestamp}.{body}", prefix="v9="
)

#: Kind of sender → its secret, another one, and what the project says. One provider may be there in several ways.
SECRETS = {
    "stripe": ("whsec_test", "whsec_other"),
    "github": ("It's a Secret to Everybody", "another"),
    "slack": ("8f742231b10e8888abcd99yyyzzz85a5", "another"),
    "mux": ("SuperSecret123", "another"),
    "standard-webhooks": (_STANDARD, _OTHER),
    "svix": (_STANDARD, _OTHER),
    "shopify": ("hush", "another"),
    "twilio": ("12345", "54321"),
    "transloadit": ("13123123123", "another"),
    "sanity": ("test", "another"),
    "customer-io": ("abc123", "another"),
    "postmark": ("ada:lovelace", "ada:byron"),
    "paypal": ("", ""),
    "hmac": ("hush", "another"),
}
OPTIONS = {
    "twilio": WebhookOptions(url="https://example.com/hooks/twilio"),
    "paypal": WebhookOptions(webhook_id="1JE4291016473214C"),
    "hmac": HMAC,
}

#: Whose signature holds for a while only; PayPal's is days, see the scheme.
TIMED = ("stripe", "slack", "mux", "standard-webhooks", "svix", "sanity", "customer-io", "hmac")

#: Whose signature covers the body to the last bit. Postmark's covers nothing of it.
COVERING = tuple(name for name in SECRETS if name != "postmark")


@dataclass(frozen=True)
class Delivery:
    """A delivery as it is sent."""

    provider: str
    headers: dict[str, str]
    body: bytes
    context: Context = field(default_factory=Context)

    def verdict(self, keys: Sequence[bytes] | None = None, now_s: int = NOW) -> Verdict:
        """What we say of it; with the sender's secret unless others are given."""
        scheme = SCHEMES[self.provider]
        return scheme.verify(
            self.headers, self.body, keys_of(self.provider) if keys is None else keys, now_s, self.context
        )

    def changed(self, name: str, value: str) -> Delivery:
        """The same with another header."""
        return replace(self, headers={**self.headers, name: value})


def keys_of(provider: str, *, other: bool = False) -> list[bytes]:
    """The key of the sender's secret, or of another; none for who has none."""
    scheme = SCHEMES[provider]
    return [scheme.load_secret(SECRETS[provider][other])] if scheme.secret else []


def signed(
    provider: str, body: bytes = b'{"id": "e1"}', now_s: int = NOW, ident: str = "msg_1", key: bytes | None = None
) -> Delivery:
    """A delivery of a body of JSON, as its sender would sign and send it."""
    scheme: Scheme = SCHEMES[provider]
    options = OPTIONS.get(provider, WebhookOptions())
    if provider == "paypal":
        return _by_paypal(body, now_s, ident, options)
    if key is None:
        key = keys_of(provider)[0]
    body, query = (body, "") if scheme.wrap is None else scheme.wrap(body, key)
    context = Context(options, query)
    headers = scheme.sign(body, key, now_s, ident, context)
    return Delivery(provider, {"content-type": "application/json"} | headers, body, context)


def _by_paypal(body: bytes, now_s: int, ident: str, options: WebhookOptions) -> Delivery:
    ident = ident.replace("_", "-")
    stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{ident}|{stamp}|{options.webhook_id}|{zlib.crc32(body)}".encode()
    headers = {
        "content-type": "application/json",
        "paypal-transmission-id": ident,
        "paypal-transmission-time": stamp,
        "paypal-transmission-sig": base64.b64encode(key("paypal").sign(text, PKCS1v15(), SHA256())).decode(),
        "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270",
        "paypal-auth-algo": "SHA256withRSA",
    }
    return Delivery("paypal", headers, body, Context(options, "", certificate(), roots()))
