"""Findings as JSON, for programs that were written for FlowLang."""

from __future__ import annotations

import json
from typing import Any

from flowlang.diagnostics.finding import Diagnostic, Fix, Severity
from flowlang.diagnostics.report import SCHEMA_VERSION, Report, counts
from flowlang.diagnostics.rule_text import page_url
from flowlang.source import Span


def write(report: Report) -> str:
    """All that is known of the findings."""
    counted = counts(report.found)
    document = {
        "schema_version": SCHEMA_VERSION,
        "diagnostics": [_entry(item, report) for item in report.found],
        "suppressed": [
            {**_entry(item.diagnostic, report), "by": item.by.value, "reason": item.reason}
            for item in report.suppressed
        ],
        "summary": {
            "files": report.files,
            **{f"{severity.value}s": counted[severity] for severity in Severity},
            "suppressed": len(report.suppressed),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _entry(item: Diagnostic, report: Report) -> dict[str, Any]:
    return {
        "code": item.code,
        "slug": item.slug,
        "severity": item.severity.value,
        "message": item.message,
        "hint": item.hint,
        "url": page_url(item.code),
        "fingerprint": report.fingerprints[item],
        **_range(item.span),
        "labels": [{"message": label.message, **_range(label.span)} for label in item.labels],
        "fix": None if item.fix is None else _fix(item.fix),
    }


def _fix(fix: Fix) -> dict[str, Any]:
    edits = [{**_range(edit.span), "text": edit.text} for edit in fix.edits]
    return {"title": fix.title, "certain": fix.certain, "edits": edits}


def _range(span: Span) -> dict[str, Any]:
    return {
        "path": span.path,
        "start": {"offset": span.start, "line": span.line, "column": span.column},
        "end": {"offset": span.end, "line": span.end_line, "column": span.end_column},
    }
