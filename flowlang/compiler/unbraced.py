"""Finds texts that were meant as expressions: a path without braces, and the braces of another tool.

Both are texts that somebody may mean, so they are warnings, and only where the path leads from a name that there is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

_PATH: Final = re.compile(r"([a-z][a-z0-9_]*)(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
_BRACES: Final = re.compile(r"(?<![$]){{\s*(?P<path>([a-z][a-z0-9_]*)\.[^{}]*?)\s*}}")


@dataclass(frozen=True, slots=True)
class Unbraced:
    """A text, or a part of one, that looks like an expression.

    Args:
        code: Of the finding.
        message: What is there.
        hint: What was most likely meant.
        start: Offset of the part.
        end: Offset behind it.
    """

    code: str
    message: str
    hint: str
    start: int
    end: int


def unbraced(text: str, names: Collection[str]) -> Iterator[Unbraced]:
    """Look for expressions in a text that has none.

    Args:
        text: As written, without `${{ }}`.
        names: Root names that could be read there.
    """
    path = _PATH.fullmatch(text.strip())
    if path is not None and path[1] in names:
        at = text.find(path[0])
        message = f"this is the text `{path[0]}`, not what the path leads to"
        yield Unbraced("FL225", message, f"did you mean `${{{{ {path[0]} }}}}`?", at, at + len(path[0]))
    for match in _BRACES.finditer(text):
        if match[2] in names:
            message = "`{{ … }}` without `$` is text like any other"
            yield Unbraced("FL226", message, f"did you mean `${{{{ {match['path']} }}}}`?", match.start(), match.end())
