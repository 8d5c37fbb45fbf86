"""Ids: how they look, which partition they belong to, and the hashes that stand for users' texts or spread work.

An id is a letter for its kind, two digits of partition, and a token: `e00-3f9c…` is an event, `r00-1b07…` a run. The id
of a run follows from its event, so accepting an event again names the same runs. Ids hold no text of a user.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from flowlang.errors import FlowError

if TYPE_CHECKING:
    from hashlib import _Hash

#: Partitions that ids can name.
MAX_PARTITIONS = 100

_BLOCK_BYTES = 64  # of SHA-256
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
#: For ten bits each: `base64.b32encode` takes ten times as long.
_PAIRS = tuple(first + second for first in _LETTERS for second in _LETTERS)
_SIZES = tuple(size.to_bytes(4, "big") for size in range(256))


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
    inner, outer = (half.copy() for half in _hmac_halves(salt))
    inner.update(_joined(kind, name, key))
    outer.update(inner.digest())
    return outer.hexdigest()[:32]


@lru_cache(maxsize=4)  # a process has one store, and so one salt
def _hmac_halves(salt: bytes) -> tuple[_Hash, _Hash]:
    """HMAC-SHA256 of a key as far as it goes without a text (RFC 2104), the inner and the outer hash.

    `hmac.digest` hands over the interpreter at each call: where other threads compute too, each event waited its turn.
    """
    block = (hashlib.sha256(salt).digest() if len(salt) > _BLOCK_BYTES else salt).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    return inner, outer


def spread(name: str, most: int) -> int:
    """A number from 0 to `most`, both included, that follows from a name and looks drawn at random."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % (most + 1)


def _partition(number: int) -> str:
    if not 0 <= number < MAX_PARTITIONS:
        raise IdError(f"partition {number} is outside 0 to {MAX_PARTITIONS - 1}")
    return f"{number:02d}"


def _token(*parts: str) -> str:
    """The first 15 bytes of the hash of some parts: 24 letters of base32, without padding."""
    whole = hashlib.sha256(_joined(*parts)).digest()
    read = int.from_bytes
    one, two, three = read(whole[:5], "big"), read(whole[5:10], "big"), read(whole[10:15], "big")
    pairs = _PAIRS
    return (
        f"{pairs[one >> 30]}{pairs[one >> 20 & 1023]}{pairs[one >> 10 & 1023]}{pairs[one & 1023]}"
        f"{pairs[two >> 30]}{pairs[two >> 20 & 1023]}{pairs[two >> 10 & 1023]}{pairs[two & 1023]}"
        f"{pairs[three >> 30]}{pairs[three >> 20 & 1023]}{pairs[three >> 10 & 1023]}{pairs[three & 1023]}"
    )


def _joined(*parts: str) -> bytes:
    """Join so that no two lists of parts give the same bytes."""
    pieces = []
    for part in parts:
        text = part.encode()
        pieces.append(_SIZES[len(text)] if len(text) < len(_SIZES) else len(text).to_bytes(4, "big"))
        pieces.append(text)
    return b"".join(pieces)
