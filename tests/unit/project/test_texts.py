"""Texts that are not saved stand for files: an editor's, a fix that is only shown, one from stdin."""

from __future__ import annotations

from pathlib import Path

from flowlang.project import load_project
from tests.unit.project.projects import PIPELINE, places, write_project


def test_a_text_stands_for_the_file(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    texts = {"pipelines/p.yaml": PIPELINE.replace("steps", "stpes")}
    project = load_project(tmp_path, entry_points=False, unsaved=texts)
    assert places(project.diagnostics) == [("FL101", "pipelines/p.yaml:3:1")]
    assert project.sources["pipelines/p.yaml"].text == texts["pipelines/p.yaml"]
    assert load_project(tmp_path, entry_points=False).diagnostics == ()


def test_a_text_needs_no_file(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    more = PIPELINE.replace("pipeline: p", "pipeline: q") + "  - {id: b, uses: mail.send}\n"
    project = load_project(tmp_path, entry_points=False, unsaved={"pipelines/new.yaml": more, "other/x.yaml": "x"})
    assert places(project.diagnostics) == [("FL401", "pipelines/new.yaml:5:19")]
    assert {document.name for document in project.pipelines} == {"p", "q"}
