"""The excerpt of a finding: the user's own line with a caret under the place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flowlang.diagnostics.finding import Severity
from flowlang.diagnostics.paint import Paint, printable, width
from flowlang.source import SourceText, Span

#: Longer lines are cut to a window of so many code points around the place.
_LINE_WIDTH: Final = 140


def excerpt_lines(
    span: Span,
    message: str,
    sources: Mapping[str, SourceText],
    *,
    gutter: int,
    mark: str,
    severity: Severity | None,
    paint: Paint,
) -> list[str]:
    """The line of a place, framed by a gutter, with marks under the place and a few words beside them.

    Args:
        span: The place; of more than one line the first is shown.
        message: The words beside the marks, or an empty text.
        sources: Path → content.
        gutter: Digits of the longest line number of the finding.
        mark: `^` for the first place, `-` for others.
        severity: Whose colour the marks have; None for labels.
        paint: Colours.

    Returns:
        Output lines; none when the file's content is not known.
    """
    source = sources.get(span.path)
    if source is None or span.line > source.line_count:
        return []
    text = source.line_text(span.line)
    first = min(span.column - 1, len(text))
    last = min(span.end_column - 1, len(text)) if span.end_line == span.line else len(text)
    text, first, last = _window(text.replace("\t", " "), first, max(last, first))
    shown = printable(text)
    marks = mark * max(width(shown[first:last]), 1)
    words = f" {printable(message)}" if message else ""
    bar = paint.dim("|")
    number = paint.dim(f"{span.line:>{gutter}}")
    return [
        f"{' ' * gutter} {bar}",
        f"{number} {bar} {shown}".rstrip(),
        f"{' ' * gutter} {bar} {' ' * width(shown[:first])}{paint.severity(severity, marks + words)}",
    ]


def _window(text: str, first: int, last: int) -> tuple[str, int, int]:
    """Cut a long line to a window around the marks."""
    if len(text) <= _LINE_WIDTH:
        return text, first, last
    begin = max(min(first - _LINE_WIDTH // 3, len(text) - _LINE_WIDTH), 0)
    end = begin + _LINE_WIDTH
    head = "…" if begin else ""
    tail = "…" if end < len(text) else ""
    shift = len(head) - begin
    return head + text[begin:end] + tail, first + shift, min(last, end) + shift
