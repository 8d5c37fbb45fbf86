"""What is shown: colours where they are wanted, tables that line up, nothing that steers a terminal."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest

from flowlang.cli.console import Console
from flowlang.cli.shapes import error_text, moment, plural, took


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("flag", "environ", "terminal", "colored"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "0"}, False, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colours_follow_flag_then_environment_then_terminal(
    flag: str, environ: Mapping[str, str], terminal: bool, colored: bool
) -> None:
    stream = Terminal() if terminal else io.StringIO()
    assert Console(environ, flag).colors(stream) is colored


def test_columns_are_as_wide_as_their_widest_cell_with_and_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["a", "failed", "x"], ["日本", "ok", "y"]]
    Console({}, "never").table(["NAME", "STATUS", "LAST"], rows)
    plain = capsys.readouterr().out
    assert plain.splitlines() == ["NAME  STATUS  LAST", "a     failed  x", "日本  ok      y"]
    Console({}, "always").table(["NAME", "STATUS", "LAST"], rows)
    painted = capsys.readouterr().out
    assert "\x1b[1;31mfailed\x1b[0m  x" in painted


def test_a_cell_is_one_bounded_line_that_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Console({}).table(["TEXT"], [["two\nlines \x1b[31m"], ["x" * 200]])
    _, first, second = capsys.readouterr().out.splitlines()
    assert first == "two lines �[31m"
    assert len(second) == 80
    assert second.endswith("…")


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Console({}).table(["NAME"], [])
    assert capsys.readouterr().out == ""


def test_documents_have_a_version_and_may_stand_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Console({}, as_json=True, as_lines=True).document({"name": "é"})
    assert capsys.readouterr().out == '{"schema_version":1,"name":"é"}\n'
    Console({}, as_json=True).document({"name": "é"})
    assert json.loads(capsys.readouterr().out) == {"schema_version": 1, "name": "é"}


def test_talk_goes_to_stderr_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console({})
    console.say("one\x1b")
    console.warn("two")
    console.fail("three\nfour")
    assert capsys.readouterr() == ("", "one�\nwarning: two\nerror: three\nfour\n")


@pytest.mark.parametrize(
    ("started", "ended", "shown"),
    [
        (None, None, "-"),
        ("2026-01-01T00:00:00.000Z", None, "-"),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z", "0ms"),
        ("2026-01-01T00:00:00.000Z", "2026-01-01T00:01:02.005Z", "1m2s5ms"),
        ("2026-01-01T00:00:01.000Z", "2026-01-01T00:00:00.000Z", "0ms"),
    ],
)
def test_how_long_something_took(started: str | None, ended: str | None, shown: str) -> None:
    assert took(started, ended) == shown


def test_short_texts() -> None:
    assert moment("2026-01-01T12:00:03.120Z") == "2026-01-01 12:00:03"
    assert moment(None) == "-"
    assert error_text({"class": "permanent", "code": "pay.declined", "message": "no"}) == "permanent/pay.declined: no"
    assert error_text({"class": "bug", "code": "", "message": ""}) == "bug"
    assert error_text(None) == ""
    assert [plural(1, "run"), plural(2, "run"), plural(2, "process")] == ["1 run", "2 runs", "2 processes"]
