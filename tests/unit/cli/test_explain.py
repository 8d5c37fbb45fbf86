"""`flowlang explain`: the text of a code, by its number or its name."""

from __future__ import annotations

import pytest

from flowlang.diagnostics import CODES
from tests.unit.cli.desk import Desk


@pytest.mark.parametrize("word", ["FL214", "fl214", "unknown-field"])
def test_a_code_is_explained_by_number_and_by_name(desk: Desk, word: str) -> None:
    shown = desk.call("explain", word)
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[:3] == ["FL214 unknown-field", "", CODES["FL214"].sentence]
    assert [line for line in lines if line in {"Bad", "Good", "Fix"}] == ["Bad", "Good", "Fix"]
    assert "      - {id: a, if: event.data.totl > 10.0, set: {x: 1}}" in lines
    assert "```" not in shown.stdout
    assert lines[-1].endswith("/docs/rules/FL214.md")


def test_files_of_an_example_are_named(desk: Desk) -> None:
    assert "flowlang.yaml:\n    flowlang: 1\n" in desk.call("explain", "FL118").stdout


def test_without_a_code_all_are_listed(desk: Desk) -> None:
    lines = desk.call("explain").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == sorted(CODES)


def test_programs_get_the_parts(desk: Desk) -> None:
    (entry,) = desk.read("explain", "FL218")["codes"]
    assert (entry["code"], entry["slug"]) == ("FL218", "unbounded-wait")
    assert entry["bad"].startswith("```yaml\n")
    assert len(desk.read("explain")["codes"]) == len(CODES)


@pytest.mark.parametrize(
    ("word", "hint"), [("FL2144", "`FL214`"), ("unknown-feild", "`unknown-field`"), ("x", "lists all")]
)
def test_what_is_no_code_is_refused(desk: Desk, word: str, hint: str) -> None:
    refused = desk.call("explain", word)
    assert refused.exit_code == 2
    assert hint in refused.stderr
