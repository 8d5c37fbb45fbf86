"""Findings as text with excerpts, as one line each, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from flowlang.diagnostics.codes import CODES
from flowlang.diagnostics.excerpt import excerpt_lines
from flowlang.diagnostics.finding import Diagnostic, Severity, sorted_diagnostics
from flowlang.diagnostics.paint import Paint, printable
from flowlang.source import SourceText, Span

#: Version of the JSON form; raised when a field changes its meaning or goes away.
SCHEMA_VERSION: Final = 1


class Format(StrEnum):
    """How findings are shown."""

    TEXT = "text"  #: with excerpt, caret and hint
    CONCISE = "concise"  #: one line each, `path:line:column: …`
    JSON = "json"  #: for programs


def render(
    diagnostics: Iterable[Diagnostic],
    sources: Mapping[str, SourceText],
    *,
    output_format: Format = Format.TEXT,
    color: bool = False,
    files: int | None = None,
) -> str:
    """Write findings, sorted by file and place, closed by a line that counts them.

    Args:
        diagnostics: The findings of all files.
        sources: Path → content, for the excerpts; a finding in a file that is not there is shown without one.
        output_format: Text, one line each, or JSON (whose counts are fields, not a line).
        color: Whether to colour with ANSI sequences; JSON never is.
        files: How many files were checked; by default, the number of `sources`.

    Returns:
        The whole output, ending with a line break.
    """
    found = sorted_diagnostics(diagnostics)
    checked = len(sources) if files is None else files
    if output_format is Format.JSON:
        return json.dumps(_document(found, checked), indent=2, ensure_ascii=False) + "\n"
    paint = Paint(on=color)
    if output_format is Format.CONCISE:
        lines = [_concise(item, paint) for item in found]
    else:
        lines = [line for item in found for line in (*_block(item, sources, paint), "")]
    return "\n".join([*lines, count_line(found, checked)]) + "\n"


def count_line(diagnostics: Iterable[Diagnostic], files: int) -> str:
    """The closing line, such as `2 errors, 1 warning in 3 files`."""
    counts = _counts(diagnostics)
    named = [_plural(counts[severity], severity.value) for severity in Severity if counts[severity]]
    return f"{', '.join(named) or 'no findings'} in {_plural(files, 'file')}"


def _counts(diagnostics: Iterable[Diagnostic]) -> dict[Severity, int]:
    counts = dict.fromkeys(Severity, 0)
    for item in diagnostics:
        counts[item.severity] += 1
    return counts


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 or noun == "info" else f"{count} {noun}s"


def _concise(item: Diagnostic, paint: Paint) -> str:
    place = f"{printable(item.span.path)}:{item.span.line}:{item.span.column}"
    hint = f" ({printable(item.hint)})" if item.hint else ""
    head = paint.severity(item.severity, item.severity.value)
    return f"{place}: {head}: {printable(item.message)}{hint} [{item.code}]"


def _block(item: Diagnostic, sources: Mapping[str, SourceText], paint: Paint) -> list[str]:
    """A finding as rustc writes them: head, place, excerpts with carets, hint."""
    gutter = len(str(max([item.span.line, *(label.span.line for label in item.labels)])))
    pad = " " * gutter
    head = paint.severity(item.severity, f"{item.severity.value}[{item.code}]")
    lines = [f"{head}: {paint.bold(printable(item.message))}", f"{pad}{paint.dim('-->')} {_place(item.span)}"]
    shown = excerpt_lines(item.span, item.caret, sources, gutter=gutter, mark="^", severity=item.severity, paint=paint)
    for label in item.labels:
        if label.span.path != item.span.path:
            shown.append(f"{pad}{paint.dim(':::')} {_place(label.span)}")
        shown += excerpt_lines(label.span, label.message, sources, gutter=gutter, mark="-", severity=None, paint=paint)
    lines += shown
    if item.hint:
        lines += [f"{pad} {paint.dim('|')}"] if shown else []
        first, *more = printable(item.hint, keep_breaks=True).split("\n")
        lines.append(f"{pad} {paint.dim('=')} {paint.bold('help')}: {first}")
        lines += [f"{pad}         {line}" for line in more]
    return lines


def _place(span: Span) -> str:
    return f"{printable(span.path)}:{span.line}:{span.column}"


def _document(found: list[Diagnostic], files: int) -> dict[str, Any]:
    counts = _counts(found)
    return {
        "schema_version": SCHEMA_VERSION,
        "diagnostics": [_entry(item) for item in found],
        "summary": {"files": files, **{f"{severity.value}s": counts[severity] for severity in Severity}},
    }


def _entry(item: Diagnostic) -> dict[str, Any]:
    return {
        "code": item.code,
        "slug": CODES[item.code].slug,
        "severity": item.severity.value,
        "message": item.message,
        "hint": item.hint,
        **_range(item.span),
        "labels": [{"message": label.message, **_range(label.span)} for label in item.labels],
    }


def _range(span: Span) -> dict[str, Any]:
    return {
        "path": span.path,
        "start": {"offset": span.start, "line": span.line, "column": span.column},
        "end": {"offset": span.end, "line": span.end_line, "column": span.end_column},
    }
