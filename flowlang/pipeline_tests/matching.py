"""Compares what is expected with what was found: of maps only what is written, of lists every item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from flowlang.model import Path

#: Longer values are cut where they stand in a sentence.
_LONGEST: Final = 200

#: Stands for a value that is not there.
NOTHING: Final = object()


class Difference(NamedTuple):
    """One difference.

    Attributes:
        path: Keys and indices to it, from the values that were compared.
        message: What was expected and what was found.
        expected: The part that was expected.
        found: The part that was found, or `NOTHING`.
    """

    path: Path
    message: str
    expected: Any
    found: Any


def differences(expected: Any, found: Any, path: Path = ()) -> Iterator[Difference]:
    """What differs.

    Args:
        expected: JSON data; a map may leave out keys of what is found.
        found: JSON data, or `NOTHING`.
        path: To what is compared.
    """
    if found is NOTHING:
        yield Difference(path, f"expected {shown(expected)}, found nothing", expected, found)
    elif isinstance(expected, Mapping) and isinstance(found, Mapping):
        for key, value in expected.items():
            if key in found:
                yield from differences(value, found[key], (*path, key))
            else:
                has = f"; it has {', '.join(map(str, found))}" if found else "; it is empty"
                message = f"expected {shown(value)}, found no `{key}`{has}"
                yield Difference((*path, key), message, value, NOTHING)
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple):
        if len(expected) != len(found):
            message = f"expected {_items(expected)}, found {len(found)}: {shown(list(found))}"
            yield Difference(path, message, list(expected), list(found))
            return
        for index, (left, right) in enumerate(zip(expected, found, strict=True)):
            yield from differences(left, right, (*path, index))
    elif not equal(expected, found):
        yield Difference(path, f"expected {shown(expected)}, found {shown(found)}", expected, found)


def fits(expected: Any, found: Any) -> bool:
    """Whether there is no difference."""
    return next(differences(expected, found), None) is None


def equal(left: Any, right: Any) -> bool:
    """Whether two scalars are the same JSON value: `1` and `1.0` are, `1` and `true` are not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    comparable = type(left) is type(right) or (_is_number(left) and _is_number(right))
    return comparable and bool(left == right)


def shown(value: Any) -> str:
    """A value in a sentence: as JSON, cut when it is long."""
    if value is NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _items(value: Any) -> str:
    return f"{len(value)} item" if len(value) == 1 else f"{len(value)} items"
