"""A baseline: the findings that a project had on a day, so that only new ones are reported from then on.

Findings are known again by their fingerprints; see `report`. Reading and writing the file is left to others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flowlang.diagnostics.finding import Diagnostic
from flowlang.diagnostics.report import Suppressed, SuppressedBy, fingerprints
from flowlang.errors import ConfigError
from flowlang.source import SourceText

#: Version of the file; raised when a field changes its meaning or goes away.
_VERSION: Final = 1


def baseline_text(
    chosen: Iterable[Diagnostic], diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceText]
) -> str:
    """The content of a baseline, in an order that makes small differences between two of them.

    Args:
        chosen: The findings to write down.
        diagnostics: All findings of the project: their fingerprints count equal lines.
        sources: Path → content.
    """
    marks = fingerprints(diagnostics, sources)
    entries = sorted((item.span.path, item.code, marks[item]) for item in chosen)
    findings = [{"path": path, "code": code, "fingerprint": mark} for path, code, mark in entries]
    return json.dumps({"schema_version": _VERSION, "findings": findings}, indent=2, ensure_ascii=False) + "\n"


def read_baseline(text: str) -> frozenset[str]:
    """The fingerprints of a baseline.

    Args:
        text: The content of its file.

    Raises:
        ConfigError: when it is none, or of another version.
    """
    try:
        content: Any = json.loads(text)
        if content["schema_version"] != _VERSION:
            raise ConfigError(f"it is of version {content['schema_version']}, and this release reads {_VERSION}")
        return frozenset(str(entry["fingerprint"]) for entry in content["findings"])
    except (ValueError, KeyError, TypeError):
        raise ConfigError("it is no baseline; `flowlang validate --write-baseline FILE` writes one") from None


def without_baseline(
    diagnostics: Sequence[Diagnostic], sources: Mapping[str, SourceText], known: frozenset[str]
) -> tuple[list[Diagnostic], list[Suppressed], int]:
    """Leave out the findings of a baseline.

    Args:
        diagnostics: All findings of the project: their fingerprints count equal lines.
        sources: Path → content.
        known: What the baseline has.

    Returns:
        The new findings; those that are left out; and how many of the baseline are gone.
    """
    marks = fingerprints(diagnostics, sources)
    new = [item for item in diagnostics if marks[item] not in known]
    old = [Suppressed(item, SuppressedBy.BASELINE) for item in diagnostics if marks[item] in known]
    return new, old, len(known - set(marks.values()))
