"""Findings as SARIF 2.1.0, which code hosts and editors import."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from flowlang.diagnostics.codes import CODES
from flowlang.diagnostics.finding import Diagnostic, Edit, Fix, Severity
from flowlang.diagnostics.report import Report, Suppressed, SuppressedBy
from flowlang.diagnostics.rule_text import page_url, rule_text
from flowlang.source import Span

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOME: Final = "https://github.com/flowlang/flowlang"
_LEVELS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_KINDS: Final = {SuppressedBy.COMMENT: "inSource", SuppressedBy.BASELINE: "external"}

#: What paths are relative to: whoever imports the file knows where that is.
_ROOT: Final = "%SRCROOT%"


def write(report: Report) -> str:
    """One run, with the rules that have findings, and with those that were left out as suppressed."""
    all_found = [*report.found, *(item.diagnostic for item in report.suppressed)]
    codes = sorted({item.code for item in all_found})
    results = [_result(item, codes, report) for item in report.found]
    results += [_suppressed(item, codes, report) for item in report.suppressed]
    run = {
        "tool": {
            "driver": {
                "name": "flowlang",
                "semanticVersion": report.version,
                "informationUri": _HOME,
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(code: str) -> dict[str, Any]:
    about = CODES[code]
    text = rule_text(code)
    return {
        "id": code,
        "name": about.slug,
        "shortDescription": {"text": about.sentence},
        "fullDescription": {"text": text.why},
        "help": {"text": text.fix, "markdown": f"{text.why}\n\n{text.fix}"},
        "helpUri": page_url(code),
        "properties": {"tags": ["security"] if code.startswith("FL6") else ["correctness"]},
    }


def _result(item: Diagnostic, codes: list[str], report: Report) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": item.code,
        "ruleIndex": codes.index(item.code),
        "level": _LEVELS[item.severity],
        "message": {"text": f"{item.message}\n{item.hint}" if item.hint else item.message},
        "locations": [{"physicalLocation": _location(item.span, report)}],
        "partialFingerprints": {"flowlang/v1": report.fingerprints[item]},
    }
    if item.labels:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": _location(label.span, report), "message": {"text": label.message}}
            for number, label in enumerate(item.labels)
        ]
    if item.fix is not None:
        result["fixes"] = [_fix(item.fix, report)]
    return result


def _suppressed(item: Suppressed, codes: list[str], report: Report) -> dict[str, Any]:
    reason = {"justification": item.reason} if item.reason else {}
    suppression = {"kind": _KINDS[item.by], "status": "accepted", **reason}
    return {**_result(item.diagnostic, codes, report), "suppressions": [suppression]}


def _fix(fix: Fix, report: Report) -> dict[str, Any]:
    paths = dict.fromkeys(edit.span.path for edit in fix.edits)
    changes = [
        {
            "artifactLocation": _artifact(path, report),
            "replacements": _replacements(edit for edit in fix.edits if edit.span.path == path),
        }
        for path in paths
    ]
    return {"description": {"text": fix.title}, "artifactChanges": changes}


def _replacements(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    return [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in edits]


def _location(span: Span, report: Report) -> dict[str, Any]:
    return {"artifactLocation": _artifact(span.path, report), "region": _region(span)}


def _artifact(path: str, report: Report) -> dict[str, str]:
    return {"uri": quote(f"{report.prefix}{path}"), "uriBaseId": _ROOT}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
