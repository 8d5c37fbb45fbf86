"""The senders' own libraries sign bodies; the server has to take exactly what they signed.

Every body is sent five times: as it was signed, signed with another secret, with one byte changed, with one letter of the
signature changed, and with a signature of another time. Only the first is taken.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from urllib.parse import urlencode

import standardwebhooks
import stripe
import svix
from slack_sdk.signature import SignatureVerifier
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from flowlang.clock import ManualClock
from flowlang.engine.ports import Store
from flowlang.plan import Manifest, WebhookOptions, WebhookSource
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from flowlang.service import Service
from flowlang.store.codec import PlainSealer
from tests.webhooks.senders import SECRETS

_ADDRESS = "https://example.com/hooks/twilio"
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Request:
    """What a library signed."""

    body: bytes
    headers: dict[str, str]
    signature: str  #: the header that holds it
    query: str = ""


Signer = Callable[[Random, int, str, int], Request]


def _stripe(rng: Random, number: int, secret: str, now_s: int) -> Request:
    body = _json(rng, {"id": f"evt_{number}"})
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, now_s)
    return Request(body, {"Stripe-Signature": header}, "Stripe-Signature")


def _slack(rng: Random, number: int, secret: str, now_s: int) -> Request:
    is_form = rng.randrange(2) == 0
    body = _fields(rng, {"trigger_id": str(number)}) if is_form else _json(rng, {"event_id": f"Ev{number}"})
    signature = SignatureVerifier(secret).generate_signature(timestamp=str(now_s), body=body)
    assert signature is not None
    headers = {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": str(now_s)}
    return Request(body, headers | ({"content-type": _FORM} if is_form else {}), "X-Slack-Signature")


def _standard(rng: Random, number: int, secret: str, now_s: int) -> Request:
    body, ident = _json(rng, {}), f"msg_{number}"
    signature = standardwebhooks.Webhook(secret).sign(ident, datetime.fromtimestamp(now_s, UTC), body.decode())
    headers = {"webhook-id": ident, "webhook-timestamp": str(now_s), "webhook-signature": signature}
    return Request(body, headers, "webhook-signature")


def _svix(rng: Random, number: int, secret: str, now_s: int) -> Request:
    body, ident = _json(rng, {}), f"msg_{number}"
    signature = svix.Webhook(secret).sign(ident, datetime.fromtimestamp(now_s, UTC), body.decode())
    headers = {"svix-id": ident, "svix-timestamp": str(now_s), "svix-signature": signature}
    return Request(body, headers, "svix-signature")


def _twilio(rng: Random, number: int, secret: str, now_s: int) -> Request:
    """A form, or JSON with its hash in the query; by SHA-1 or by SHA-256. Twilio signs no time: it is in the token."""
    validator = RequestValidator(secret)
    algorithm = rng.choice(("HMAC_SHA1", "HMAC_SHA256"))
    headers = {"I-Twilio-Idempotency-Token": f"{number}-{now_s}"}
    if algorithm == "HMAC_SHA256":
        headers["X-Twilio-Webhooks-Signature-Settings"] = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    if rng.randrange(2):
        fields = {f"P{at}": _text(rng) for at in range(rng.randrange(8))} | {"MessageSid": f"SM{number}"}
        url = rng.choice((_ADDRESS, _ADDRESS.replace(".com", ".com:443")))
        signature = validator.compute_signature(url, fields, algorithm)
        body, query = urlencode(fields).encode(), ""
        headers["content-type"] = _FORM
    else:
        body = _json(rng, {})
        query = f"bodySHA256={validator.compute_hash(body.decode())}"
        signature = validator.compute_signature(f"{_ADDRESS}?{query}", {}, algorithm)
    return Request(body, headers | {"X-Twilio-Signature": signature}, "X-Twilio-Signature", query)


LIBRARIES: dict[str, Signer] = {
    "stripe": _stripe,
    "slack": _slack,
    "standard-webhooks": _standard,
    "svix": _svix,
    "twilio": _twilio,
}
_TIMELESS = ("twilio",)


@dataclass
class Told:
    """What the server said of one library's deliveries."""

    taken: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)


class Served:
    """The server over HTTP, on any store."""

    def __init__(self, store: Store) -> None:
        self.clock = ManualClock()
        self.service = Service(store, PlainSealer(), pause=lambda _: None)
        sources = [
            WebhookSource(
                name,
                name,
                (name,),
                event=f"{name}/received",
                options=WebhookOptions(url=_ADDRESS) if name == "twilio" else WebhookOptions(),
            )
            for name in LIBRARIES
        ]
        self.service.deploy(Manifest("webhooks", {}, webhooks=tuple(sources)), [])
        secrets = {name: SECRETS[name][0] for name in LIBRARIES}
        self._server = HttpServer(create_app(self.service, secrets=secrets, clock=self.clock), port=0)
        self._server.start()
        self._line = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)

    @property
    def now_s(self) -> int:
        """The server's time."""
        return self.clock.now_ms() // 1000

    def send(self, name: str, request: Request) -> int:
        """Send a delivery; returns the status."""
        path = f"/hooks/{name}" + (f"?{request.query}" if request.query else "")
        headers = {"content-type": "application/json"} | request.headers
        self._line.request("POST", path, request.body, headers)
        response = self._line.getresponse()
        response.read()
        return response.status

    def close(self) -> None:
        """Stop."""
        self._line.close()
        self._server.stop()


def hold(served: Served, name: str, count: int, seed: int) -> Told:
    """Send so many bodies that a library signed, each with its false twins.

    Args:
        served: The server.
        name: Of the library's provider.
        count: Of bodies.
        seed: The same seed gives the same bodies.
    """
    rng, told = Random(f"{name} {seed}"), Told()
    sign, (right, other) = LIBRARIES[name], SECRETS[name]
    for number in range(count):
        state = rng.getstate()
        genuine = sign(rng, number, right, served.now_s + rng.randrange(-300, 301) * (name not in _TIMELESS))
        after = rng.getstate()
        rng.setstate(state)
        stolen = sign(rng, number, other, served.now_s)
        rng.setstate(after)
        twins = {
            "another secret": stolen,
            "another body": _other_body(rng, genuine),
            "another header": _bent(rng, genuine),
        }
        if name not in _TIMELESS:
            late = rng.choice((-1, 1)) * rng.randrange(301, 100_000)
            twins["another time"] = sign(rng, number, right, served.now_s + late)
        else:
            twins["another address"] = replace(genuine, query=f"{genuine.query}&a=1".lstrip("&"))
        for what, twin in twins.items():
            told.refused += _judge(told, f"{what} of body {number}", served.send(name, twin), taken=False)
        told.taken += _judge(told, f"body {number}", served.send(name, genuine), taken=True)
    return told


def _judge(told: Told, what: str, status: int, *, taken: bool) -> bool:
    if status not in ((200, 202) if taken else (401,)):
        told.wrong.append(f"{what}: answered {status}")
        return False
    return True


def _other_body(rng: Random, request: Request) -> Request:
    """One byte is another one, so that what is read is another body as well."""
    if request.headers.get("content-type") == _FORM:
        return replace(request, body=request.body + rng.choice((b"&x=1", b"1")))
    at = rng.randrange(len(request.body))
    other = bytes([request.body[at] ^ (1 << rng.randrange(8))])
    return replace(request, body=request.body[:at] + other + request.body[at + 1 :])


def _bent(rng: Random, request: Request) -> Request:
    """One letter of the signature is another one, not of what stands before it."""
    text = request.headers[request.signature]
    at = len(text) - 1 - rng.randrange(2, 20)
    other = rng.choice([letter for letter in "abcdef0123456789" if letter != text[at]])
    bent = text[:at] + other + text[at + 1 :]
    return replace(request, headers={**request.headers, request.signature: bent})


def _text(rng: Random) -> str:
    alphabets = ("abcXYZ019 ._-", "äöüßéñ", "日本語한국어", "\U0001f600\U0001f680", "&=+%#?/\"'\\<>\n\t")
    return "".join(rng.choice(rng.choice(alphabets)) for _ in range(rng.randrange(12)))


def _value(rng: Random, depth: int) -> object:
    match rng.randrange(6 if depth < 3 else 4):
        case 0:
            return rng.randrange(-(2**53), 2**53)
        case 1:
            return rng.choice((True, False, None))
        case 2:
            return rng.uniform(-1e6, 1e6)
        case 3:
            return _text(rng)
        case 4:
            return [_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        case _:
            return {f"{_text(rng)}{at}": _value(rng, depth + 1) for at in range(rng.randrange(4))}


def _json(rng: Random, known: dict[str, str]) -> bytes:
    """A body as some sender may write it: with other spaces, and letters escaped or not."""
    value = {f"{_text(rng)}{at}": _value(rng, 0) for at in range(rng.randrange(6))} | known
    escaped, indent = rng.choice((True, False)), rng.choice((None, 0, 2))
    return json.dumps(value, ensure_ascii=escaped, indent=indent).encode()


def _fields(rng: Random, known: dict[str, str]) -> bytes:
    return urlencode({f"f{at}": _text(rng) for at in range(rng.randrange(6))} | known).encode()
