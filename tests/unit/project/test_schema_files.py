"""Schema files: strict JSON with places, names of events, and references that are followed within the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowlang.engine.schemas import EventValidator
from flowlang.project import Project, load_project
from tests.unit.project.projects import PIPELINE, places, write_project


def load(folder: Path, files: dict[str, Any]) -> Project:
    texts = {path: content if isinstance(content, str) else json.dumps(content) for path, content in files.items()}
    return load_project(write_project(folder, {"pipelines/p.yaml": PIPELINE, **texts}), entry_points=False)


def event(project: Project, name: str) -> Any:
    assert project.manifest is not None, places(project.diagnostics)
    return next(schema for schema in project.manifest.events if schema.name == name).schema


SYNTAX = {
    "a comma too many": ('{\n  "type": "object",\n}', "2:19", "this is no JSON: a comma may not follow the last item"),
    "a comma too few": ('{\n  "a": 1\n  "b": 2\n}', "3:3", "this is no JSON: a comma or the closing bracket is expected here"),
    "an empty file": ("", "1:1", "this is no JSON: a value is expected here"),
    "a comment": ("{} // yes", "1:4", "this is no JSON: nothing may follow the value"),
    "a comma before a bracket": ("[1,\n ]", "1:3", "this is no JSON: a comma may not follow the last item"),
    "a key without quotes": ("{type: 1}", "1:2", "this is no JSON: a key in double quotes is expected here"),
    "an open text": ('{"a": "b\n}', "1:9", "this is no JSON: a text holds a character that must be written as an escape"),
    "an open end": ('{"a": "b', "1:7", "this is no JSON: the text that begins here has no closing quote"),
    "an unknown escape": ('"\\x"', "1:2", "this is no JSON: the text holds an escape that JSON does not have"),
    "no colon": ('{"a" 1}', "1:6", "this is no JSON: a colon is expected here"),
    "a key twice": ('{"a": {},\n "a": 1}', "2:2", "the key `a` is written twice"),
    "a key twice, inside": ('{"é": [{"x\\u0079": 1, "xy": 2}]}', "1:23", "the key `xy` is written twice"),
    "no number": ('{"minimum": NaN}', "1:1", "this is no JSON that we take: NaN is not JSON"),
    "beyond 64 bits": ('{"minimum": 9223372036854775808}', "1:1", "this is no JSON that we take: minimum: 9223372036854775808 is beyond 64 bits"),
}  # fmt: skip


@pytest.mark.parametrize("name", SYNTAX)
def test_a_file_that_is_no_json_is_found_at_its_place(tmp_path: Path, name: str) -> None:
    text, place, message = SYNTAX[name]
    project = load(tmp_path, {"schemas/events/a.json": text})
    (item,) = project.diagnostics
    assert places([item]) == [("FL117", f"schemas/events/a.json:{place}")]
    assert item.message.startswith(message)


PLACES = {
    "a value": ('{\n  "properties": {\n    "a": {"type": "strng"}\n  }\n}', ["3:19"]),
    "a key, where the value is a map": ('{\n  "type": {}\n}', ["2:3"]),
    "an item of a list": ('{"anyOf": [true, 5]}', ["1:18"]),
    "the whole": ("[]", ["1:1"]),
    "several": ('{"minLength": -1, "a \\" b": 1, "maxLength": "x"}', ["1:15", "1:45"]),
    "a key of patterns": ('{"patternProperties": {"(": {}}}', ["1:24"]),
    "behind a byte order mark": ('﻿{"type": 1}', ["1:10"]),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_mistake_in_a_schema_is_found_where_it_is_written(tmp_path: Path, name: str) -> None:
    text, expected = PLACES[name]
    found = load(tmp_path, {"schemas/events/a.json": text}).diagnostics
    assert places(found) == [("FL117", f"schemas/events/a.json:{place}") for place in expected]


def test_the_name_of_an_event_is_its_path(tmp_path: Path) -> None:
    project = load(tmp_path, {"schemas/events/a/b.c-d.json": {"type": "object"}, "schemas/events/x.JSON": {}})
    assert project.manifest is not None
    assert [(each.name, each.path) for each in project.manifest.events] == [
        ("a/b.c-d", "schemas/events/a/b.c-d.json"),
        ("x", "schemas/events/x.JSON"),
    ]


@pytest.mark.parametrize(
    ("path", "code", "hint"),
    [
        ("Video/Uploaded.json", "FL105", "rename it to `schemas/events/video/uploaded.json`"),
        ("a b.json", "FL105", "rename it to `schemas/events/a-b.json`"),
        ("_a.json", "FL105", "names are lower-case segments of letters, digits and `. _ -`, joined by `/`"),
        ("pipeline/p.succeeded.json", "FL119", "remove the file, or put it below another folder"),
        ("schedule/tick.json", "FL119", "remove the file, or put it below another folder"),
    ],
)
def test_a_path_that_is_no_name_of_an_event_is_found(tmp_path: Path, path: str, code: str, hint: str) -> None:
    project = load(tmp_path, {f"schemas/events/{path}": {}})
    (item,) = project.diagnostics
    assert (places([item]), item.hint) == ([(code, f"schemas/events/{path}:1:1")], hint)


def test_an_event_whose_schema_has_mistakes_is_not_said_to_have_none(tmp_path: Path) -> None:
    trigger = "flowlang: 1\npipeline: p\ntriggers: [{event: a}]\nsteps:\n  - {id: s, set: {x: 1}}\n"
    project = load(tmp_path, {"pipelines/p.yaml": trigger, "schemas/events/a.json": {"type": 1}})
    assert places(project.diagnostics) == [("FL117", "schemas/events/a.json:1:10")]


def test_other_schemas_are_read_only_when_something_refers_to_them(tmp_path: Path) -> None:
    project = load(tmp_path, {"schemas/pipeline.json": "generated, or not"})
    assert places(project.diagnostics) == []
    assert "schemas/pipeline.json" not in project.sources


# References ---------------------------------------------------------------------------------------------------------

MONEY = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://x/money.json", "type": "object",
         "properties": {"cents": {"$ref": "#/$defs/cents"}}, "required": ["cents"],
         "$defs": {"cents": {"type": "integer", "minimum": 0}}}  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "good", "bad"),
    [
        ("../common/money.json", {"cents": 1}, {"cents": -1}),
        ("../common/money.json#", {"cents": 1}, {}),
        ("../common/money.json#/$defs/cents", 1, -1),
        ("./../common/./money.json#/%24defs/cents", 1, "1"),
    ],
)
def test_references_to_files_are_followed_and_put_into_the_schema(
    tmp_path: Path, reference: str, good: Any, bad: Any
) -> None:
    order = {"properties": {"total": {"$ref": reference}}, "$defs": {"common.money.json": {"type": "null"}}}
    project = load(tmp_path, {"schemas/events/order.json": order, "schemas/common/money.json": MONEY})
    schema = event(project, "order")
    assert "money.json" not in schema["properties"]["total"]["$ref"].removeprefix("#/$defs/schemas.common.money.json")
    assert EventValidator(schema).check({"total": good}).ok
    assert not EventValidator(schema).check({"total": bad}).ok


def test_files_that_refer_to_one_another_in_a_circle_end(tmp_path: Path) -> None:
    files = {
        "schemas/events/tree.json": {"properties": {"left": {"$ref": "../node.json"}, "n": {"type": "integer"}}},
        "schemas/node.json": {
            "properties": {"up": {"$ref": "events/tree.json"}, "next": {"$ref": "#"}, "deep": {"$ref": "leaf.json"}}
        },
        "schemas/leaf.json": {"properties": {"back": {"$ref": "node.json#/properties/up"}}, "required": ["back"]},
    }
    validator = EventValidator(event(load(tmp_path, files), "tree"))
    assert validator.check({"left": {"up": {"n": 1}, "next": {"deep": {"back": {"n": 2}}}}}).ok
    assert not validator.check({"left": {"up": {"n": "1"}}}).ok
    assert not validator.check({"left": {"next": {"deep": {}}}}).ok
    assert not validator.check({"left": {"next": {"deep": {"back": {"n": "2"}}}}}).ok


def test_a_reference_is_data_where_the_schema_has_data(tmp_path: Path) -> None:
    schema = {"enum": [{"$ref": "nowhere.json"}], "properties": {"$ref": {"type": "string"}}}
    assert event(load(tmp_path, {"schemas/events/a.json": schema}), "a") == schema


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("https://example.com/a.json", "`https://example.com/a.json` lies elsewhere, and nothing is fetched",
         "put the schema below `schemas/` and refer to it by its path"),
        ("//example.com/a.json", "`//example.com/a.json` lies elsewhere, and nothing is fetched",
         "put the schema below `schemas/` and refer to it by its path"),
        ("file:///etc/passwd", "`file:///etc/passwd` lies elsewhere, and nothing is fetched",
         "put the schema below `schemas/` and refer to it by its path"),
        ("../../../etc/passwd", "there is no schema file `../etc/passwd`", None),
        ("/etc/passwd", "there is no schema file `/etc/passwd`", None),
        ("../mony.json", "there is no schema file `schemas/mony.json`", "did you mean `../money.json`?"),
        ("#/$defs/nothing", "`#/$defs/nothing` leads to nothing", None),
        ("../money.json#/$defs/nothing", "`../money.json#/$defs/nothing` leads to nothing", None),
    ],
)  # fmt: skip
def test_a_reference_that_cannot_be_followed_is_found(
    tmp_path: Path, reference: str, message: str, hint: str | None
) -> None:
    text = f'{{"items": {{\n  "$ref": "{reference}"}}}}'
    project = load(tmp_path, {"schemas/events/a.json": text, "schemas/money.json": MONEY})
    (item,) = project.diagnostics
    assert (item.message, item.hint) == (message, hint)
    assert places([item]) == [("FL117", "schemas/events/a.json:2:11")]


def test_a_mistake_in_a_file_that_two_refer_to_is_found_once_and_there(tmp_path: Path) -> None:
    files = {
        "schemas/events/a.json": {"$ref": "../broken.json"},
        "schemas/events/b.json": {"$ref": "../half.json"},
        "schemas/events/c.json": {"$ref": "../half.json"},
        "schemas/broken.json": {"type": "strng"},
        "schemas/half.json": {"$ref": "gone.json"},
    }
    project = load(tmp_path, files)
    assert places(project.diagnostics) == [("FL117", "schemas/broken.json:1:10"), ("FL117", "schemas/half.json:1:10")]


def test_an_anchor_that_is_not_there_is_found_when_the_whole_is_put_together(tmp_path: Path) -> None:
    project = load(tmp_path, {"schemas/events/a.json": {"$ref": "#nowhere"}})
    assert [item.message.partition(":")[0] for item in project.diagnostics] == ["the schema cannot be used"]


# Inputs of pipelines ------------------------------------------------------------------------------------------------


def with_input(written: str) -> str:
    return f"flowlang: 1\npipeline: p\ninput: {written}\nsteps:\n  - {{id: a, set: {{x: 1}}}}\n"


def test_an_input_that_names_a_file_is_its_schema(tmp_path: Path) -> None:
    files = {
        "pipelines/p.yaml": with_input("schemas/order.json"),
        "schemas/order.json": {"$ref": "money.json"},
        "schemas/money.json": MONEY,
    }
    schema = load(tmp_path, files).plans["p"].input_schema
    assert EventValidator(schema).check({"cents": 1}).ok
    assert not EventValidator(schema).check({"cents": -1}).ok


def test_an_input_that_names_no_file_is_found(tmp_path: Path) -> None:
    project = load(tmp_path, {"pipelines/p.yaml": with_input("schemas/ordr.json"), "schemas/order.json": "{"})
    (item,) = project.diagnostics
    assert (places([item]), item.hint) == ([("FL125", "pipelines/p.yaml:3:8")], "did you mean `schemas/order.json`?")


def test_an_input_whose_file_has_mistakes_is_found_there_alone(tmp_path: Path) -> None:
    project = load(tmp_path, {"pipelines/p.yaml": with_input("schemas/order.json"), "schemas/order.json": "{"})
    assert places(project.diagnostics) == [("FL117", "schemas/order.json:1:2")]
    assert project.manifest is None


def test_a_schema_in_a_pipeline_is_checked_where_it_is_written(tmp_path: Path) -> None:
    project = load(tmp_path, {"pipelines/p.yaml": with_input("{type: object, properties: {a: {type: strng}}}")})
    assert places(project.diagnostics) == [("FL117", "pipelines/p.yaml:3:46")]


def test_references_of_a_schema_in_a_pipeline_are_paths_from_the_root(tmp_path: Path) -> None:
    written = "{properties: {m: {$ref: schemas/money.json}, n: {$ref: '#/properties/m'}}}"
    project = load(tmp_path, {"pipelines/p.yaml": with_input(written), "schemas/money.json": MONEY})
    validator = EventValidator(project.plans["p"].input_schema)
    assert validator.check({"m": {"cents": 1}, "n": {"cents": 2}}).ok
    assert not validator.check({"n": {"cents": -2}}).ok
