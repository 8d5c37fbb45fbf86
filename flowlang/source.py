"""Text with places: a file's content, and spans that say where in it something is written.

Offsets count code points from the start of the text, as Python strings do. Lines and columns are for people and begin
at 1. How a place is shown (excerpt, caret, colour) is the business of `flowlang.diagnostics`.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field

_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of a file.

    Args:
        path: The file, as it is to be shown.
        start: Offset of the first code point.
        end: Offset behind the last one.
        line: Line of `start`, from 1.
        column: Column of `start` in code points, from 1.
        end_line: Line of `end`.
        end_column: Column of `end`: behind the last code point.
    """

    path: str
    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's path and content.

    Args:
        path: The file, as it is to be shown; it need not exist.
        text: The content, decoded.
    """

    path: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find where the lines begin."""
        starts = (0, *(match.end() for match in _BREAK.finditer(self.text)))
        object.__setattr__(self, "_starts", starts)

    @property
    def line_count(self) -> int:
        """Number of lines; an empty text has one."""
        return len(self._starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1; offsets outside the text are moved to its nearer end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_start(self, line: int) -> int:
        """Offset of the first code point of a line, counted from 1."""
        return self._starts[line - 1]

    def line_text(self, line: int) -> str:
        """A line without its line break.

        Args:
            line: From 1 to `line_count`.

        Raises:
            IndexError: when there is no such line.
        """
        if not 1 <= line <= len(self._starts):
            raise IndexError(f"line {line} of {len(self._starts)}")
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        return self.text[self._starts[line - 1] : end].rstrip("\r\n")

    def span(self, start: int, end: int) -> Span:
        """The span between two offsets; they are moved into the text and put in order.

        Args:
            start: Offset of the first code point.
            end: Offset behind the last one.
        """
        start = min(max(start, 0), len(self.text))
        end = min(max(end, start), len(self.text))
        line, column = self.position(start)
        end_line, end_column = self.position(end)
        return Span(self.path, start, end, line, column, end_line, end_column)

    def excerpt(self, span: Span) -> tuple[tuple[int, str], ...]:
        """The lines that a span touches, each with its number."""
        last = min(max(span.end_line, span.line), self.line_count)
        return tuple((line, self.line_text(line)) for line in range(span.line, last + 1))
