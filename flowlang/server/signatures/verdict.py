"""What every signature scheme shares: its verdicts, its bounds and the reading of a time stamp."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from flowlang.errors import ConfigError

WINDOW_S = 300  #: a signature may be so much older or newer than now
MAX_SIGNATURES = 8  #: in one header; a rotation needs two
MAX_HEADER_BYTES = 4096
_MAX_DIGITS = 12


class SecretError(ConfigError):
    """A signing secret that cannot be used. The message never holds it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The body is what the sender signed. `delivery` is the sender's id of it, where the scheme has one."""

    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not, or it cannot be told. The reason is for the audit record, not for the answer."""

    reason: str


Verdict = Verified | Refused


def out_of_window(stamp: str, now_s: int) -> str | None:
    """Judge a signature's time.

    Args:
        stamp: As sent; only ASCII digits are a time.
        now_s: Seconds since the epoch.

    Returns:
        Why it is refused; None when it is within the window.
    """
    # Digits of other scripts pass `str.isdigit` and `int`: a second spelling of the same time that nobody signed.
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _MAX_DIGITS):
        return "the time stamp is not a number"
    age = now_s - int(stamp)
    if age > WINDOW_S:
        return "the signature is too old"
    if age < -WINDOW_S:
        return "the signature is from the future"
    return None


def any_equal(expected: Iterable[str], given: Iterable[str]) -> bool:
    """Whether any text equals any other, in a time that tells nothing about how much of them is equal."""
    offered = [text.encode("utf-8", "replace") for text in given]
    found = False
    for text in expected:
        wanted = text.encode()
        for candidate in offered:
            found |= hmac.compare_digest(wanted, candidate)
    return found
