"""What came of a test: data, for whoever shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from flowlang.model import TestDocument
from flowlang.redaction import Mask
from flowlang.source import Span

Status = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is not as the test says.

    Args:
        where: What was looked at, such as `steps.pay.attempts`.
        message: What was expected and what was found.
        span: The place in the test's file.
        expected: The expected value, when the two can be compared.
        found: The value that was found.
    """

    where: str
    message: str
    span: Span
    expected: Any = None
    found: Any = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what happened.

    Args:
        at_ms: Virtual milliseconds since the test began.
        text: What happened, such as `step.ended`.
        step: The step's instance it happened to.
        detail: Anything more.
    """

    at_ms: int
    text: str
    step: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunJournal:
    """What a run has written down.

    Args:
        pipeline: Of the run.
        entries: Of its journal, in order.
    """

    pipeline: str
    entries: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test that was run, or why it was not.

    Args:
        test: The test.
        status: `failed`: something is not as it says; `error`: it could not be run.
        failures: Why, for `failed` and `error`.
        reason: Why it was skipped.
        lines: What happened, in order.
        journals: Of the runs that it made.
        virtual_ms: Virtual milliseconds that went by.
        took_ms: Real milliseconds.
    """

    __test__ = False  # pytest would take it for a test of its own

    test: TestDocument
    status: Status
    failures: tuple[Failure, ...] = ()
    reason: str = ""
    lines: tuple[Line, ...] = ()
    journals: tuple[RunJournal, ...] = ()
    virtual_ms: int = 0
    took_ms: float = 0.0

    def hiding(self, mask: Mask) -> Self:
        """The same without the values that a mask hides: the secrets of the test, which stand in its file alone."""
        if not mask:
            return self
        failures = (
            replace(
                each, message=mask.text(each.message), expected=mask.tree(each.expected), found=mask.tree(each.found)
            )
            for each in self.failures
        )
        journals = (replace(each, entries=mask.tree(list(each.entries))) for each in self.journals)
        lines = (replace(each, detail=mask.text(each.detail)) for each in self.lines)
        return replace(self, failures=tuple(failures), lines=tuple(lines), journals=tuple(journals))

    @property
    def name(self) -> str:
        """The test's name."""
        return self.test.name or "a test without a name"

    @property
    def path(self) -> str:
        """Its file."""
        return self.test.source.path

    @property
    def line(self) -> int:
        """The line that it begins at."""
        return self.test.document.span_at(("test",), key=True).line
