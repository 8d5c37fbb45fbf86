"""What is wrong with a project's handlers, as findings in their files."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from flowlang.diagnostics import Diagnostic, Label, Severity
from flowlang.handler.signature import Signature
from flowlang.project.files import ProjectFiles
from flowlang.project.handler_types import HandlerTypes
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


def with_declarations(diagnostics: Iterable[Diagnostic], files: ProjectFiles) -> list[Diagnostic]:
    """The findings, with the places of declarations found in their files: the compiler knows lines and columns only.

    Args:
        diagnostics: As the compiler gives them.
        files: Of the project.
    """
    return [
        replace(item, labels=tuple(_declaration(label, files) for label in item.labels)) if item.labels else item
        for item in diagnostics
    ]


def _declaration(label: Label, files: ProjectFiles) -> Label:
    span = label.span
    if not span.path.endswith(".py") or span.end:
        return label
    return Label(_span(files, span.path, span.line, span.column), label.message)


def unused_handlers(
    signatures: Mapping[str, Signature], called: Container[str], files: ProjectFiles
) -> list[Diagnostic]:
    """Find handlers of the project that no pipeline calls.

    Args:
        signatures: All that were read.
        called: Names of those that pipelines call.
        files: Of the project; handlers of installed packages are for many projects, and left out.
    """
    own = [one for name, one in sorted(signatures.items()) if name not in called and one.path in files.sources]
    return [
        Diagnostic(
            "FL316",
            f"no pipeline calls the handler `{one.name}`",
            _span(files, one.path, one.line, one.column),
            Severity.INFO,
            "remove it, or call it: `uses: " + one.name + "`",
        )
        for one in own
    ]


def hint_findings(types: HandlerTypes, signatures: Mapping[str, Signature], files: ProjectFiles) -> list[Diagnostic]:
    """Say which hints could not be read: one finding for each reason.

    Args:
        types: As `read_handler_types` gives them.
        signatures: All handlers.
        files: Of the project, for excerpts.
    """
    first: dict[str, list[str]] = {}
    for name, reason in sorted(types.problems.items()):
        first.setdefault(reason, []).append(name)
    found = []
    for reason, names in first.items():
        signature = signatures[names[0]]
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        message = f"the type hints of `{names[0]}`{others} could not be read: {reason}"
        hint = "its calls are checked by name only; importing the file must work without settings and services"
        span = _span(files, signature.path, signature.line, signature.column)
        found.append(Diagnostic("FL408", message, span, Severity.INFO, hint))
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
