"""Which keys stored payloads are closed with, and closing their data keys with the current one.

A payload stays as it is: only the wrapping of its data key is made anew, which is as long as before. So it is found and
replaced by its bytes, in whatever row it lies, by one small call each; nobody has to wait, and a run that goes on
meanwhile loses nothing. What was stopped half-way goes on when it is started again: there is less to do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from flowlang.clock import random_bytes
from flowlang.engine.ports import KeyUse, Rotated
from flowlang.errors import StoreError
from flowlang.keyring import Keyring
from flowlang.store import script
from flowlang.store.codec import PLAIN, CodecError, header
from flowlang.store.encryption import SALT_BYTES, WRAPPED_BYTES, unwrap, wrap
from flowlang.store.keys import Keys

#: Keys, fields or elements that are read at a time.
PAGE: Final = 200

#: Times that all is looked through again because copies were made behind our back.
PASSES: Final = 3

_HEAD: Final = re.compile(rb"F\x01(?P<key>..)(?P<size>.)", re.DOTALL)
_ORIGIN: Final = re.compile(r"[er]\d\d-[a-z2-7]+")


@dataclass(frozen=True, slots=True)
class _Value:
    """One value of the store that may hold payloads."""

    key: bytes
    kind: str
    at: bytes | int
    content: bytes


class Rekeying:
    """Looks through a store for payloads.

    Args:
        client: With answers as bytes.
        keys: Of the store.
        keyring: Opens and closes data keys.
        draw: Gives so many bytes of chance.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, keyring: Keyring, draw: Callable[[int], bytes] = random_bytes
    ) -> None:
        self._client: Any = client  # its stubs mix the answers of its blocking and asynchronous faces
        self._base = keys.base
        self._keyring = keyring
        self._draw = draw
        self._looked_at = 0

    def use(self, limit: int | None = None) -> KeyUse:
        """Count payloads by their keys.

        Args:
            limit: Look at about so many keys of the store at most.
        """
        found: Counter[int] = Counter()
        self._looked_at = 0
        complete = True
        for page in self._pages():
            found.update(key for value in page for key, _, _ in self._payloads(value.content))
            if limit is not None and self._looked_at > limit:
                complete = False
                break
        return KeyUse(dict(sorted(found.items())), self._looked_at, complete)

    def rotate(self, told: Callable[[int], object] = lambda _: None) -> Rotated:
        """Close all data keys with the current key.

        Args:
            told: Is told how many were closed so far.

        Raises:
            StoreError: when there is no current key.
        """
        if not self._keyring.current:
            raise StoreError("there is no key to rotate to: name one in FLOWLANG_ENCRYPTION_KEYS")
        self._client.function_load(script.source(), replace=True)
        rewrapped = 0
        for _ in range(PASSES):
            before = rewrapped
            for page in self._pages():
                rewrapped += self._rewrap(page)
                told(rewrapped)
            if rewrapped == before:
                break
        return Rotated(rewrapped, self.use())

    def _rewrap(self, page: list[_Value]) -> int:
        """Give all data keys of some values the current wrapping, in one exchange with the server."""
        pipe = self._client.pipeline(transaction=False)
        for value in page:
            pairs = self._pairs(value.content)
            if pairs:
                spelled = (part for pair in pairs.items() for part in pair)
                call = (f"{script.name()}_rewrap", 1, value.key, value.kind, value.at, *spelled)
                pipe.execute_command("FCALL", *call)
        return sum(pipe.execute()) if len(pipe) else 0

    def _pairs(self, content: bytes) -> dict[bytes, bytes]:
        """What stands before payloads of other keys, and what is to stand there."""
        current, pairs = self._keyring.current, dict[bytes, bytes]()
        for key, origin, old in self._payloads(content):
            if key not in {PLAIN, current} and key in self._keyring.keys and old not in pairs:
                data_key = unwrap(self._keyring.keys[key], key, origin, old[-WRAPPED_BYTES:])
                again = wrap(self._keyring.keys[current], current, origin, data_key, self._draw(SALT_BYTES))
                pairs[old] = header(origin, current) + again
        return pairs

    def _payloads(self, content: bytes) -> Iterator[tuple[int, str, bytes]]:
        """The payloads in a value: id of the key, origin, and all that stands before the nonce."""
        for match in _HEAD.finditer(content):
            key, size = int.from_bytes(match["key"], "big"), match["size"][0]
            end = match.end() + size
            origin = content[match.end() : end].decode("ascii", "replace")
            if not _ORIGIN.fullmatch(origin):
                continue
            if key == PLAIN:
                yield key, origin, content[match.start() : end]
                continue
            head = content[match.start() : end + WRAPPED_BYTES]
            if len(head) == end + WRAPPED_BYTES - match.start() and self._is_one(key, origin, head):
                yield key, origin, head

    def _is_one(self, key: int, origin: str, head: bytes) -> bool:
        """Whether bytes that look like a payload are one, as far as it can be known."""
        if key not in self._keyring.keys:
            return True
        try:
            unwrap(self._keyring.keys[key], key, origin, head[-WRAPPED_BYTES:])
        except CodecError:
            return False
        return True

    def _pages(self) -> Iterator[list[_Value]]:
        """All values that may hold payloads, some at a time."""
        cursor = 0
        while True:
            cursor, names = self._client.scan(cursor, match=f"{_escaped(self._base)}*", count=PAGE)
            if names:
                self._looked_at += len(names)
                yield from self._of_keys(names)
            if cursor == 0:
                return

    def _of_keys(self, names: list[bytes]) -> Iterator[list[_Value]]:
        """The values of some keys: the first of each in one exchange, the rest of long ones by pages."""
        kinds = self._together(names, lambda pipe, name: pipe.type(name))
        wanted = [(name, kind.decode()) for name, kind in zip(names, kinds, strict=True) if kind in _READS]
        if not wanted:
            return
        answers = self._together(wanted, lambda pipe, each: _READS[each[1].encode()](pipe, each[0], 0))
        first: list[_Value] = []
        for (name, kind), answer in zip(wanted, answers, strict=True):
            found, following = _read(name, kind, 0, answer)
            first += found
            while following is not None:
                found, following = _read(name, kind, following, _READS[kind.encode()](self._client, name, following))
                yield found
        yield first

    def _together(self, things: Sequence[Any], ask: Callable[[Any, Any], object]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for thing in things:
            ask(pipe, thing)
        answers: list[Any] = pipe.execute()
        return answers


#: How a page of a key is read, by its kind; sets and sorted sets hold ids, no payloads.
_READS: Final[Mapping[bytes, Callable[[Any, bytes, int], Any]]] = {
    b"string": lambda client, name, _: client.get(name),
    b"hash": lambda client, name, cursor: client.hscan(name, cursor, count=PAGE),
    b"list": lambda client, name, start: client.lrange(name, start, start + PAGE - 1),
}


def _read(name: bytes, kind: str, at: int, answer: Any) -> tuple[list[_Value], int | None]:
    """The values in an answer, and where the next page begins; None: there is none."""
    if kind == "string":
        return ([] if answer is None else [_Value(name, kind, b"", answer)]), None
    if kind == "hash":
        cursor, page = answer
        return [_Value(name, kind, field, content) for field, content in page.items()], cursor or None
    found = [_Value(name, kind, at + place, content) for place, content in enumerate(answer)]
    return found, at + PAGE if len(answer) == PAGE else None


def _escaped(text: str) -> str:
    """A text as a pattern that matches nothing else."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)
