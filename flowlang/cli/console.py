"""What a person or a program is shown: data on stdout, talk on stderr, colours only where they are wanted."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from flowlang.diagnostics.finding import Severity
from flowlang.diagnostics.paint import Paint, printable, width

#: Version of the JSON that commands write; raised when a field changes its meaning or goes away.
SCHEMA_VERSION: Final = 1

#: Longest cell of a table; what is longer is cut, and `--json` has the whole.
_WIDEST: Final = 80

#: Words that tables colour.
_TONES: Final = {
    "failed": Severity.ERROR,
    "timed_out": Severity.ERROR,
    "fail": Severity.ERROR,
    "cancelled": Severity.WARNING,
    "warn": Severity.WARNING,
    "running": Severity.INFO,
    "pending": Severity.INFO,
}


class Console:
    """The two streams of a command.

    Args:
        environ: For `NO_COLOR`, `FORCE_COLOR` and `TERM`.
        color: `auto`, `always` or `never`.
        as_json: Whether data is JSON.
        as_lines: Whether each JSON document stands on one line, as those of a command that goes on do.
    """

    def __init__(
        self, environ: Mapping[str, str], color: str = "auto", *, as_json: bool = False, as_lines: bool = False
    ) -> None:
        self.as_json = as_json
        self.as_lines = as_lines
        self._environ = environ
        self._color = color

    def colors(self, stream: IO[str]) -> bool:
        """Whether a stream is written with colours: a flag wins over the environment, that over the terminal."""
        if self._color != "auto":
            return self._color == "always"
        if self._environ.get("NO_COLOR"):
            return False
        if self._environ.get("FORCE_COLOR", "0") not in {"", "0", "false"}:
            return True
        return self._environ.get("TERM") != "dumb" and stream.isatty()

    @property
    def paint(self) -> Paint:
        """Colours of stdout."""
        return Paint(on=self.colors(sys.stdout) and not self.as_json)

    @property
    def talk_in_color(self) -> bool:
        """Whether stderr is written with colours."""
        return self.colors(sys.stderr)

    @property
    def interactive(self) -> bool:
        """Whether somebody watches: progress may then redraw lines."""
        return sys.stderr.isatty() and self._environ.get("TERM") != "dumb"

    def say(self, text: str) -> None:
        """Talk: what is going on, or what to do next."""
        print(printable(text, keep_breaks=True), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Talk that needs attention."""
        self._labelled("warning", Severity.WARNING, text)

    def fail(self, text: str) -> None:
        """Say why a command cannot do what was asked."""
        self._labelled("error", Severity.ERROR, text)

    def _labelled(self, label: str, severity: Severity, text: str) -> None:
        paint = Paint(on=self.talk_in_color)
        print(f"{paint.severity(severity, label)}: {printable(text, keep_breaks=True)}", file=sys.stderr, flush=True)

    def out(self, text: str) -> None:
        """Write a line of data for people; its parts from elsewhere have passed `printable`."""
        print(text, flush=True)

    def document(self, content: Mapping[str, Any]) -> None:
        """Write data as one JSON document."""
        body = {"schema_version": SCHEMA_VERSION, **content}
        shape: dict[str, Any] = {"separators": (",", ":")} if self.as_lines else {"indent": 2}
        print(json.dumps(body, ensure_ascii=False, **shape), flush=True)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table whose columns are as wide as their widest cell; nothing for no rows."""
        if not rows:
            return
        cells = [[_cell(text) for text in row] for row in rows]
        widths = [max(width(row[at]) for row in [list(headers), *cells]) for at in range(len(headers))]
        self.out(self.paint.bold(_line(headers, widths)))
        for row in cells:
            self.out(_line([self.tone(text) for text in row], widths, row))

    def tone(self, word: str) -> str:
        """A status in its colour; any other word as it is."""
        tone = _TONES.get(word)
        return word if tone is None else self.paint.severity(tone, word)


def _cell(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"


def _line(shown: Sequence[str], widths: Sequence[int], plain: Sequence[str] | None = None) -> str:
    """Join cells, padded by their width without colours."""
    measured = plain or shown
    padded = [text + " " * (wide - width(bare)) for text, bare, wide in zip(shown, measured, widths, strict=True)]
    return "  ".join(padded).rstrip()
