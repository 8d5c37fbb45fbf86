"""What a terminal is shown: colours on request, and no control characters of somebody else's file."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from flowlang.diagnostics.finding import Severity

_COLORS: Final = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}


@dataclass(frozen=True, slots=True)
class Paint:
    """Wraps texts in ANSI sequences, or leaves them as they are.

    Args:
        on: Whether colours are wanted.
    """

    on: bool

    def severity(self, severity: Severity | None, text: str) -> str:
        """In the colour of a severity; None is the colour of labels."""
        return self._wrap(text, f"1;{_COLORS[severity]}" if severity else "1;34")

    def bold(self, text: str) -> str:
        """What is to be read first."""
        return self._wrap(text, "1")

    def dim(self, text: str) -> str:
        """Frame and gutter."""
        return self._wrap(text, "34")

    def _wrap(self, text: str, sequence: str) -> str:
        return f"\x1b[{sequence}m{text}\x1b[0m" if self.on and text else text


def printable(text: str, *, keep_breaks: bool = False) -> str:
    """A text that a terminal cannot be steered with: control and format characters become `�`.

    Args:
        text: Anything, such as a part of a user's file.
        keep_breaks: Whether line breaks stay.
    """
    return "".join(char if (keep_breaks and char == "\n") or _harmless(char) else "�" for char in text)


def _harmless(char: str) -> bool:
    return unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def width(text: str) -> int:
    """Columns that a printable text takes in a terminal: wide characters two, combining marks none."""
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
