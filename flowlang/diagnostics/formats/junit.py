"""Findings as a report of tests in JUnit's XML, which every CI server reads: a file is a suite, a finding a case."""

from __future__ import annotations

from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from flowlang.diagnostics.finding import Diagnostic, Severity
from flowlang.diagnostics.paint import printable
from flowlang.diagnostics.report import Report

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>'


def write(report: Report) -> str:
    """Errors as failures; warnings and notes as cases that pass and say something. A clean project is a case too."""
    errors = sum(item.severity is Severity.ERROR for item in report.found)
    head = _attributes(name="flowlang validate", tests=len(report.found) or 1, failures=errors)
    lines = [_HEAD, f"<testsuites{head}>"]
    for path, group in groupby(report.found, key=report.path):
        items = list(group)
        failed = sum(item.severity is Severity.ERROR for item in items)
        lines.append(f"  <testsuite{_attributes(name=path, tests=len(items), failures=failed, errors=0, skipped=0)}>")
        lines += [line for item in items for line in _case(item, path)]
        lines.append("  </testsuite>")
    if not report.found:
        lines += [
            f"  <testsuite{_attributes(name='flowlang validate', tests=1, failures=0, errors=0, skipped=0)}>",
            f"    <testcase{_attributes(name='no findings', classname='flowlang validate')}/>",
            "  </testsuite>",
        ]
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _case(item: Diagnostic, path: str) -> list[str]:
    span = item.span
    name = f"{item.code} {item.slug} at {span.line}:{span.column}"
    text = f"{path}:{span.line}:{span.column}: {item.message}" + (f"\n{item.hint}" if item.hint else "")
    body = escape(printable(text, keep_breaks=True))
    if item.severity is Severity.ERROR:
        inside = f"<failure{_attributes(message=item.message, type=item.code)}>{body}</failure>"
    else:
        inside = f"<system-out>{item.severity.value}: {body}</system-out>"
    return [f"    <testcase{_attributes(name=name, classname=path)}>", f"      {inside}", "    </testcase>"]


def _attributes(**values: str | int) -> str:
    return "".join(f" {name}={quoteattr(printable(str(value)))}" for name, value in values.items())
