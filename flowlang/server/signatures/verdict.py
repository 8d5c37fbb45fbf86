"""What every signature scheme shares: its verdicts, its bounds, and the few ways to read what a stranger sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.x509.verification import Store

from flowlang.errors import ConfigError
from flowlang.plan import WebhookOptions

WINDOW_S = 300  #: a signature may be so much older or newer than now
MAX_SIGNATURES = 8  #: in one header; a rotation needs two
MAX_HEADER_BYTES = 4096
MAX_DELIVERY = 200  #: characters of a sender's id of a delivery
_MAX_DIGITS = 12


class SecretError(ConfigError):
    """A signing secret that cannot be used. The message never holds it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The body is what the sender signed. `delivery` is the sender's id of it, where the scheme has one."""

    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not, or it cannot be told. The reason is one of a few fixed sentences, for the audit record alone."""

    reason: str


Verdict = Verified | Refused


@dataclass(frozen=True, slots=True)
class Context:
    """What a scheme may need besides headers, body and keys.

    Attributes:
        options: As the project wrote them.
        query: Of the request's URL, as it was sent, without the `?`.
        certificate: Of the sender, as PEM, where the scheme says with `certificate_url` where it is, with those that
            vouch for it.
        roots: Certificates that are trusted to vouch for a sender's.
        method: Of the request; without a body where it is GET.
    """

    options: WebhookOptions = field(default_factory=WebhookOptions)
    query: str = ""
    certificate: bytes | None = None
    roots: Store | None = None
    method: str = "POST"


NO_CONTEXT = Context()


def out_of_window(stamp: str, now_s: int, *, window_s: int = WINDOW_S, per_second: int = 1) -> str | None:
    """Judge a signature's time.

    Args:
        stamp: As sent; only ASCII digits are a time.
        now_s: Seconds since the epoch.
        window_s: So much older or newer it may be.
        per_second: Units of the stamp in a second: 1000 for milliseconds.

    Returns:
        Why it is refused; None when it is within the window.
    """
    # Digits of other scripts pass `str.isdigit` and `int`: a second spelling of the same time that nobody signed.
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _MAX_DIGITS + len(str(per_second)) - 1):
        return "the time stamp is not a number"
    age = now_s - int(stamp) // per_second
    if age > window_s:
        return "the signature is too old"
    if age < -window_s:
        return "the signature is from the future"
    return None


def any_equal(expected: Iterable[str], given: Iterable[str]) -> bool:
    """Whether any text equals any other, in a time that tells nothing about how much of them is equal."""
    offered = [text.encode("utf-8", "replace") for text in given]
    found = False
    for text in expected:
        wanted = text.encode("utf-8", "replace")
        for candidate in offered:
            found |= hmac.compare_digest(wanted, candidate)
    return found


def mac(key: bytes, *parts: bytes, algorithm: str = "sha256") -> bytes:
    """The HMAC over some parts, one behind the other."""
    made = hmac.new(key, digestmod=algorithm)
    for part in parts:
        made.update(part)
    return made.digest()


def mac_hex(key: bytes, *parts: bytes, algorithm: str = "sha256") -> str:
    """The HMAC in lower-case hexadecimal digits."""
    return mac(key, *parts, algorithm=algorithm).hex()


def mac_base64(key: bytes, *parts: bytes, algorithm: str = "sha256") -> str:
    """The HMAC in base64 with its padding."""
    return base64.b64encode(mac(key, *parts, algorithm=algorithm)).decode()


def signature_of(headers: Mapping[str, str], name: str) -> str | Refused:
    """The header that holds the signature, or why there is none to look at."""
    header = headers.get(name, "")
    if not header:
        return Refused("there is no signature")
    if len(header) > MAX_HEADER_BYTES:
        return Refused("the signature header is too long")
    return header


def text_secret(provider: str) -> Callable[[str], bytes]:
    """How a secret is loaded whose whole text is the key.

    Args:
        provider: For the message.

    Returns:
        From the text to the key; raises SecretError for an empty one.
    """

    def load(text: str) -> bytes:
        if not text.strip():
            raise SecretError(f"the secret of a {provider} webhook is empty")
        return text.encode("utf-8", "surrogateescape")

    return load


def delivery_in(headers: Mapping[str, str], name: str) -> str | None:
    """A sender's id of the delivery in a header; None when there is none that can be kept."""
    return kept_id(headers.get(name))


def kept_id(value: Any) -> str | None:
    """A value as the id of a delivery; None for what is no text or number, empty, or too long to be kept."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= MAX_DELIVERY and text.isprintable() else None


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of some bytes in lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
