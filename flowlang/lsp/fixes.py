"""Quick fixes: the fixes that findings bring, and files that are missing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from flowlang.diagnostics import Diagnostic
from flowlang.diagnostics.finding import Edit

#: The schema of an event of which nothing is known yet.
_SCHEMA: Final = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {}
}
"""

_MISSING = re.compile(r"`(schemas/events/[^`]+\.json)`")


@dataclass(frozen=True, slots=True)
class QuickFix:
    """Something an editor can do about a finding.

    Attributes:
        title: What it does.
        edits: Changes of text.
        certain: Whether the author can have meant nothing else.
        creates: Path and text of a file that is made.
    """

    title: str
    edits: tuple[Edit, ...] = ()
    certain: bool = True
    creates: tuple[str, str] | None = None


def quick_fixes(finding: Diagnostic) -> list[QuickFix]:
    """What can be done about a finding."""
    missing = _MISSING.search(finding.hint or "") if finding.code == "FL304" else None
    if missing is not None:
        return [QuickFix(f"Create {missing[1]}", creates=(missing[1], _SCHEMA))]
    fix = finding.fix
    if fix is None:
        return []
    return [QuickFix(f"{fix.title[:1].upper()}{fix.title[1:]}", fix.edits, fix.certain)]
