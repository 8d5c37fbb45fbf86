"""Where in a JSON text a value is written: for findings, so only texts that have one are walked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

Path = tuple[str | int, ...]

_BLANKS = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ATOM = re.compile(r"[^\s,\]}]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a text.

    Attributes:
        path: Keys and indices that lead to it.
        start: Offset of its first code point.
        end: Offset behind its last.
        key: Offsets of its key with the quotes; None of an item and of the whole.
    """

    path: Path
    start: int
    end: int
    key: tuple[int, int] | None = None


def places(text: str) -> Iterator[Place]:
    """Walk the values of a text that a JSON parser takes, in the order in which they end.

    Objects may have a key twice. What is nested deeper than Python's stack is not walked to its end.
    """
    try:
        _, found = _value(text, _BLANKS.match(text, 0).end(), (), None)  # type: ignore[union-attr]
    except (RecursionError, AttributeError, IndexError):  # deeper than any schema, or no JSON
        return
    yield from found


def place_of(text: str, path: Path) -> tuple[int, int]:
    """The offsets to show for a path: of the value where it is a text or number, else of its key.

    Args:
        text: JSON.
        path: Keys and indices from the root; where it leads nowhere, the last value on the way counts.
    """
    by_path = {place.path: place for place in places(text)}
    while path and path not in by_path:
        path = path[:-1]
    place = by_path.get(path)
    if place is None:
        return 0, 0
    if text[place.start] in "{[":
        return place.key or (place.start, place.start + 1)
    return place.start, place.end


def repeated_key(text: str) -> tuple[tuple[int, int], tuple[int, int], str] | None:
    """The first key that its object has twice: where it is repeated, where it was first, and the key."""
    first: dict[Path, tuple[int, int]] = {}
    repeated = []
    for place in sorted(places(text), key=lambda place: place.start):
        if place.key is None:
            continue
        earlier = first.setdefault(place.path, place.key)
        if earlier != place.key:
            repeated.append((place.key, earlier, str(place.path[-1])))
    return repeated[0] if repeated else None


def _value(text: str, at: int, path: Path, key: tuple[int, int] | None) -> tuple[int, list[Place]]:
    """Walk one value. Returns the offset behind it and the places in it, itself last."""
    found: list[Place] = []
    if text[at] == "{":
        end = _members(text, at, path, found)
    elif text[at] == "[":
        end = _items(text, at, path, found)
    else:
        end = _end(_STRING if text[at] == '"' else _ATOM, text, at)
    found.append(Place(path, at, end, key))
    return end, found


def _members(text: str, at: int, path: Path, found: list[Place]) -> int:
    at = _end(_BLANKS, text, at + 1)
    while text[at] != "}":
        key = (at, _end(_STRING, text, at))
        name = json.loads(text[key[0] : key[1]])
        colon = _end(_BLANKS, text, key[1])
        at, inner = _value(text, _end(_BLANKS, text, colon + 1), (*path, name), key)
        found += inner
        at = _next(text, at)
    return at + 1


def _items(text: str, at: int, path: Path, found: list[Place]) -> int:
    at = _end(_BLANKS, text, at + 1)
    index = 0
    while text[at] != "]":
        at, inner = _value(text, at, (*path, index), None)
        found += inner
        index += 1
        at = _next(text, at)
    return at + 1


def _next(text: str, at: int) -> int:
    """The offset of the next member, or of the bracket that closes."""
    at = _end(_BLANKS, text, at)
    return _end(_BLANKS, text, at + 1) if text[at] == "," else at


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    if match is None:
        raise IndexError(at)
    return match.end()
