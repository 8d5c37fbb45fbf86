"""Signatures of the form `t=…,v1=…`, which several senders use: a time stamp, and the signatures made with it.

A header may hold several signatures of version 1, which is how senders roll a secret. Other versions count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flowlang.server.signatures.verdict import (
    MAX_SIGNATURES,
    Refused,
    Verdict,
    Verified,
    any_equal,
    out_of_window,
    signature_of,
)


@dataclass(frozen=True, slots=True)
class Stamped:
    """One sender's way to write it.

    Attributes:
        header: Its name in lower case.
        signature: (key, time stamp, body) to the signature's text.
        per_second: Units of the time stamp in a second.
        spaces: Whether a space may stand behind a comma.
    """

    header: str
    signature: Callable[[bytes, str, bytes], str]
    per_second: int = 1
    spaces: bool = False

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now_s: int) -> Verdict:
        """Judge a delivery; never raises. The arguments are those of `Scheme.verify`."""
        header = signature_of(headers, self.header)
        if isinstance(header, Refused):
            return header
        stamps: list[str] = []
        signatures: list[str] = []
        for item in header.split(","):
            name, _, value = (item.removeprefix(" ") if self.spaces else item).partition("=")
            if name == "t":
                stamps.append(value)
            elif name == "v1":
                signatures.append(value)
        if len(stamps) != 1:
            return Refused("there must be one time stamp")
        if not 1 <= len(signatures) <= MAX_SIGNATURES:
            return Refused(f"there must be 1 to {MAX_SIGNATURES} signatures of version 1")
        if (reason := out_of_window(stamps[0], now_s, per_second=self.per_second)) is not None:
            return Refused(reason)
        if not any_equal((self.signature(key, stamps[0], body) for key in secrets), signatures):
            return Refused("no signature matches")
        return Verified()

    def sign(self, body: bytes, secret: bytes, now_s: int) -> dict[str, str]:
        """The headers with which the sender would send this body."""
        stamp = str(now_s * self.per_second)
        return {self.header: f"t={stamp},v1={self.signature(secret, stamp, body)}"}
