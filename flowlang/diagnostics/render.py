"""Shows findings: the one way in to all formats, and the two that are read in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from importlib import import_module
from typing import Final

from flowlang.diagnostics.excerpt import excerpt_lines
from flowlang.diagnostics.finding import Diagnostic, sorted_diagnostics
from flowlang.diagnostics.paint import Paint, printable
from flowlang.diagnostics.report import Report, Suppressed, count_line
from flowlang.source import SourceText, Span


class Format(StrEnum):
    """How findings are shown."""

    TEXT = "text"  #: with excerpt, caret and hint
    CONCISE = "concise"  #: one line each, `path:line:column: …`
    JSON = "json"  #: for programs
    SARIF = "sarif"  #: for code hosts and editors
    GITHUB = "github"  #: annotations of a GitHub Action
    GITLAB = "gitlab"  #: a Code Quality report of GitLab
    JUNIT = "junit"  #: a report of tests, for CI servers
    MARKDOWN = "markdown"  #: a table, for summaries and comments


#: The formats that people read in a terminal; the others are written by the modules of `formats`.
_TERMINAL: Final = frozenset({Format.TEXT, Format.CONCISE})


def render(
    diagnostics: Iterable[Diagnostic],
    sources: Mapping[str, SourceText],
    *,
    output_format: Format = Format.TEXT,
    color: bool = False,
    files: int | None = None,
    suppressed: Iterable[Suppressed] = (),
    prefix: str = "",
    version: str = "0",
) -> str:
    """Write findings, sorted by file and place, closed by a line that counts them where people read it.

    Args:
        diagnostics: The findings of all files.
        sources: Path → content, for the excerpts; a finding in a file that is not there is shown without one.
        output_format: Which form.
        color: Whether to colour with ANSI sequences; only text and single lines ever are.
        files: How many files were checked; by default, the number of `sources`.
        suppressed: Findings that are left out.
        prefix: What leads from the root of the repository to the project, for formats that name files to a code host.
        version: Of FlowLang, for formats that name their maker.

    Returns:
        The whole output, ending with a line break.
    """
    found = sorted_diagnostics(diagnostics)
    checked = len(sources) if files is None else files
    ignored = tuple(suppressed)
    if output_format not in _TERMINAL:
        write: Callable[[Report], str] = import_module(f"flowlang.diagnostics.formats.{output_format.value}").write
        return write(Report(tuple(found), sources, checked, ignored, prefix, version))
    paint = Paint(on=color)
    if output_format is Format.CONCISE:
        lines = [_concise(item, paint) for item in found]
    else:
        lines = [line for item in found for line in (*_block(item, sources, paint), "")]
    return "\n".join([*lines, count_line(found, checked, len(ignored))]) + "\n"


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
