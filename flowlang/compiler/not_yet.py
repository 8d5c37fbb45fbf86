"""What the language has and this version's runtime cannot run: refused by its own code, so that nothing is ignored.

The list shrinks with each release; when it is empty this module goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flowlang.compiler.findings import Findings
from flowlang.model import Path, Pipeline, ProjectFile

PIPELINE_KEYS: Final = ("allow",)


def check_pipeline(pipeline: Pipeline, findings: Findings) -> None:
    """Report what a pipeline uses outside its steps and cannot have yet."""
    for path, what in _in_pipeline(pipeline):
        _report(findings, path, what)


def check_project(project: ProjectFile, findings: Findings) -> None:
    """Report what `flowlang.yaml` uses and cannot have yet."""
    if project.defaults.has("allow"):
        _report(findings, ("defaults", "allow"), "`allow`")
    if project.observe:
        _report(findings, ("observe",), "`observe`")


def _in_pipeline(pipeline: Pipeline) -> Iterator[tuple[Path, str]]:
    for key in PIPELINE_KEYS:
        if pipeline.has(key):
            yield (key,), f"`{key}` of a pipeline"


def _report(findings: Findings, path: Path, what: str) -> None:
    findings.at(
        path,
        "FL199",
        f"{what} is checked, but cannot be run by this version",
        key=True,
        hint="it comes with a later one",
    )
