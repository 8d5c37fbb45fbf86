"""What a rendering of findings begins with: the findings themselves, and what must be known to show them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from flowlang.diagnostics.finding import Diagnostic, Severity
from flowlang.source import SourceText

#: Version of the JSON form; raised when a field changes its meaning or goes away.
SCHEMA_VERSION: Final = 1


class SuppressedBy(StrEnum):
    """What left a finding out."""

    COMMENT = "comment"  #: `# flowlang: ignore[…]`
    BASELINE = "baseline"  #: it was there when the baseline was written


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that is not shown.

    Args:
        diagnostic: The finding.
        by: What left it out.
        reason: Why, in the words of whoever wrote it down; may be empty.
    """

    diagnostic: Diagnostic
    by: SuppressedBy
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """Findings to be shown.

    Args:
        found: The findings, sorted.
        sources: Path → content, for excerpts.
        files: How many files were checked.
        suppressed: The findings that are left out.
        prefix: What leads from the root of the repository to the project, such as `services/mail/`; empty, or with a
            `/` at its end.
        version: Of FlowLang.
    """

    found: tuple[Diagnostic, ...]
    sources: Mapping[str, SourceText] = field(default_factory=dict)
    files: int = 0
    suppressed: tuple[Suppressed, ...] = ()
    prefix: str = ""
    version: str = "0"

    @cached_property
    def fingerprints(self) -> Mapping[Diagnostic, str]:
        """Each finding, and those left out, by a mark that stays when lines are added above it."""
        return fingerprints((*self.found, *(item.diagnostic for item in self.suppressed)), self.sources)

    def path(self, item: Diagnostic) -> str:
        """Where a finding's file lies in the repository."""
        return f"{self.prefix}{item.span.path}"


def fingerprints(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceText]) -> dict[Diagnostic, str]:
    """Marks by which findings are known again in another state of their files.

    A mark is made of code, path and the line's text without its indentation, and of how many like it are above; so it
    stays when lines come and go elsewhere, and changes when the line does.

    Args:
        diagnostics: The findings.
        sources: Path → content.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    marks: dict[Diagnostic, str] = {}
    for item in sorted(diagnostics, key=lambda each: (each.span, each.code, each.message)):
        source = sources.get(item.span.path)
        known = source is not None and item.span.line <= source.line_count
        line = source.line_text(item.span.line).strip() if source is not None and known else ""
        kind = (item.code, item.span.path, line)
        marks[item] = hashlib.sha256("\0".join((*kind, str(seen[kind]))).encode()).hexdigest()[:32]
        seen[kind] += 1
    return marks


def counts(diagnostics: Iterable[Diagnostic]) -> dict[Severity, int]:
    """How many findings there are of each severity."""
    counted = dict.fromkeys(Severity, 0)
    for item in diagnostics:
        counted[item.severity] += 1
    return counted


def count_line(diagnostics: Iterable[Diagnostic], files: int, suppressed: int = 0) -> str:
    """The closing line, such as `2 errors, 1 warning in 3 files; 1 ignored`."""
    counted = counts(diagnostics)
    named = [plural(counted[severity], severity.value) for severity in Severity if counted[severity]]
    ignored = f"; {suppressed} ignored" if suppressed else ""
    return f"{', '.join(named) or 'no findings'} in {plural(files, 'file')}{ignored}"


def plural(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count} {noun}" if count == 1 or noun == "info" else f"{count} {noun}s"
