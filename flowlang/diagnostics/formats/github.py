"""Findings as commands in the log of a GitHub Action, which shows them beside the lines of a pull request."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from flowlang.diagnostics.finding import Diagnostic, Severity
from flowlang.diagnostics.paint import printable
from flowlang.diagnostics.report import Report, count_line

#: GitHub takes so many annotations of each kind from a step, and drops the others without a word.
SHOWN: Final = 10

_COMMANDS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def write(report: Report) -> str:
    """Annotations for the first findings of each severity, plain lines for the others, and how many those are."""
    lines: list[str] = []
    more: list[str] = []
    ordered = sorted(report.found, key=lambda item: list(Severity).index(item.severity))
    for _, group in groupby(ordered, key=lambda item: item.severity):
        items = list(group)
        lines += [_annotation(item, report) for item in items[:SHOWN]]
        more += [_plain(item, report) for item in items[SHOWN:]]
    if more:
        lines += [f"+{len(more)} more, for which GitHub has no place beside the code:", *more]
    return "\n".join([*lines, count_line(report.found, report.files, len(report.suppressed))]) + "\n"


def _annotation(item: Diagnostic, report: Report) -> str:
    span = item.span
    place = {"file": report.path(item), "line": span.line, "endLine": span.end_line}
    if span.line == span.end_line:
        place |= {"col": span.column, "endColumn": span.end_column}
    place["title"] = f"{item.code} {item.slug}"
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in place.items())
    hint = f"\n{item.hint}" if item.hint else ""
    return f"::{_COMMANDS[item.severity]} {properties}::{_data(printable(item.message + hint, keep_breaks=True))}"


def _plain(item: Diagnostic, report: Report) -> str:
    place = f"{report.path(item)}:{item.span.line}:{item.span.column}"
    return printable(f"{place}: {item.severity.value}: {item.message} [{item.code}]")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
