"""Making a project: all of it or nothing, and never over what is there."""

from __future__ import annotations

import compileall
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from flowlang.pipeline_tests import Suite
from flowlang.project import load_project
from tests.unit.cli.desk import Desk

FILES = {
    ".gitignore",
    "README.md",
    "flowlang.yaml",
    "handlers/greetings.py",
    "pipelines/welcome.test.yaml",
    "pipelines/welcome.yaml",
    "pytest.ini",
    "schemas/events/member/greeted.json",
    "schemas/event.schema.json",
    "schemas/events/member/joined.json",
    "schemas/pipeline.schema.json",
    "schemas/project.schema.json",
    "schemas/tests.schema.json",
    "tests/test_project.py",
}


def test_a_project_is_written_with_its_name(desk: Desk) -> None:
    folder = desk.folder / "shop"
    written = desk.read("new", "shop", "--into", str(folder))
    assert set(written["files"]) == FILES
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == FILES
    assert yaml.safe_load((folder / "flowlang.yaml").read_text())["project"] == "shop"
    assert (folder / "README.md").read_text().startswith("# shop\n")
    assert "{{name}}" not in "".join((folder / path).read_text() for path in FILES)
    for path in (folder / "schemas").rglob("*.json"):
        json.loads(path.read_text())
    assert compileall.compile_dir(folder, quiet=1)


def test_editors_are_told_the_schema_of_each_file(desk: Desk) -> None:
    folder = desk.folder / "shop"
    desk.call("new", "shop", "--into", str(folder))
    for file in [*folder.glob("pipelines/*.yaml"), folder / "flowlang.yaml"]:
        modeline, _, text = file.read_text().partition("\n")
        schema = json.loads((file.parent / modeline.removeprefix("# yaml-language-server: $schema=")).read_text())
        jsonschema.validate(yaml.safe_load(text), schema)


def test_its_pipeline_test_passes(desk: Desk) -> None:
    folder = desk.folder / "shop"
    desk.call("new", "shop", "--into", str(folder))
    suite = Suite(load_project(folder, entry_points=False))
    assert [(result.name, result.failures) for result in suite.run_all(suite.tests)] == [
        ("whoever joins is greeted by name", ())
    ]


def test_it_is_made_in_the_current_folder_and_says_how_to_go_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    result = desk.call("new", "shop")
    assert result.exit_code == 0
    assert "cd shop\n  flowlang dev" in result.stderr
    assert (Path("shop") / "flowlang.yaml").is_file()


@pytest.mark.parametrize("present", sorted(FILES))
def test_nothing_is_written_when_a_file_is_in_the_way(desk: Desk, present: str) -> None:
    folder = desk.folder / "shop"
    (folder / present).parent.mkdir(parents=True)
    (folder / present).write_text("mine")
    result = desk.call("new", "shop", "--into", str(folder))
    assert result.exit_code == 2
    assert f"{present} is there already; nothing was written" in result.stderr
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / present]
    assert (folder / present).read_text() == "mine"


def test_other_files_of_the_folder_stay(desk: Desk) -> None:
    (desk.folder / "shop").mkdir()
    (desk.folder / "shop/notes.txt").write_text("mine")
    assert desk.call("new", "shop", "--into", str(desk.folder / "shop")).exit_code == 0
    assert (desk.folder / "shop/notes.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said(desk: Desk) -> None:
    (desk.folder / "file").write_text("")
    result = desk.call("new", "shop", "--into", str(desk.folder / "file/shop"))
    assert result.exit_code == 2
    assert "cannot write" in result.stderr


@pytest.mark.parametrize(
    ("name", "near"), [("My Shop", "my-shop"), ("9lives", "lives"), ("../up", "up"), ("é", "my-project")]
)
def test_a_name_that_is_none_is_misuse_with_a_near_one(desk: Desk, name: str, near: str) -> None:
    result = desk.call("new", name)
    assert result.exit_code == 2
    assert f"such as `{near}`" in result.stderr
