"""One finding: a code, a place, what is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from flowlang.diagnostics.codes import CODES
from flowlang.source import Span


class Severity(StrEnum):
    """How much a finding weighs."""

    ERROR = "error"  #: cannot be deployed
    WARNING = "warning"  #: runs, and most likely not as meant
    INFO = "info"  #: worth knowing


@dataclass(frozen=True, slots=True)
class Label:
    """Another place that explains a finding, such as the first of two equal ids.

    Args:
        span: The place.
        message: What is to be seen there, in a few words.
    """

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a file's text: what stands in a place is replaced.

    Args:
        span: The place; an empty one takes in text before its first character.
        text: What is to stand there.
    """

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """What would put a finding right, as changes of text: comments and layout around them stay.

    Args:
        title: What it does, such as "write `amount`".
        edits: The changes, none of which overlaps another; all are made or none.
        certain: Whether the author can have meant nothing else; of others, a person must choose.
    """

    title: str
    edits: tuple[Edit, ...]
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding about what a user wrote.

    Args:
        code: A key of `CODES`, such as `FL101`.
        message: One sentence that says what was expected and what was found, without a full stop.
        span: Where to look first.
        severity: How much it weighs.
        hint: What would be right, or None when nobody can tell.
        labels: Other places that explain it.
        caret: A few words beside the caret, or an empty text.
        fix: What would put it right; None when nobody can tell, or when `fixes.with_fixes` is to read it off the hint.
    """

    code: str
    message: str
    span: Span
    severity: Severity = Severity.ERROR
    hint: str | None = None
    labels: tuple[Label, ...] = ()
    caret: str = ""
    fix: Fix | None = None

    def __post_init__(self) -> None:
        """Refuse a code that the table does not have: it could not be explained."""
        assert self.code in CODES, f"{self.code} is not in the table of codes"

    @property
    def slug(self) -> str:
        """The code's name in words, such as `unknown-key`."""
        return CODES[self.code].slug


def sorted_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """The findings by file, place and code, each once: content that two anchors share is reported at one place."""
    unique = {(item.span, item.code, item.message): item for item in diagnostics}
    return [unique[key] for key in sorted(unique)]


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether any of the findings is an error."""
    return any(item.severity is Severity.ERROR for item in diagnostics)
