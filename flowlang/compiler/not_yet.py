"""What the language has and this version's runtime cannot run: refused by its own code, so that nothing is ignored.

The list shrinks with each release; when it is empty this module goes.
"""

from __future__ import annotations

from flowlang.compiler.findings import Findings
from flowlang.model import Path, ProjectFile


def check_project(project: ProjectFile, findings: Findings) -> None:
    """Report what `flowlang.yaml` uses and cannot have yet."""
    if project.observe:
        _report(findings, ("observe",), "`observe`")


def _report(findings: Findings, path: Path, what: str) -> None:
    findings.at(
        path,
        "FL199",
        f"{what} is checked, but cannot be run by this version",
        key=True,
        hint="it comes with a later one",
    )
