"""What is wrong with a project's handlers, as findings in their files."""

from __future__ import annotations

from collections.abc import Iterable

from flowlang.diagnostics import Diagnostic, Label
from flowlang.project.files import ProjectFiles
from flowlang.project.signatures import SignatureProblem
from flowlang.source import SourceText, Span


def handler_findings(problems: Iterable[SignatureProblem], files: ProjectFiles) -> list[Diagnostic]:
    """Make findings of problems.

    Args:
        problems: As `read_signatures` gives them.
        files: Of the project, for excerpts. Files of installed packages are named, and not shown.
    """
    found = []
    for problem in problems:
        span = _span(files, problem.path, problem.line, problem.column)
        if problem.first is None:
            found.append(Diagnostic("FL407", problem.message, span, hint=None))
            continue
        first = _span(files, problem.first.path, problem.first.line, problem.first.column)
        found.append(Diagnostic("FL404", problem.message, span, labels=(Label(first, "the first one"),)))
    return found


def _span(files: ProjectFiles, path: str, line: int, column: int) -> Span:
    """The place, to the end of the line's first word; a place of its own where the file is not ours."""
    source = files.sources.get(path)
    if source is None or not 1 <= line <= source.line_count:
        line, column = max(line, 1), max(column, 1)
        return Span(path, 0, 0, line, column, line, column)
    return _word(source, line, column)


def _word(source: SourceText, line: int, column: int) -> Span:
    text = source.line_text(line)
    at = min(max(column, 1) - 1, len(text))
    end = at + 1
    while end < len(text) and (text[end].isalnum() or text[end] in "_."):
        end += 1
    start = source.line_start(line)
    return source.span(start + at, start + end)
