"""How a text is written as a YAML scalar on one line, for the corrections that findings propose."""

from __future__ import annotations


def quoted(text: str) -> str:
    """A text as a quoted YAML scalar on one line, in the quotes that need no escapes where there are such."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"
