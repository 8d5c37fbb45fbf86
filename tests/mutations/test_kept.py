"""What is kept from one check to the next never changes what is found."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowlang.model import load_pipelines
from flowlang.project import Checked, check_project, load_project, pipelines
from flowlang.project.kept import read_kept
from flowlang.project.shares import Share
from flowlang.source import SourceText
from tests.mutations.bench import Bench, shipped

CALLS_ONE_ANOTHER = {
    "pipelines/upper.yaml": """\
flowlang: 1
pipeline: upper
input: {type: object, properties: {n: {type: integer}}, required: [n]}
steps:
  - {id: below, invoke: lower, with: {n: "${{ event.data.n }}"}}
output: ${{ steps.below.output.twice + 1 }}
""",
    "pipelines/lower.yaml": """\
flowlang: 1
pipeline: lower
input: {type: object, properties: {n: {type: integer}}, required: [n]}
steps:
  - {id: doubled, set: {twice: "${{ event.data.n * 2 }}"}}
output: {twice: "${{ steps.doubled.output.twice }}"}
""",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    project = tmp_path / "project"
    project.mkdir()
    return shipped(project)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the pipeline files that are read."""
    paths: list[str] = []

    def loading(source: SourceText) -> object:
        paths.append(source.path)
        return load_pipelines(source)

    monkeypatch.setattr(pipelines, "load_pipelines", loading)
    return paths


def check(folder: Path) -> Checked:
    return check_project(folder, entry_points=False)


def assert_same(folder: Path) -> None:
    kept, anew = check(folder), load_project(folder, entry_points=False)
    assert kept.diagnostics == anew.diagnostics
    assert kept.suppressed == anew.suppressed
    assert kept.sources == anew.sources


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).write_text(text, encoding="utf-8")


def test_nothing_is_read_again_when_nothing_has_changed(folder: Path, read: list[str]) -> None:
    check(folder)
    first = len(read)
    check(folder)

    assert first >= 4
    assert len(read) == first


def test_a_changed_file_is_read_and_no_other(folder: Path, read: list[str]) -> None:
    check(folder)
    read.clear()
    file = folder / "pipelines" / "video-uploaded.yaml"
    file.write_text(file.read_text() + "\n# seen\n")
    check(folder)

    assert read == ["pipelines/video-uploaded.yaml"]


def test_who_invokes_a_changed_pipeline_is_checked_again(folder: Path, read: list[str]) -> None:
    write(folder, CALLS_ONE_ANOTHER)
    assert not [item for item in check(folder).diagnostics if item.span.path == "pipelines/upper.yaml"]
    read.clear()
    lower = CALLS_ONE_ANOTHER["pipelines/lower.yaml"]
    write(folder, {"pipelines/lower.yaml": lower.replace("output: {twice:", "output: {double:")})

    found = [item for item in check(folder).diagnostics if item.span.path == "pipelines/upper.yaml"]
    assert [item.code for item in found] == ["FL214"]
    assert sorted(read) == ["pipelines/lower.yaml", "pipelines/upper.yaml"]
    assert_same(folder)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another schema": lambda at: (at / "schemas/events/video/uploaded.json").write_text('{"type": "object"}'),
    "a schema that is no JSON": lambda at: (at / "schemas/events/video/uploaded.json").write_text("{"),
    "another project file": lambda at: (at / "flowlang.yaml").write_text("flowlang: 1\nproject: other\n"),
    "a handler that takes more": lambda at: (at / "handlers/more.py").write_text(
        "from flowlang import handler\n\n\n@handler('more.there', effect='pure')\ndef there(a: int) -> int:\n    return a\n"
    ),
    "a handler that is gone": lambda at: (at / "handlers/search.py").unlink(),
    "a pipeline that is gone": lambda at: (at / "pipelines/index-lessons.yaml").unlink(),
    "a pipeline of a name that is there": lambda at: (at / "pipelines/again.yaml").write_bytes(
        (at / "pipelines/video-uploaded.yaml").read_bytes()
    ),
    "a file that is no YAML": lambda at: (at / "pipelines/broken.yaml").write_text("steps: [\n"),
    "an ignore": lambda at: (at / "pipelines/video-uploaded.yaml").write_text(
        (at / "pipelines/video-uploaded.yaml")
        .read_text()
        .replace("steps:", "steps:  # flowlang: ignore[FL304] so\n", 1)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_else_changes_counts_too(folder: Path, change: str) -> None:
    check(folder)
    CHANGES[change](folder)
    assert_same(folder)
    assert_same(folder)


@pytest.mark.parametrize("content", [b"", b"\x93", b"no records", b"\xc1" * 100])
def test_a_record_that_cannot_be_read_costs_time_and_nothing_else(folder: Path, content: bytes) -> None:
    check(folder)
    (file,) = (folder.parent / "cache/flowlang/validate").iterdir()
    file.write_bytes(content)
    assert_same(folder)
    assert read_kept(folder.resolve(), folder.parent / "cache/flowlang").records


def test_a_sequence_of_mistakes_is_found_as_if_each_were_the_first(folder: Path) -> None:
    bench = Bench(folder)
    chance = random.Random(5)
    texts = {file.path: file.text for file in bench.files}
    for mistake in bench.mistakes(40, 5):
        (folder / mistake.path).write_text(mistake.text, encoding="utf-8")
        assert_same(folder)
        if chance.random() < 0.5:  # else it stays beside the next one
            (folder / mistake.path).write_text(texts[mistake.path], encoding="utf-8")


@pytest.mark.parametrize("dying", [None, "contents", "found"])
def test_other_processes_find_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch, dying: str | None) -> None:
    write(folder, CALLS_ONE_ANOTHER)
    write(
        folder, {"pipelines/wrong.yaml": "flowlang: 1\npipeline: wrong\nsteps: [{id: a, set: {b: '${{ steps.c }}'}}]\n"}
    )
    monkeypatch.setattr(pipelines, "process_count", lambda _: 2)
    if dying is not None:
        answer = getattr(Share, dying)

        def die(share: Share) -> object:
            share._process.kill()
            share._process.join()
            return answer(share)

        monkeypatch.setattr(Share, dying, die)
    found = check(folder)

    assert [item.code for item in found.diagnostics if item.span.path == "pipelines/wrong.yaml"]
    assert found.diagnostics == load_project(folder, entry_points=False).diagnostics
    assert check(folder).diagnostics == found.diagnostics


def test_a_process_that_dies_before_it_has_read_what_it_was_sent_is_done_without(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, CALLS_ONE_ANOTHER)
    monkeypatch.setattr(pipelines, "process_count", lambda _: 2)
    lower = Share.lower

    def unread(share: Share, *given: Any) -> None:
        assert share._process.pid is not None
        os.kill(share._process.pid, signal.SIGSTOP)
        lower(share, *given)
        share._process.kill()
        share._process.join()

    monkeypatch.setattr(Share, "lower", unread)
    assert check(folder).diagnostics == load_project(folder, entry_points=False).diagnostics
