"""Showing findings: all of them, in each format, for the whole project or a part of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowlang.diagnostics import Diagnostic, Severity
from flowlang.source import SourceText, Span
from tests.unit.cli.desk import Desk


def finding(path: str, severity: Severity = Severity.ERROR) -> Diagnostic:
    return Diagnostic(
        "FL101", f"unknown key in {path}", Span(path, 0, 4, 1, 1, 1, 5), severity, hint="did you mean `uses`?"
    )


@pytest.fixture
def broken(desk: Desk) -> Desk:
    """A project with an error in each of two pipelines and a warning in a third file."""
    paths = ["pipelines/a.yaml", "pipelines/sub/b.yaml", "flowlang.yaml"]
    for path in paths:
        (desk.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (desk.folder / path).write_text("usse: x\n")
    desk.project.diagnostics = [finding(paths[0]), finding(paths[1]), finding(paths[2], Severity.WARNING)]
    desk.project.sources = {path: SourceText(path, "usse: x\n") for path in paths}
    return desk


def test_without_errors_it_exits_with_0(desk: Desk) -> None:
    result = desk.call("validate")
    assert (result.exit_code, result.stdout) == (0, "no findings in 0 files\n")


def test_all_findings_of_all_files_come_in_one_go(broken: Desk) -> None:
    result = broken.call("validate")
    assert result.exit_code == 1
    assert all(f"--> {path}:1:1" in result.stdout for path in broken.project.sources)
    assert "^^^^" in result.stdout
    assert "did you mean `uses`?" in result.stdout
    assert result.stdout.endswith("2 errors, 1 warning in 3 files\n")
    assert result.stderr == ""


def test_warnings_alone_exit_with_0(broken: Desk) -> None:
    result = broken.call("validate", str(broken.folder / "flowlang.yaml"))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "1 warning in 1 file")


@pytest.mark.parametrize(
    ("paths", "errors"),
    [(["pipelines"], 2), (["pipelines/sub"], 1), (["pipelines/a.yaml", "pipelines/sub/b.yaml"], 2)],
)
def test_paths_choose_what_is_shown(broken: Desk, paths: list[str], errors: int) -> None:
    shown = broken.call("validate", "--format", "concise", *(str(broken.folder / path) for path in paths)).stdout
    assert len(shown.splitlines()) == errors + 1


def test_the_formats_say_the_same(broken: Desk) -> None:
    concise = broken.call("validate", "--format", "concise")
    assert concise.stdout.splitlines()[1] == (
        "pipelines/a.yaml:1:1: error: unknown key in pipelines/a.yaml (did you mean `uses`?) [FL101]"
    )
    content = json.loads(broken.call("validate", "--format", "json").stdout)
    assert content == json.loads(broken.call("validate", "--json").stdout)
    assert content["summary"] == {"files": 3, "errors": 2, "warnings": 1, "infos": 0, "suppressed": 0}
    assert "\x1b[" in broken.call("validate", "--color", "always").stdout
    assert "\x1b[" not in broken.call("validate", "--color", "always", "--json").stdout


def test_misuse_exits_with_2(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty: Path = tmp_path_factory.mktemp("empty")
    nowhere = desk.call("validate", "-C", str(empty))
    assert nowhere.exit_code == 2
    assert "it has no flowlang.yaml" in nowhere.stderr
    assert desk.call("validate", str(desk.folder / "missing.yaml")).exit_code == 2
    assert desk.call("validate", "--format", "xml").exit_code == 2


def test_a_folder_with_a_project_is_the_project(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = str(tmp_path_factory.mktemp("empty"))
    assert desk.call("validate", str(desk.folder), env={"FLOWLANG_PROJECT": empty}).exit_code == 0
