"""Watching a project: what changes is told, and nothing else is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowlang.cli.watching import Changes, Watcher


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("pipelines", "handlers"):
        (tmp_path / name).mkdir()
    (tmp_path / "flowlang.yaml").write_text("flowlang: 1\n")
    return tmp_path


@pytest.fixture
def watcher(project: Path) -> Iterator[Watcher]:
    watcher = Watcher(project)
    watcher.start()
    yield watcher
    watcher.stop()


def seen(watcher: Watcher, act: Callable[[int], object], wanted: str) -> Changes:
    """Act until a change of the wanted file is told: the first time may be before the watch has begun."""
    for number in range(600):
        act(number)
        threading.Event().wait(0.05)
        found = watcher.changes()
        if found is not None and wanted in found.files:
            return found
    raise AssertionError(f"no change of {wanted} was told")


def test_a_changed_pipeline_is_told(watcher: Watcher, project: Path) -> None:
    found = seen(watcher, lambda n: (project / "pipelines/a.yaml").write_text(str(n)), "pipelines/a.yaml")
    assert not found.code


def test_changed_code_is_told_as_such(watcher: Watcher, project: Path) -> None:
    assert seen(watcher, lambda n: (project / "handlers/a.py").write_text(f"x = {n}"), "handlers/a.py").code


def test_the_projects_own_file_is_told(watcher: Watcher, project: Path) -> None:
    seen(watcher, lambda n: (project / "flowlang.yaml").write_text(f"flowlang: 1  # {n}\n"), "flowlang.yaml")


def test_a_folder_that_comes_later_is_watched_as_well(watcher: Watcher, project: Path) -> None:
    def write(number: int) -> None:
        (project / "schemas").mkdir(exist_ok=True)
        (project / "schemas/a.json").write_text(str(number))

    seen(watcher, write, "schemas/a.json")


def test_what_is_no_part_of_the_project_is_not_told(watcher: Watcher, project: Path) -> None:
    (project / "elsewhere").mkdir()

    def write(number: int) -> None:
        for path in ("elsewhere/a.py", "handlers/a.pyc", "pipelines/.a.yaml.swp", "pipelines/b.yaml"):
            (project / path).write_text(str(number))

    assert set(seen(watcher, write, "pipelines/b.yaml").files) == {"pipelines/b.yaml"}


def test_nothing_is_told_when_nothing_changes(watcher: Watcher) -> None:
    assert watcher.changes() is None
