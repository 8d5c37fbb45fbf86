"""Findings as a Code Quality report of GitLab."""

from __future__ import annotations

import json
from typing import Any, Final

from flowlang.diagnostics.finding import Diagnostic, Severity
from flowlang.diagnostics.report import Report

_SEVERITIES: Final = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.INFO: "info"}


def write(report: Report) -> str:
    """A list of issues; GitLab compares their fingerprints with those of the target branch."""
    return json.dumps([_issue(item, report) for item in report.found], indent=2, ensure_ascii=False) + "\n"


def _issue(item: Diagnostic, report: Report) -> dict[str, Any]:
    return {
        "description": f"{item.code}: {item.message}" + (f" ({item.hint})" if item.hint else ""),
        "check_name": item.slug,
        "fingerprint": report.fingerprints[item],
        "severity": _SEVERITIES[item.severity],
        "location": {
            "path": report.path(item),
            "lines": {"begin": item.span.line, "end": item.span.end_line},
        },
    }
