"""From an offset in a scalar's value to the place in the file where that character is written.

Each style of scalar is decoded again, this time with offsets: line folding, indentation and escapes make value and
file differ. The result is compared with the parser's value; where the two disagree (exotic line breaks), every offset
leads to the scalar as a whole, which is never wrong, only less exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")
_BLANK: Final = " \t"
_ESCAPES: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
_HEX_LENGTHS: Final = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Piece:
    """One character of a value and the stretch of the file that it was written as."""

    char: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a scalar, in file offsets, without its break."""

    start: int
    end: int


def map_offsets(text: str, start: int, end: int, style: str, value: str) -> tuple[tuple[int, int], ...] | None:
    """Where each character of a value is written.

    Args:
        text: The file.
        start: Offset of the scalar, quotes and block header included.
        end: Offset behind it.
        style: `""` for plain, or one of `' " | >`.
        value: What the parser made of it.

    Returns:
        (start, end) in the file for each character of the value; None when the scalar cannot be followed.
    """
    if style == "" and text[start:end] == value:
        return tuple((offset, offset + 1) for offset in range(start, end))
    pieces = _DECODERS[style](text, start, end, value)
    if "".join(piece.char for piece in pieces) != value:
        return None
    return tuple((piece.start, piece.end) for piece in pieces)


def _lines(text: str, start: int, end: int) -> list[_Line]:
    lines: list[_Line] = []
    position = start
    for match in _BREAK.finditer(text, start, end):
        lines.append(_Line(position, match.start()))
        position = match.end()
    return [*lines, _Line(position, end)]


def _literally(text: str, start: int, end: int) -> Iterator[Piece]:
    for offset in range(start, end):
        yield Piece(text[offset], offset, offset + 1)


def _flow(text: str, start: int, end: int, decode: Callable[[str, int, int], list[Piece]]) -> list[Piece]:
    """Plain and quoted scalars: blanks around a line break go, one break is a space, each further one a newline."""
    pieces: list[Piece] = []
    lines = _lines(text, start, end)
    blank_lines: list[_Line] = []
    continued = True
    for number, line in enumerate(lines):
        first, last = _trimmed(text, line, at_start=number > 0, at_end=number < len(lines) - 1)
        if decode is _decode_double and last < line.end and _escaped(text, first, last):
            last += 1  # a blank behind a backslash is content
        if first >= last and 0 < number < len(lines) - 1:
            blank_lines.append(line)
            continue
        if number > 0:
            pieces += _fold(lines[number - 1], line, blank_lines, continued=continued)
            blank_lines = []
        content = decode(text, first, last)
        continued = not (content and content[-1].char == "")
        pieces += content if continued else content[:-1]
    return pieces


def _fold(before: _Line, line: _Line, blank_lines: list[_Line], *, continued: bool) -> list[Piece]:
    """What the break between two lines becomes."""
    if blank_lines:
        return [Piece("\n", blank.start, max(blank.end, blank.start)) for blank in blank_lines]
    return [Piece(" ", before.end, line.start)] if continued else []


def _trimmed(text: str, line: _Line, *, at_start: bool, at_end: bool) -> tuple[int, int]:
    first, last = line.start, line.end
    while at_start and first < last and text[first] in _BLANK:
        first += 1
    while at_end and first < last and text[last - 1] in _BLANK:
        last -= 1
    return first, last


def _escaped(text: str, first: int, offset: int) -> bool:
    """Whether an odd number of backslashes stands before an offset."""
    count = 0
    while offset - 1 - count >= first and text[offset - 1 - count] == "\\":
        count += 1
    return count % 2 == 1


def _plain(text: str, start: int, end: int, _value: str) -> list[Piece]:
    return _flow(text, start, end, lambda text, first, last: list(_literally(text, first, last)))


def _single_quoted(text: str, start: int, end: int, _value: str) -> list[Piece]:
    return _flow(text, start + 1, end - 1, _decode_single)


def _decode_single(text: str, first: int, last: int) -> list[Piece]:
    pieces: list[Piece] = []
    while first < last:
        step = 2 if text.startswith("''", first) else 1
        pieces.append(Piece(text[first], first, first + step))
        first += step
    return pieces


def _double_quoted(text: str, start: int, end: int, _value: str) -> list[Piece]:
    return _flow(text, start + 1, end - 1, _decode_double)


def _decode_double(text: str, first: int, last: int) -> list[Piece]:
    """Characters and escapes of a line; an empty piece at the end stands for a backslash before the line break."""
    pieces: list[Piece] = []
    while first < last:
        char, length = text[first], 1
        if char == "\\" and first + 1 == last:
            char = ""
        elif char == "\\":
            char, length = _escape(text, first, last)
        pieces.append(Piece(char, first, first + length))
        first += length
    return pieces


def _escape(text: str, first: int, last: int) -> tuple[str, int]:
    letter = text[first + 1]
    if letter not in _HEX_LENGTHS:
        return _ESCAPES.get(letter, letter), 2
    length = 2 + _HEX_LENGTHS[letter]
    digits = text[first + 2 : min(first + length, last)]
    try:
        return chr(int(digits, 16)), length
    except (ValueError, OverflowError):  # the parser has refused it; the comparison of values then fails
        return "", length


def _block(text: str, start: int, end: int, value: str) -> tuple[list[_Line], int]:
    """Content lines of a block scalar and its indentation.

    The indentation is told by the first line that is not blank: its spaces in the file, less those in the value. Lines
    of blanks may follow the shown end of the scalar and belong to the value all the same.
    """
    in_value = next((line for line in value.split("\n") if line.strip(" ")), "")
    header, *lines = _lines(text, start, end)
    in_file = next((text[line.start : line.end] for line in lines if text[line.start : line.end].strip(" ")), "")
    indent = max(_spaces(in_file) - _spaces(in_value), 0) if in_value else len(text)
    position = (lines[-1] if lines else header).end
    while (match := _BREAK.match(text, position)) is not None:
        after = _BREAK.search(text, match.end())
        position = after.start() if after else len(text)
        if text[match.end() : position].strip(" "):
            break
        lines.append(_Line(match.end(), position))
    return lines, indent


def _spaces(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _literal(text: str, start: int, end: int, value: str) -> list[Piece]:
    lines, indent = _block(text, start, end, value)
    pieces: list[Piece] = []
    for line in lines:
        pieces += _literally(text, min(line.start + indent, line.end), line.end)
        pieces.append(Piece("\n", line.end, line.end + 1))
    return _chomped(pieces, value, end)


def _folded(text: str, start: int, end: int, value: str) -> list[Piece]:
    """A break between two lines that do not begin with a blank is a space; blank lines are newlines."""
    lines, indent = _block(text, start, end, value)
    pieces: list[Piece] = []
    pending: Piece | None = None
    blanks: list[Piece] = []
    was_indented = False
    for line in lines:
        first = min(line.start + indent, line.end)
        newline = Piece("\n", line.end, line.end + 1)
        if first == line.end:
            blanks.append(newline)
            continue
        is_indented = text[first] in _BLANK
        if pending is not None:
            folds = not was_indented and not is_indented
            pieces += [] if folds and blanks else [Piece(" " if folds else "\n", pending.start, pending.end)]
        pieces += blanks
        pieces += _literally(text, first, line.end)
        pending, blanks, was_indented = newline, [], is_indented
    return _chomped([*pieces, *([pending] if pending else []), *blanks], value, end)


def _chomped(pieces: list[Piece], value: str, end: int) -> list[Piece]:
    """Newlines at the end, as many as the value has: clipping and keeping are the parser's decision."""
    content = list(pieces)
    while content and content[-1].char == "\n":
        content.pop()
    ends = pieces[len(content) :]
    wanted = len(value) - len(value.rstrip("\n"))
    filler = [Piece("\n", end, end)] * wanted
    return content + (ends + filler)[:wanted]


_DECODERS: Final[dict[str, Callable[[str, int, int, str], list[Piece]]]] = {
    "": _plain,
    "'": _single_quoted,
    '"': _double_quoted,
    "|": _literal,
    ">": _folded,
}
