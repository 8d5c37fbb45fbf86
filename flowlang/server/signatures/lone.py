"""Signatures that stand alone in a header, which several senders use; a time stamp, if any, is in another header."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flowlang.server.signatures.verdict import (
    Refused,
    Verdict,
    Verified,
    any_equal,
    out_of_window,
    signature_of,
)


@dataclass(frozen=True, slots=True)
class Lone:
    """One sender's way to write it.

    Attributes:
        header: Its name in lower case.
        signature: (key, time stamp, body) to the header's text.
        stamp: The header of the time stamp; empty where the sender has none.
        delivery: The header of the id of the delivery; empty where the sender has none.
    """

    header: str
    signature: Callable[[bytes, str, bytes], str]
    stamp: str = ""
    delivery: str = ""

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
        """Judge a delivery; never raises. The arguments are those of `Scheme.verify`."""
        header = signature_of(headers, self.header)
        if isinstance(header, Refused):
            return header
        stamp = headers.get(self.stamp, "") if self.stamp else ""
        if self.stamp and (reason := out_of_window(stamp, now_s)) is not None:
            return Refused(reason)
        if not any_equal((self.signature(key, stamp, body) for key in secrets), [header]):
            return Refused("no signature matches")
        return Verified()

    def sign(self, body: bytes, secret: bytes, now_s: int, delivery: str = "") -> dict[str, str]:
        """The headers with which the sender would send this body."""
        stamp = str(now_s) if self.stamp else ""
        headers = {self.stamp: stamp} if self.stamp else {}
        if self.delivery:
            headers[self.delivery] = delivery
        return headers | {self.header: self.signature(secret, stamp, body)}
