"""Ids: how they look, which partition they belong to, and the hashes that stand for users' texts or spread work.

An id is a letter for its kind, two digits of partition, and a token: `e00-3f9c…` is an event, `r00-1b07…` a run. The id
of a run follows from its event, so accepting an event again names the same runs. Ids hold no text of a user.
"""

from __future__ import annotations

import hashlib
import hmac

from flowlang.errors import FlowError

#: Partitions that ids can name.
MAX_PARTITIONS = 100

_TOKEN_BYTES = 15  # 24 letters of base32, no padding
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple(
    first + second for first in _LETTERS for second in _LETTERS
)  # `base64.b32encode` takes six times as long
_SHIFTS = tuple(range(_TOKEN_BYTES * 8 - 10, -1, -10))


class IdError(FlowError):
    """A text that is no id of ours."""


def new_event_id(entropy: str, partition: int = 0) -> str:
    """Name a new event.

    Args:
        entropy: At least 16 characters that nobody else draws (`clock.random_token`), or a name that is unique by
            itself in this store, as that of a cron tick.
        partition: 0 to 99; where the event and its runs live.
    """
    return f"e{_partition(partition)}-{_token('event', entropy)}"


def run_id_for(event_id: str, pipeline: str, trigger_index: int) -> str:
    """Name the run that a trigger makes of an event: the same arguments give the same id, in the event's partition."""
    return f"r{_partition(partition_of(event_id))}-{_token('run', event_id, pipeline, str(trigger_index))}"


def partition_of(ident: str) -> int:
    """Tell the partition that an id carries.

    Raises:
        IdError: when it is no id.
    """
    digits = ident[1:3]
    if ident[:1] not in {"e", "r"} or ident[3:4] != "-" or not (digits.isascii() and digits.isdigit()):
        raise IdError(f"{ident!r} is no id; ids look like r00-mzxw6ytb… (runs) and e00-mzxw6ytb… (events)")
    return int(digits)


def keyed_hash(kind: str, name: str, key: str, *, salt: bytes) -> str:
    """Hash a user's key, so that the store never holds its text.

    Args:
        kind: What it is for: `dedupe`, `once`, `index`.
        name: Pipeline, source or event that the key belongs to.
        key: The user's text.
        salt: The store's secret; without it the hash of a guessed key could be compared.

    Returns:
        32 hex digits.
    """
    return hmac.digest(salt, _joined(kind, name, key), "sha256").hex()[:32]


def spread(name: str, most: int) -> int:
    """A number from 0 to `most`, both included, that follows from a name and looks drawn at random."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (most + 1)


def _partition(number: int) -> str:
    if not 0 <= number < MAX_PARTITIONS:
        raise IdError(f"partition {number} is outside 0 to {MAX_PARTITIONS - 1}")
    return f"{number:02d}"


def _token(*parts: str) -> str:
    bits = int.from_bytes(hashlib.sha256(_joined(*parts)).digest()[:_TOKEN_BYTES], "big")
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])


def _joined(*parts: str) -> bytes:
    """Join so that no two lists of parts give the same bytes."""
    encoded = [part.encode() for part in parts]
    return b"".join([len(part).to_bytes(4, "big") + part for part in encoded])
