"""Texts and JSON data without what must not be shown: the one mechanism behind logs, errors, views and traces.

Owns how a value may be spelled in a text, and what stands in its place. Which values are meant is said by others: a
process's secrets by `handler.env`, marked fields of a run's data by `engine.marks`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

#: Stands where something was hidden.
HIDDEN: Final = "***"

#: Shorter values are looked for as whole values only: in a text they would be found everywhere.
SHORTEST: Final = 4

#: Of more values texts are not searched, which would take long: they are hidden as a whole.
MOST: Final = 2_000

_BASE64_LEAST: Final = 8  #: characters of a part of base64 that are worth looking for


def spellings(value: str) -> tuple[str, ...]:
    """How a value may stand in a text: as it is, in a URL, in JSON, in Python's `repr`, and in base64."""
    raw = value.encode("utf-8", "surrogatepass")
    plain = quote(raw, safe=""), quote(raw), quote_plus(raw)
    escaped = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]
    found = (value, *plain, *(text.lower() for text in plain if text != value), *escaped, *_in_base64(raw))
    return tuple(dict.fromkeys(found))


def _in_base64(raw: bytes) -> Iterator[str]:
    """The value encoded by itself, and the part of it that does not change with what stands before and behind it."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        for before in (1, 2):
            text = encode(bytes(before) + raw).decode().rstrip("=")
            inner = text[before + 1 : len(text) - ((before + len(raw)) % 3 > 0)]
            if len(inner) >= _BASE64_LEAST:
                yield inner


class Mask:
    """Replaces values in texts and data. Immutable.

    Args:
        values: Texts and numbers that must not be shown. Those of fewer than four characters are hidden where they
            stand alone.
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        self._values: frozenset[str | int | float] = frozenset(
            value for value in values if isinstance(value, str | int | float) and not isinstance(value, bool)
        )

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, value: object) -> bool:
        return value in self._values

    def __or__(self, other: Mask) -> Mask:
        if isinstance(other, _All) or not self:
            return other
        if not other:
            return self
        return Mask(self._values | other._values)

    def text(self, text: str) -> str:
        """The text with each spelling of each value replaced."""
        if not self._values:
            return text
        if text in self._values:
            return HIDDEN
        if len(self._values) > MOST:
            return HIDDEN if len(text) >= SHORTEST else text
        pattern = _pattern(self._values)
        return text if pattern is None else pattern.sub(HIDDEN, text)

    def tree(self, value: Any) -> Any:
        """JSON data with all values replaced, in keys too."""
        if not self._values:
            return value
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case int() | float():
                return HIDDEN if value in self._values and len(str(value)) >= SHORTEST else value
            case Mapping():
                return {self.text(key) if isinstance(key, str) else key: self.tree(part) for key, part in value.items()}
            case list() | tuple():
                return [self.tree(part) for part in value]
            case _:
                return value


class _All(Mask):
    """Hides everything: for when it cannot be told what must be hidden."""

    def __bool__(self) -> bool:
        return True

    def __or__(self, other: Mask) -> Mask:
        return self

    def text(self, text: str) -> str:
        """Nothing of it."""
        del text
        return HIDDEN

    def tree(self, value: Any) -> Any:
        """Nothing of it, but its form."""
        match value:
            case Mapping():
                return {name: self.tree(part) for name, part in value.items()}
            case list() | tuple():
                return [self.tree(part) for part in value]
            case _:
                return None if value is None else HIDDEN


#: Hides everything.
HIDE_ALL: Final[Mask] = _All()


@lru_cache(maxsize=64)  # the attempts of a run hide the same
def _pattern(values: frozenset[str | int | float]) -> re.Pattern[str] | None:
    """What finds each spelling of each value in a text."""
    parts: set[str] = set()
    for value in values:
        text = value if isinstance(value, str) else str(value)
        if len(text) < SHORTEST:
            continue
        if isinstance(value, str):
            parts.update(re.escape(spelling) for spelling in spellings(value))
        else:
            parts.add(rf"(?<![\d.]){re.escape(text)}(?![\d.]*\d)")
            parts.update(map(re.escape, _in_base64(text.encode())))
    return re.compile("|".join(sorted(parts, key=len, reverse=True))) if parts else None


class KnownSecrets:
    """The secrets that a process has handed out, so that whatever it writes can be cleaned of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mask = Mask()

    @property
    def mask(self) -> Mask:
        """Hides them all."""
        return self._mask

    def add(self, value: str) -> None:
        """Remember one; an empty one hides nothing."""
        if not value or value in self._mask:
            return
        with self._lock:
            self._mask |= Mask([value])


#: Those of this process: what it logs is cleaned of them, whoever read them.
SECRETS: Final = KnownSecrets()

#: What makes a mask when something is to be shown, which most of the time nothing is.
LazyMask = Callable[[], Mask]
