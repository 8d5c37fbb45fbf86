"""Findings about whole projects, pinned: `project/FL###_name.project` beside the output that it must give.

A `.project` file holds all files of a project, each behind a line `=== path`. The lines before the first say what the
case is about; `environment: NAME` and `deploying: yes` among them choose how it is loaded. `--update-golden` rewrites
the outputs; what changed is then for a reader of the diff to judge.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from flowlang.diagnostics import CODES, has_errors, render
from flowlang.project import Project, load_project
from tests.unit.project.projects import write_project

HERE = Path(__file__).parent
CASES = sorted((HERE / "project").glob("FL*.project"))

#: Codes that need what a text file cannot hold (a very large file, links) or what no check finds yet (a warning about
#: security); `tests/unit` shows them.
ELSEWHERE = {"FL003", "FL126", "FL903"}

_FILE = re.compile(r"^=== (\S+)\n", re.MULTILINE)


def options_of(case: Path) -> dict[str, Any]:
    header = _FILE.split(case.read_text(encoding="utf-8"))[0]
    options = dict(line.split(": ", 1) for line in header.splitlines() if re.match(r"(environment|deploying): ", line))
    return {
        "environment": options.get("environment", "development"),
        "deploying": options.get("deploying") == "yes",
    }


def load_case(case: Path, folder: Path) -> Project:
    _, *parts = _FILE.split(case.read_text(encoding="utf-8"))
    write_project(folder, dict(zip(parts[::2], parts[1::2], strict=True)))
    return load_project(folder, **options_of(case), entry_points=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_project_gives_exactly_the_findings_beside_it(case: Path, tmp_path: Path, update_golden: bool) -> None:
    project = load_case(case, tmp_path)
    output = render(project.diagnostics, project.sources, files=project.files)
    expected = case.with_suffix(".out")
    if update_golden:
        expected.write_text(output, encoding="utf-8")
    assert output == expected.read_text(encoding="utf-8")
    assert case.name[:5] in {item.code for item in project.diagnostics}
    assert (project.manifest is None) == has_errors(project.diagnostics)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_finding_shows_the_line_that_it_is_about(case: Path, tmp_path: Path) -> None:
    project = load_case(case, tmp_path)
    for item in project.diagnostics:
        source = project.sources[item.span.path]
        assert source.position(item.span.start) == (item.span.line, item.span.column)
        assert not item.message.endswith(".")


def test_every_code_has_a_file() -> None:
    files = {case.name[:5] for case in [*CASES, *HERE.glob("FL*.yaml")]}
    assert set(CODES) - files == ELSEWHERE


def test_every_output_has_its_file() -> None:
    assert {path.stem for path in (HERE / "project").glob("*.out")} == {case.stem for case in CASES}
