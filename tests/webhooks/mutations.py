"""Deliveries with a changed header: none may raise, and none may be taken whose header does not say the same.

What says the same is told without reading the header as we do: every piece of the genuine header, cut at commas and
spaces, must still be a piece of the changed one. A header that has it and more may be taken, as senders list several
signatures; one that has lost it may not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flowlang.server.forms import read_form
from flowlang.server.signatures import Verified
from flowlang.server.signatures.standard_webhooks import PublicKey
from tests.webhooks.senders import NOW, SECRETS, Delivery, keys_of, signed

#: Kind of sender → headers that its signature is in or speaks of. Transloadit's is a field of its form.
SIGNED = {
    "stripe": ("stripe-signature",),
    "github": ("x-hub-signature-256",),
    "slack": ("x-slack-signature", "x-slack-request-timestamp"),
    "mux": ("mux-signature",),
    "standard-webhooks": ("webhook-id", "webhook-timestamp", "webhook-signature"),
    "ed25519": ("webhook-id", "webhook-timestamp", "webhook-signature"),
    "svix": ("svix-id", "svix-timestamp", "svix-signature"),
    "shopify": ("x-shopify-hmac-sha256",),
    "twilio": ("x-twilio-signature",),
    "transloadit": ("signature",),
    "sanity": ("sanity-webhook-signature",),
    "customer-io": ("x-cio-signature", "x-cio-timestamp"),
    "postmark": ("authorization",),
    "paypal": ("paypal-transmission-id", "paypal-transmission-time", "paypal-transmission-sig", "paypal-auth-algo"),
    "hmac": ("x-signature", "x-time", "x-id"),
}
_PIECES = re.compile(r"[, ]")
_BASIC = re.compile("^basic ", re.IGNORECASE)  # HTTP has it in any case
_STRANGE = "\0\t\r\n\x7f é٣۳३\ud800\udfff\U0001f600=,;:+/-_.\\\"'%&#|{}()<>"
_OTHER_DIGITS = ("٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗")


@dataclass
class Found:
    """What came of the changed headers."""

    tried: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    raised: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)


@cache
def genuine(kind: str) -> tuple[Delivery, tuple[bytes, ...]]:
    """A delivery that is taken, and the keys with which it is."""
    if kind != "ed25519":
        return signed(kind), tuple(keys_of(kind))
    private = Ed25519PrivateKey.generate()
    delivery = signed("standard-webhooks")
    text = f"msg_1.{NOW}.".encode() + delivery.body
    from base64 import b64encode  # noqa: PLC0415 - for this one sender

    header = {"webhook-signature": f"v1a,{b64encode(private.sign(text)).decode()}"}
    public = PublicKey(private.public_key().public_bytes_raw())
    return replace(delivery, headers=delivery.headers | header), (public,)


def mutate(count: int, seed: int) -> Found:
    """Try so many changed headers, as many of each kind of sender.

    Args:
        count: Of all.
        seed: The same seed gives the same headers.
    """
    rng = Random(seed)
    found = Found()
    kinds = list(SIGNED)
    for number in range(count):
        _try(kinds[number % len(kinds)], rng, found)
    return found


def _try(kind: str, rng: Random, found: Found) -> None:
    delivery, keys = genuine(kind)
    headers = read_form(delivery.body) if kind == "transloadit" else dict(delivery.headers)
    changed = dict(headers)
    left = rng.choice((1, 1, 1, 2, 3))
    while left > 0 or changed == headers:
        _change(changed, SIGNED[kind], rng)
        left -= 1
    found.tried[kind] += 1
    if kind == "transloadit":
        fields = {name: value.encode("utf-8", "replace") for name, value in changed.items()}
        changed = {name: value.decode() for name, value in fields.items()}
        sent = replace(delivery, body=urlencode(fields).encode())
    else:
        sent = replace(delivery, headers=changed)
    try:
        verdict = sent.verdict(keys)
    except Exception as error:  # noqa: BLE001 - that it raises at all is what is looked for
        found.raised.append(f"{kind}: {error!r} {changed!r}")
        return
    if isinstance(verdict, Verified):
        found.taken[kind] += 1
        if not all(_says_the_same(headers[name], changed.get(name, "")) for name in SIGNED[kind]):
            found.false.append(f"{kind}: {changed!r}")


def _says_the_same(one: str, other: str) -> bool:
    return set(_PIECES.split(_BASIC.sub("Basic ", one))) <= set(_PIECES.split(_BASIC.sub("Basic ", other)))


def _change(headers: dict[str, str], names: tuple[str, ...], rng: Random) -> None:
    name = rng.choice(names)
    kind = rng.randrange(20)
    if kind == 0:
        headers.pop(name, None)
    elif kind == 1:
        other = rng.choice(names)
        headers[name], headers[other] = headers.get(other, ""), headers.get(name, "")
    else:
        headers[name] = rng.choice(_CHANGES)(headers.get(name, ""), rng)


def _at(text: str, rng: Random) -> int:
    return rng.randrange(len(text) + 1)


def _replaced(text: str, rng: Random) -> str:
    at = _at(text, rng)
    return text[:at] + _letter(rng) + text[at + 1 :]


def _inserted(text: str, rng: Random) -> str:
    at = _at(text, rng)
    return text[:at] + _letter(rng) + text[at:]


def _deleted(text: str, rng: Random) -> str:
    at = _at(text, rng)
    return text[:at] + text[at + rng.randrange(1, 4) :]


def _letter(rng: Random) -> str:
    return rng.choice(_STRANGE) if rng.randrange(2) else chr(rng.randrange(33, 127))


def _doubled(text: str, rng: Random) -> str:
    start, end = sorted((_at(text, rng), _at(text, rng)))
    return text[:end] + text[start:end] + text[end:]


def _other_time(text: str, rng: Random) -> str:
    odd = (f"+{NOW}", f" {NOW}", f"0{NOW}", f"{NOW}.0", f"{NOW}e0", "1_700_000_000", hex(NOW), f"-{NOW}", f"{NOW}\n")
    return text.replace(str(NOW), rng.choice((*odd, str(NOW + rng.randrange(-400, 400)))))


def _other_script(text: str, rng: Random) -> str:
    return text.translate(str.maketrans("0123456789", rng.choice(_OTHER_DIGITS)))


def _last_letter(text: str, rng: Random) -> str:
    bare = text.rstrip("=")
    return bare[:-1] + chr(ord(bare[-1]) ^ 1) + text[len(bare) :] if bare else text


def _versioned(text: str, rng: Random) -> str:
    return re.sub(r"v[0-9]+a?|sha[0-9]+|t=", rng.choice(("v0", "v1", "v1a", "v2", "sha1", "sha256", "t=", "")), text)


_CHANGES: tuple[Callable[[str, Random], str], ...] = (
    _replaced,
    _replaced,
    _inserted,
    _deleted,
    _doubled,
    _other_time,
    _other_script,
    _last_letter,
    _versioned,
    lambda text, rng: text[: _at(text, rng)],
    lambda text, rng: text[_at(text, rng) :],
    lambda text, _rng: text.swapcase(),
    lambda text, _rng: text.upper(),
    lambda text, _rng: text[::-1],
    lambda text, _rng: text.rstrip("="),
    lambda text, _rng: text + "=",
    lambda text, _rng: f"{text},{text}",
    lambda text, _rng: f"{text} {text}",
    lambda text, rng: ",".join(["v1=x"] * rng.randrange(12)) + "," + text,
    lambda text, rng: " ".join(["v1,x"] * rng.randrange(12)) + " " + text,
    lambda text, rng: text * rng.randrange(2, 80),
    lambda _text, rng: "".join(_letter(rng) for _ in range(rng.randrange(80))),
    lambda _text, rng: "A" * rng.choice((0, 1, 63, 64, 65, 5000)),
    lambda text, rng: genuine(rng.choice(list(SECRETS)))[0].headers.get("webhook-signature", text),
)
