"""What lies in a project's folder and is no ordinary file, and links that lead elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowlang.project import load_project
from flowlang.project.files import ProjectFiles
from tests.unit.project.projects import PIPELINE, places, write_project

SECRET = "password: hunter2\n"


def refused(folder: Path) -> list[tuple[str, str]]:
    found = load_project(folder, entry_points=False).diagnostics
    return [(item.span.path, item.message) for item in found if item.code == "FL126"]


def test_a_folder_with_the_name_of_a_file_is_found(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    (tmp_path / "pipelines" / "q.yaml").mkdir()
    assert refused(tmp_path) == [("pipelines/q.yaml", "`pipelines/q.yaml` is a folder, and has the name of a file")]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    os.mkfifo(tmp_path / "pipelines" / "q.yaml")
    assert refused(tmp_path) == [
        ("pipelines/q.yaml", "`pipelines/q.yaml` is no ordinary file, and has the name of a file")
    ]


@pytest.mark.parametrize("path", ["pipelines/q.yaml", "schemas/events/q.json"])
def test_nothing_is_read_through_a_link_that_leads_out(tmp_path: Path, path: str) -> None:
    folder = write_project(tmp_path / "project", {"pipelines/p.yaml": PIPELINE, "schemas/events/a.json": "{}"})
    (tmp_path / "secret").write_text(SECRET)
    (folder / path).symlink_to(tmp_path / "secret")
    assert refused(folder) == [(path, f"`{path}` is a link that leads out of the project")]
    assert path not in load_project(folder, entry_points=False).sources


def test_the_project_file_itself_may_not_lead_out(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", {"pipelines/p.yaml": PIPELINE})
    (folder / "flowlang.yaml").replace(tmp_path / "elsewhere.yaml")
    (folder / "flowlang.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert [path for path, _ in refused(folder)] == ["flowlang.yaml"]


def test_a_handler_behind_a_link_that_leads_out_is_not_shown(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", {"handlers/a.py": ""})
    (tmp_path / "secret.py").write_text(SECRET)
    (folder / "handlers" / "b.py").symlink_to(tmp_path / "secret.py")
    assert set(load_project(folder, entry_points=False).sources) == {"flowlang.yaml", "handlers/a.py"}


def test_links_within_the_project_are_read_as_mounted_configuration_has_them(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/..2024/p.yaml": PIPELINE})
    (tmp_path / "pipelines" / "..data").symlink_to("..2024")
    (tmp_path / "pipelines" / "p.yaml").symlink_to("..data/p.yaml")
    project = load_project(tmp_path, entry_points=False)
    assert places(project.diagnostics) == []
    assert set(project.plans) == {"p"}


def test_a_project_that_is_reached_through_a_link_is_read(tmp_path: Path) -> None:
    write_project(tmp_path / "real", {"pipelines/p.yaml": PIPELINE})
    (tmp_path / "link").symlink_to("real")
    project = load_project(tmp_path / "link", entry_points=False)
    assert places(project.diagnostics) == []
    assert set(project.plans) == {"p"}


def test_links_to_folders_are_found_and_not_followed_in_circles(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    (tmp_path / "pipelines" / "again").symlink_to(".")
    assert refused(tmp_path) == [
        ("pipelines/again", "`pipelines/again` is a link to a folder, which is not followed"),
    ]


@pytest.mark.parametrize("target", ["nothing.yaml", "q.yaml"])
def test_a_link_to_nothing_and_one_to_itself_are_found(tmp_path: Path, target: str) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    (tmp_path / "pipelines" / "q.yaml").symlink_to(target)
    assert [path for path, _ in refused(tmp_path)] == ["pipelines/q.yaml"]


def test_bytes_that_are_no_text_are_found_with_their_place(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE.encode() + b"# \xff\n", "schemas/events/a.json": b'"\xff"'})
    found = load_project(tmp_path, entry_points=False).diagnostics
    assert places(found) == [("FL001", "pipelines/p.yaml:5:3"), ("FL001", "schemas/events/a.json:1:2")]


def test_a_file_that_may_not_be_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": PIPELINE})
    files = ProjectFiles(tmp_path.resolve())

    def denied(_: Path) -> bytes:  # the tests may run as somebody who may read everything
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert files.read("pipelines/p.yaml") is None
    assert [item.message for item in files.found] == ["`pipelines/p.yaml` cannot be read: Permission denied"]
    assert files.read("pipelines/p.yaml") is None
    assert len(files.found) == 1


def test_a_file_that_goes_while_it_is_read_is_found(tmp_path: Path) -> None:
    files = ProjectFiles(tmp_path.resolve())
    assert files.read("pipelines/gone.yaml") is None
    assert [item.message for item in files.found] == ["`pipelines/gone.yaml` was there, and is gone"]
