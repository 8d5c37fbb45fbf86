"""Findings as a table in Markdown, for the summary of a job or a comment."""

from __future__ import annotations

from typing import Final

from flowlang.diagnostics.finding import Diagnostic
from flowlang.diagnostics.paint import printable
from flowlang.diagnostics.report import Report, count_line
from flowlang.diagnostics.rule_text import page_url

#: Rows of the table; a summary of a job may have 1 MiB.
_ROWS: Final = 1000


def write(report: Report) -> str:
    """A heading that counts, and a row a finding."""
    head = f"### flowlang validate: {count_line(report.found, report.files, len(report.suppressed))}\n"
    if not report.found:
        return head
    rows = [_row(item, report) for item in report.found[:_ROWS]]
    more = len(report.found) - len(rows)
    closing = f"\n+{more} more\n" if more else ""
    return "\n".join([head, "| | where | what | code |", "|---|---|---|---|", *rows]) + f"\n{closing}"


def _row(item: Diagnostic, report: Report) -> str:
    place = f"{report.path(item)}:{item.span.line}:{item.span.column}"
    what = _cell(item.message) + (f"<br>*{_cell(item.hint)}*" if item.hint else "")
    return f"| {item.severity.value} | `{_code(place)}` | {what} | [{item.code}]({page_url(item.code)}) |"


def _cell(text: str) -> str:
    """A text that neither ends its cell nor is read as HTML; inside of backticks nothing is."""
    parts = printable(" ".join(text.split())).replace("|", "\\|").split("`")
    return "`".join(part if number % 2 else _no_html(part) for number, part in enumerate(parts))


def _no_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _code(text: str) -> str:
    return printable(text).replace("`", "'").replace("|", "\\|")
