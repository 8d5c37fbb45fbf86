"""Offsets in code points, as everything here counts, to and from the lines and characters of the protocol."""

from __future__ import annotations

from enum import StrEnum

from flowlang.source import SourceText


class Encoding(StrEnum):
    """In what a client counts the characters of a line."""

    UTF_8 = "utf-8"
    UTF_16 = "utf-16"
    UTF_32 = "utf-32"


def offset_at(source: SourceText, line: int, character: int, encoding: Encoding) -> int:
    """The offset of a position.

    Args:
        source: The text.
        line: From 0; behind the last line is the end of the text.
        character: Units from the line's beginning; too many are the line's end, and half a character is its beginning.
        encoding: The unit.
    """
    if line >= source.line_count:
        return len(source.text)
    start = source.line_start(line + 1)
    left = character
    for place, char in enumerate(source.line_text(line + 1)):
        left -= _units(char, encoding)
        if left < 0:
            return start + place
    return start + len(source.line_text(line + 1))


def position_at(source: SourceText, offset: int, encoding: Encoding) -> tuple[int, int]:
    """The position of an offset, both from 0.

    Args:
        source: The text.
        offset: In code points; outside the text it is moved to its nearer end.
        encoding: The unit of the character.
    """
    line, column = source.position(offset)
    before = source.text[source.line_start(line) : source.line_start(line) + column - 1]
    return line - 1, sum(_units(char, encoding) for char in before)


def _units(char: str, encoding: Encoding) -> int:
    if encoding is Encoding.UTF_32:
        return 1
    if encoding is Encoding.UTF_16:
        return 2 if ord(char) > 0xFFFF else 1
    return len(char.encode("utf-8", errors="replace"))
