"""Python types of events: what type checkers make of them, and what stays the same at run time."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter, ValidationError

from flowlang.cli.root import cli
from flowlang.editing.event_types import event_types
from flowlang.project import load_project
from tests.unit.project.projects import write_project

ROOT = Path(__file__).parents[3]

SCHEMAS: dict[str, Any] = {
    "shop/order-placed": {
        "description": 'Somebody has """ordered""".',
        "type": "object",
        "properties": {
            "email": {"type": "string", "description": "Where the receipt goes."},
            "state": {"enum": ["new", "paid", None]},
            "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
            "totals": {"type": "object", "additionalProperties": {"type": "integer"}},
            "note": {"type": ["string", "null"]},
            "how": {"anyOf": [{"const": 1}, {"type": "boolean"}]},
            "parent": {"$ref": "#/$defs/node"},
            "other": {},
        },
        "required": ["email", "lines"],
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    },
    "odd/names": {"type": "object", "properties": {"content-type": {"type": "string"}, "class": {"type": "number"}},
                  "required": ["class"]},
    "odd/list": {"type": "array", "items": {"type": "integer"}},
    "9/any": True,
}  # fmt: skip

USE = """\
from made import Event9Any, OddList, OddNames, ShopOrderPlaced

order: ShopOrderPlaced = {"email": "a", "lines": [{"sku": "x"}], "state": None, "totals": {"a": 1}, "how": True}
order["parent"] = {"next": {"next": {}}}
text: str = order["lines"][0].get("sku", "")
odd: OddNames = {"class": 1.5, "content-type": "x"}
numbers: OddList = [1, 2]
anything: Event9Any = numbers
"""

WRONG = """\
from made import OddList, ShopOrderPlaced

missing: ShopOrderPlaced = {"email": "a"}
wrong: ShopOrderPlaced = {"email": 3, "lines": []}
numbers: OddList = ["x"]
"""


def checked(folder: Path, **files: str) -> list[str]:
    """What mypy says in its strictest mode."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-incremental",
            "--config-file=",
            "--no-error-summary",
            *(f"{name}.py" for name in files),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def test_type_checkers_take_the_types_of_all_kinds_of_schemas(tmp_path: Path) -> None:
    assert checked(tmp_path, made=event_types(SCHEMAS), use=USE) == []


def test_type_checkers_find_what_does_not_fit(tmp_path: Path) -> None:
    found = checked(tmp_path, made=event_types(SCHEMAS), wrong=WRONG)
    assert [line.split(":")[1] for line in found] == ["3", "4", "5"]


def test_the_types_of_what_ships_are_types(tmp_path: Path) -> None:
    schemas = {name: event.schema for name, event in load_project(ROOT).inputs.schemas.items()}
    text = event_types(schemas)
    assert checked(tmp_path, made=text) == []
    assert "class VideoUploaded(TypedDict):" in text


def test_a_handler_with_such_a_hint_gets_its_data_checked_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_events.py").write_text(event_types(SCHEMAS))
    monkeypatch.syspath_prepend(str(tmp_path))
    made = vars(importlib.import_module("made_events"))["ShopOrderPlaced"]
    adapter: TypeAdapter[Any] = TypeAdapter(made)
    data = {"email": "a@example.com", "lines": [{"sku": "x", "more": 1}], "extra": {"is": "kept"}}
    assert adapter.validate_python(data) == data
    with pytest.raises(ValidationError, match="email"):
        adapter.validate_python({"lines": []})


@pytest.mark.parametrize("name", ["a/b", "A", "list", "none", "typed-dict", "class"])
def test_names_of_classes_do_not_hide_others(name: str, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "array", "items": {}}}}
    assert checked(tmp_path, made=event_types({name: schema, "any": schema, f"{name}/": schema})) == []


def test_the_command_prints_writes_and_compares(tmp_path: Path) -> None:
    schema = '{"type": "object", "properties": {"x": {"type": "string"}}}'
    write_project(tmp_path, {"schemas/events/a/b.json": schema})

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["types", *arguments, "--project", str(tmp_path)])

    file = tmp_path / "handlers" / "events.py"
    assert "class AB(TypedDict):" in call().stdout
    assert call("--check", str(file)).exit_code == 1
    assert call("--write", str(file)).exit_code == 0
    assert call("--check", str(file)).exit_code == 0
    file.write_text("")
    assert f"run `flowlang types --write {file}`" in call("--check", str(file)).stderr
    assert call("--check", "x", "--write", "y").exit_code == 2
