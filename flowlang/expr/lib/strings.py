"""Texts: parts, positions, splitting and joining. Positions count code points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from flowlang.expr.costs import LIST_PLACE
from flowlang.expr.errors import NO_INDEX, NO_OVERLOAD, EvaluationError
from flowlang.expr.registry import declare
from flowlang.expr.scope import Scope
from flowlang.expr.values import kind_name

_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_UPPER: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
#: Unicode's White_Space, which is not what Python strips.
_SPACES: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_QUOTES: Final = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)


#: Units of a text in a list of texts: its place, and what Python needs around its characters.
_PART: Final = 24


def _checked(place: int, size: int) -> int:
    if 0 <= place <= size:
        return place
    raise EvaluationError(f"position {place} is out of range; the text has {size} characters", NO_INDEX)


@declare(
    "string.charAt(int) -> string",
    doc="Gives the character at a position; behind the last it is empty.",
    examples=("'hello'.charAt(1) == 'e'", "'hello'.charAt(5) == ''"),
)
def _char_at(text: str, place: int) -> str:
    place = _checked(place, len(text))
    return text[place : place + 1]


@declare(
    "string.indexOf(string) -> int",
    doc="Finds where another text first occurs, from a position on; -1 where it does not.",
    examples=("'hello'.indexOf('l') == 2", "'hello'.indexOf('l', 3) == 3", "'hello'.indexOf('z') == -1"),
)
def _index_of(text: str, part: str) -> int:
    return text.find(part)


@declare("string.indexOf(string, int) -> int", doc="", examples=())
def _index_of_from(text: str, part: str, start: int) -> int:
    return text.find(part, _checked(start, len(text)))


@declare(
    "string.lastIndexOf(string) -> int",
    doc="Finds where another text last occurs, up to a position; -1 where it does not.",
    examples=("'hello'.lastIndexOf('l') == 3", "'hello'.lastIndexOf('l', 2) == 2"),
)
def _last_index_of(text: str, part: str) -> int:
    return text.rfind(part)


@declare("string.lastIndexOf(string, int) -> int", doc="", examples=())
def _last_index_of_to(text: str, part: str, last: int) -> int:
    return text.rfind(part, 0, _checked(last, len(text)) + len(part))


@declare(
    "string.lowerAscii() -> string",
    doc="Turns the letters A to Z to small ones.",
    examples=("'AbÇ'.lowerAscii() == 'abÇ'",),
)
def _lower_ascii(text: str) -> str:
    return text.translate(_LOWER)


@declare(
    "string.upperAscii() -> string",
    doc="Turns the letters a to z to capitals.",
    examples=("'abç'.upperAscii() == 'ABç'",),
)
def _upper_ascii(text: str) -> str:
    return text.translate(_UPPER)


@declare(
    "string.replace(string, string) -> string",
    doc="Replaces a text wherever it occurs, or only the first so many times.",
    examples=("'hello'.replace('l', 'L') == 'heLLo'", "'hello'.replace('l', 'L', 1) == 'heLlo'"),
    needs_scope=True,
)
def _replace(scope: Scope, text: str, old: str, new: str) -> str:
    return _replace_some(scope, text, old, new, -1)


@declare("string.replace(string, string, int) -> string", doc="", examples=(), needs_scope=True)
def _replace_some(scope: Scope, text: str, old: str, new: str, count: int) -> str:
    times = text.count(old) if count < 0 else min(count, text.count(old))
    size = len(text) + times * max(len(new) - len(old), 0)
    scope.make_text(size, narrow=text.isascii() and new.isascii())
    return text.replace(old, new, count)


@declare(
    "string.split(string) -> list<string>",
    doc="Cuts the text at a separator, into at most so many parts; an empty separator cuts it into characters.",
    examples=("'a,b,c'.split(',') == ['a', 'b', 'c']", "'a,b,c'.split(',', 2) == ['a', 'b,c']"),
    needs_scope=True,
)
def _split(scope: Scope, text: str, separator: str) -> list[str]:
    return _split_some(scope, text, separator, -1)


@declare("string.split(string, int) -> list<string>", doc="", examples=(), needs_scope=True)
def _split_some(scope: Scope, text: str, separator: str, limit: int) -> list[str]:
    if limit == 0:
        return []
    if limit == 1:
        return [text]
    if separator:
        parts = text.count(separator) + 1
        scope.spend(_PART * (parts if limit < 0 else min(parts, limit)))
        return text.split(separator, limit - 1 if limit > 0 else -1)
    # Python has each ASCII character once, and makes all others.
    scope.spend(len(text) * (LIST_PLACE if text.isascii() else _PART))
    characters = list(text)
    return characters if limit < 0 or len(characters) <= limit else [*characters[: limit - 1], text[limit - 1 :]]


@declare(
    "string.substring(int) -> string",
    doc="Gives the part from a position to the end, or to before another position.",
    examples=("'hello'.substring(2) == 'llo'", "'hello'.substring(1, 3) == 'el'"),
)
def _substring(text: str, start: int) -> str:
    return text[_checked(start, len(text)) :]


@declare("string.substring(int, int) -> string", doc="", examples=())
def _substring_to(text: str, start: int, end: int) -> str:
    size = len(text)
    if _checked(start, size) > _checked(end, size):
        raise EvaluationError(f"the substring would end at {end}, before its start {start}", NO_INDEX)
    return text[start:end]


@declare("string.trim() -> string", doc="Removes white space at both ends.", examples=("'  a b\\n'.trim() == 'a b'",))
def _trim(text: str) -> str:
    return text.strip(_SPACES)


@declare(
    "string.reverse() -> string", doc="Turns the order of the characters round.", examples=("'abc'.reverse() == 'cba'",)
)
def _reverse(text: str) -> str:
    return text[::-1]


@declare(
    "list<string>.join() -> string",
    doc="Joins texts, with a separator between them.",
    examples=("['a', 'b'].join('-') == 'a-b'", "['a', 'b'].join() == 'ab'"),
    needs_scope=True,
)
def _join(scope: Scope, parts: Sequence[Any]) -> str:
    return _join_with(scope, parts, "")


@declare("list<string>.join(string) -> string", doc="", examples=(), needs_scope=True)
def _join_with(scope: Scope, parts: Sequence[Any], separator: str) -> str:
    for part in parts:
        if not isinstance(part, str):
            message = f"`join` joins texts, and one element is {kind_name(part)}; convert with map(x, string(x))"
            raise EvaluationError(message, NO_OVERLOAD)
    size = sum(map(len, parts)) + len(separator) * len(parts)
    scope.make_text(size, narrow=separator.isascii() and all(map(str.isascii, parts)))
    return separator.join(parts)


@declare(
    "strings.quote(string) -> string",
    doc="Writes a text as a literal with double quotes and escapes.",
    examples=("strings.quote('a\"b') == '\"a\\\\\"b\"'",),
)
def _quote(text: str) -> str:
    safe = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return f'"{safe.translate(_QUOTES)}"'
