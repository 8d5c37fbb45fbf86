"""Collects findings about one document, at places named by paths."""

from __future__ import annotations

from collections.abc import Iterable

from flowlang.diagnostics import Diagnostic, Fix, Label, Severity, did_you_mean
from flowlang.model import Path, YamlDocument
from flowlang.source import Span


class Findings:
    """Findings about a document.

    Args:
        document: Where everything is written.
    """

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.found: list[Diagnostic] = []

    def at(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        key: bool = False,
        part: tuple[int, int] | None = None,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
        labels: Iterable[Label] = (),
        caret: str = "",
        fix: Fix | None = None,
    ) -> None:
        """Report a finding.

        Args:
            path: Keys and indices from the document's root.
            code: A key of `diagnostics.CODES`.
            message: What was expected and what was found.
            key: Point at the key instead of its value.
            part: Offsets in the scalar's value to point at.
            hint: What would be right.
            severity: How much it weighs.
            labels: Other places that explain it.
            caret: A few words beside the caret.
            fix: What would put it right, where the hint alone does not tell it (see `diagnostics.fixes`).
        """
        span = self.span(path, key=key, part=part)
        self.found.append(Diagnostic(code, message, span, severity, hint, tuple(labels), caret, fix))

    def span(self, path: Path, *, key: bool = False, part: tuple[int, int] | None = None) -> Span:
        """The place of a value, a key, or a part of a text."""
        if part is not None:
            return self.document.span_in(path, *part)
        return self.document.span_at(path, key=key)


def near(word: str, candidates: Iterable[str], *, listing: str = "") -> str | None:
    """The hint for a name that is not there.

    Args:
        word: As written.
        candidates: What there is.
        listing: What the candidates are, to list them when none is near; empty: list nothing.
    """
    names = sorted(candidates)
    match = did_you_mean(word, names)
    if match is not None:
        return f"did you mean `{match}`?"
    if not listing:
        return None
    if not names:
        return "there are none here"
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return f"{listing}: {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
