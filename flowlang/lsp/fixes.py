"""Quick fixes: what a finding's hint says to write, as an edit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flowlang.diagnostics import Diagnostic
from flowlang.lsp.opened import OpenProject
from flowlang.source import SourceText, Span

_MEANT: Final = re.compile(r"did you mean `([^`]+)`\?")
_WHOLE: Final = re.compile(r"`((?:[\w-]+: |- ).+)`", re.DOTALL)
_WRITE: Final = re.compile(r"(?:such as|write|quote it:) `([^`]+)`")

#: Codes whose hint is the whole line `key: value` that was meant.
_QUOTED: Final = frozenset({"FL015", "FL016", "FL017", "FL018", "FL019", "FL022", "FL023"})

#: Codes whose hint names what to write in the place of what is marked.
_REPLACED: Final = frozenset({"FL014", "FL105", "FL113", "FL118", "FL103"})


@dataclass(frozen=True, slots=True)
class Fix:
    """An edit that cures a finding.

    Attributes:
        title: What it does.
        span: What is replaced.
        text: By what.
        creates: Path of a file that is made with `text` in it instead.
    """

    title: str
    span: Span
    text: str
    creates: str | None = None


def fixes(project: OpenProject, finding: Diagnostic) -> list[Fix]:
    """The edits that would cure a finding.

    Args:
        project: The project, for the texts of its files.
        finding: One of its findings.
    """
    if finding.code == "FL304" and finding.hint is not None:
        return _schema(finding)
    if finding.hint is None:
        return []
    source = SourceText(finding.span.path, project.text(finding.span.path))
    meant = _MEANT.fullmatch(finding.hint)
    if meant is not None:
        written = source.text[finding.span.start : finding.span.end]
        text = _in_quotes(written, meant[1])
        return [Fix(f"Change to `{meant[1]}`", finding.span, text)]
    whole = _WHOLE.fullmatch(finding.hint)
    if finding.code in _QUOTED and whole is not None:
        return _line(source, finding, whole[1])
    write = _WRITE.search(finding.hint)
    if finding.code in _REPLACED and write is not None:
        return [Fix(f"Write `{write[1]}`", finding.span, write[1])]
    return []


def _in_quotes(written: str, text: str) -> str:
    quote = written[:1] if written[:1] in {'"', "'"} and written[-1:] == written[:1] else ""
    return f"{quote}{text}{quote}"


def _line(source: SourceText, finding: Diagnostic, corrected: str) -> list[Fix]:
    """Write a key's value as the hint has it: from the key to the end of the line."""
    line = source.line_text(finding.span.line)
    start = source.line_start(finding.span.line)
    key = corrected.partition(" ")[0]
    at = line.find(f"{key} ")
    if at < 0 or ("{" in line[:at] and not key.startswith("-")):
        return []  # inside `{…}` the line goes on behind the value
    return [Fix(f"Write `{corrected}`", source.span(start + at, start + len(line)), corrected)]


def _schema(finding: Diagnostic) -> list[Fix]:
    named = re.search(r"`(schemas/events/[^`]+\.json)`", finding.hint or "")
    if named is None:
        return []
    text = (
        '{\n  "$schema": "https://json-schema.org/draft/2020-12/schema",\n  "type": "object",\n  "properties": {}\n}\n'
    )
    return [Fix(f"Create `{named[1]}`", finding.span, text, creates=named[1])]
