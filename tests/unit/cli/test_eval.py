"""Evaluating one expression: values on stdout, what is wrong on stderr with a caret, types checked where a schema is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowlang.cli.commands import eval as eval_command
from flowlang.clock import ManualClock
from tests.unit.cli.desk import Desk

ORDER = {"order": {"id": "o1", "cents": 1900, "lines": [{"sku": "a", "cents": 1900}, {"sku": "b", "cents": 250}]}}
SCHEMA = {
    "type": "object",
    "required": ["order"],
    "properties": {
        "order": {
            "type": "object",
            "required": ["id", "cents"],
            "properties": {"id": {"type": "string"}, "cents": {"type": "number"}, "note": {"type": "string"}},
        },
        "extra": {"type": "string"},
    },
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Data and a schema."""
    found = {}
    for name, content in {"order": ORDER, "schema": SCHEMA, "list": [1], "open": {"type": ["object", "null"]}}.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        found[name] = str(path)
    return found


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1 + 1", "2"),
        ("order.cents > 1000 && order.id == 'o1'", "true"),
        ("order.lines.map(line, line.sku)", '["a", "b"]'),
        ("{'é': 1.5, 'n': null}", '{"é": 1.5, "n": null}'),
        ("timestamp(order.cents)", '"1970-01-01T00:31:40Z"'),
        ("order.?note", "optional.none()"),
        ("[1.0 / 0.0, double('NaN')]", "[double('Infinity'), double('NaN')]"),
        ("{1: type(order)}", "{1: map}"),
        ("'\\u202e\\u0007\\u009b'", '"\\u202e\\u0007\\u009b"'),
    ],
)
def test_a_value_is_written_as_json_or_else_as_an_expression(
    desk: Desk, files: dict[str, str], text: str, written: str
) -> None:
    result = desk.call("eval", text, "--data", files["order"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{written}\n", "")


def test_expression_data_and_schema_come_from_stdin_too(desk: Desk, files: dict[str, str]) -> None:
    assert desk.call("eval", "-", "-d", files["order"], text="order.id //\n  + '!'\n").stdout == '"o1!"\n'
    assert desk.call("eval", "a", "-d", "-", text='{"a": 1}').stdout == "1\n"
    assert desk.call("eval", "a", "--schema", "-", text='{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}').stdout == "string\n"  # fmt: skip
    twice = desk.call("eval", "-", "-d", "-", text="a")
    assert (twice.exit_code, "stdin can be read only once" in twice.stderr) == (2, True)


def test_an_expression_without_a_value_is_shown_with_a_caret(desk: Desk, files: dict[str, str]) -> None:
    result = desk.call("eval", "1 == 1 &&\n  ordr.cents > 1", "-d", files["order"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "error[no_such_name]: unknown name `ordr`; did you mean `order`?",
        " --> expression:2:3",
        "  |",
        "2 |   ordr.cents > 1",
        "  |   ^^^^",
    ]


def test_without_data_there_are_no_names(desk: Desk) -> None:
    result = desk.call("eval", "order")
    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        1,
        "error[no_such_name]: unknown name `order`; there are none",
    )


def test_all_that_is_wrong_with_a_text_is_shown_with_hints(desk: Desk) -> None:
    result = desk.call("eval", "siz('a') + upper('b')")
    assert result.exit_code == 1
    assert result.stderr.count("error[syntax]") == 2
    assert "  = help: did you mean `size`?" in result.stderr.splitlines()


def test_problems_are_coloured_on_request(desk: Desk) -> None:
    assert "\x1b[1;31merror[syntax]" in desk.call("eval", "1 +", "--color", "always").stderr
    assert "\x1b[" not in desk.call("eval", "1 +").stderr


def test_an_explanation_is_talk_and_the_value_is_data(desk: Desk, files: dict[str, str]) -> None:
    result = desk.call("eval", "order.id == 'o2' || order.cents > 1000", "-d", files["order"], "--explain")
    assert (result.exit_code, result.stdout) == (0, "true\n")
    assert result.stderr.splitlines() == [
        "order.id == 'o2' || order.cents > 1000  true",
        "  order.id == 'o2'                      false",
        "    order.id                            'o1'",
        "  order.cents > 1000                    true",
        "    order.cents                         1900",
    ]


def test_an_error_is_explained(desk: Desk, files: dict[str, str]) -> None:
    result = desk.call("eval", "order.note + '!'", "-d", files["order"], "--explain")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "order {'id': 'o1', 'cents': 1900, … 1 more}" in " ".join(result.stderr.split())
    assert "error[no_such_field]: no such field `note`" in result.stderr


def test_a_program_gets_value_expression_and_parts(desk: Desk, files: dict[str, str]) -> None:
    assert desk.read("eval", "duration('1h')") == {"value": "3600s", "cel": "duration('3600s')"}
    assert desk.read("eval", "optional.of(1)") == {"cel": "optional.of(1)"}
    explained = desk.read("eval", "order.lines.exists(l, l.sku == 'b')", "-d", files["order"], "--explain")[
        "explanation"
    ]
    assert (explained["state"], explained["value"], explained["turn_count"]) == ("value", True, 2)
    assert explained["turns"][1]["variables"] == {"l": {"shown": "{'sku': 'b', 'cents': 250}"}}
    assert explained["turns"][1]["parts"][0]["parts"][0] | {"parts": []} == {
        "text": "l.sku", "start": 22, "end": 27, "state": "value", "value": "b", "shown": "'b'", "parts": [],
    }  # fmt: skip


def test_a_program_gets_errors_with_places(desk: Desk, files: dict[str, str]) -> None:
    broken = desk.read("eval", "1 +", status=1)["error"]
    assert (broken["kind"], broken["problems"][0]["code"]) == ("expression", "syntax")
    failed = desk.read("eval", "order.note", "-d", files["order"], "--explain", status=1)
    assert failed["error"]["kind"] == "evaluation"
    assert failed["error"]["problems"] == [
        {
            "code": "no_such_field",
            "message": failed["error"]["message"],
            "hint": None,
            "start": {"offset": 6, "line": 1, "column": 7},
            "end": {"offset": 10, "line": 1, "column": 11},
        }
    ]
    assert failed["explanation"]["error"]["code"] == "no_such_field"
    assert failed["explanation"]["parts"][0]["state"] == "value"


def test_with_a_schema_types_are_checked_before_anything_is_evaluated(desk: Desk, files: dict[str, str]) -> None:
    given = ("-d", files["order"], "--schema", files["schema"])
    wrong = desk.call("eval", "order.idd == 'x' && order.note == 'y' && order.cents + 'z' == 'z'", *given)
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert [line.partition(":")[0] for line in wrong.stderr.splitlines() if line.startswith("error")] == [
        "error[unknown-field]",
        "error[may-be-missing]",
        "error[wrong-type]",
    ]
    right = desk.call("eval", "order.cents / 100.0", *given, "--explain")
    assert (right.exit_code, right.stdout, right.stderr.splitlines()[-1]) == (0, "19.0\n", "type: double")
    assert desk.read("eval", "order.cents", *given) == {"type": "double", "value": 1900.0, "cel": "1900.0"}


def test_names_are_those_of_the_schema(desk: Desk, files: dict[str, str]) -> None:
    unknown = desk.call("eval", "ordr.id", "--schema", files["schema"])
    assert (unknown.exit_code, "error[unknown-name]" in unknown.stderr) == (1, True)
    missing = desk.call("eval", "extra + extra", "--schema", files["schema"])
    assert missing.exit_code == 1
    assert missing.stderr.count("error[may-be-missing]: `extra` may be missing") == 2
    assert "= help: list it under `required` in the schema" in missing.stderr


def test_a_schema_without_data_only_checks(desk: Desk, files: dict[str, str]) -> None:
    result = desk.call("eval", "[order.id]", "--schema", files["schema"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, "list<string>\n", "")
    assert desk.read("eval", "order.cents > 1.0", "--schema", files["schema"]) == {"type": "bool"}


def test_a_schema_that_says_nothing_of_names_leaves_them_open(desk: Desk, files: dict[str, str]) -> None:
    assert desk.call("eval", "order.id", "--schema", files["open"], "-d", files["order"]).stdout == '"o1"\n'


def test_data_that_does_not_fit_its_schema_is_refused(desk: Desk, files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"order": {"id": 1}}')
    given = ("eval", "order.id", "-d", str(tmp_path / "bad.json"), "--schema", files["schema"])
    result = desk.call(*given)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: the data does not fit the schema: data.")
    assert "data.order.id" in result.stderr
    assert "data.order.cents" in result.stderr
    assert desk.read(*given, status=1)["error"]["kind"] == "data"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' is written twice in one object"),
        ('{"a": ', "not JSON: Expecting value at line 1, column 7"),
        ('{"a": NaN}', "NaN is not JSON"),
        ("[1]", 'holds a list; its keys are the names, so give an object: {"order"'),
        ('"a"', "holds a text"),
        ("12", "holds a number"),
        ("true", "holds a bool"),
        ("null", "holds null"),
        (b"\xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_used_is_a_misuse(desk: Desk, tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = desk.call("eval", "a", "--data", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert "data.json" in result.stderr


def test_files_that_are_not_there_and_schemas_that_are_none_are_a_misuse(
    desk: Desk, files: dict[str, str], tmp_path: Path
) -> None:
    assert "'nope.json' does not exist" in desk.call("eval", "1", "--data", "nope.json").stderr
    (tmp_path / "type.json").write_text('{"type": "strin"}')
    for schema, says in (
        (files["list"], "is no JSON Schema: that is an object"),
        (str(tmp_path / "type.json"), "cannot be used"),
    ):
        result = desk.call("eval", "1", "--schema", schema)
        assert (result.exit_code, says in result.stderr) == (2, True)
    assert desk.call("eval").exit_code == 2
    broken = desk.call("eval", "a\udcff")
    assert (broken.exit_code, "is not UTF-8 text" in broken.stderr) == (2, True)


def test_now_and_uuid_are_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval_command, "CLOCK", ManualClock(1_767_225_600_000))
    moment, first, second = desk.read("eval", "[string(now()), uuid(), uuid()]")["value"]
    assert moment == "2026-01-01T00:00:00Z"
    assert len({first, second, desk.read("eval", "uuid()")["value"]}) == 3
