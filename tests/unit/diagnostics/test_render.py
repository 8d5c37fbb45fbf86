from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.diagnostics import SCHEMA_VERSION, Diagnostic, Format, Label, Severity, has_errors, render
from flowlang.source import SourceText

SOURCE = SourceText("a.yaml", "flowlang: 1\nstpes:\n  - id: a\n  - id: a\n")
OTHER = SourceText("b.py", "def f():\n    ...\n")
SOURCES = {"a.yaml": SOURCE, "b.py": OTHER}

UNKNOWN = Diagnostic("FL101", "`stpes` is not a key of a pipeline", SOURCE.span(12, 17), hint="did you mean `steps`?")
TWICE = Diagnostic(
    "FL110",
    "two steps have the id `a`",
    SOURCE.span(37, 38),
    labels=(Label(SOURCE.span(27, 28), "the first one"), Label(OTHER.span(4, 5), "its handler")),
    caret="again",
)
ODD = Diagnostic("FL304", "not yet", SOURCE.span(0, 8), severity=Severity.WARNING)


def test_text_shows_the_line_a_caret_the_labels_and_the_hint() -> None:
    assert render([TWICE, UNKNOWN], SOURCES) == (
        "error[FL101]: `stpes` is not a key of a pipeline\n"
        " --> a.yaml:2:1\n"
        "  |\n"
        "2 | stpes:\n"
        "  | ^^^^^\n"
        "  |\n"
        "  = help: did you mean `steps`?\n"
        "\n"
        "error[FL110]: two steps have the id `a`\n"
        " --> a.yaml:4:9\n"
        "  |\n"
        "4 |   - id: a\n"
        "  |         ^ again\n"
        "  |\n"
        "3 |   - id: a\n"
        "  |         - the first one\n"
        " ::: b.py:1:5\n"
        "  |\n"
        "1 | def f():\n"
        "  |     - its handler\n"
        "\n"
        "2 errors in 2 files\n"
    )


def test_concise_has_one_line_for_each_finding_and_the_count() -> None:
    assert render([TWICE, ODD], SOURCES, output_format=Format.CONCISE, files=1).splitlines() == [
        "a.yaml:1:1: warning: not yet [FL304]",
        "a.yaml:4:9: error: two steps have the id `a` [FL110]",
        "1 error, 1 warning in 1 file",
    ]


def test_json_has_a_schema_version_positions_and_counts() -> None:
    document = json.loads(render([UNKNOWN, ODD], SOURCES, output_format=Format.JSON))
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["summary"] == {"files": 2, "errors": 1, "warnings": 1, "infos": 0, "suppressed": 0}
    assert document["diagnostics"][1] == {
        "code": "FL101",
        "slug": "unknown-key",
        "severity": "error",
        "message": "`stpes` is not a key of a pipeline",
        "hint": "did you mean `steps`?",
        "url": "https://github.com/flowlang/flowlang/blob/main/docs/rules/FL101.md",
        "fingerprint": document["diagnostics"][1]["fingerprint"],
        "path": "a.yaml",
        "start": {"offset": 12, "line": 2, "column": 1},
        "end": {"offset": 17, "line": 2, "column": 6},
        "labels": [],
        "fix": None,
    }


def test_without_findings_there_is_only_the_count() -> None:
    assert render([], SOURCES, files=3) == "no findings in 3 files\n"


def test_the_same_finding_is_shown_once() -> None:
    assert render([UNKNOWN, UNKNOWN], SOURCES) == render([UNKNOWN], SOURCES)


def test_colour_changes_nothing_but_the_sequences() -> None:
    colored = render([UNKNOWN, TWICE], SOURCES, color=True)
    plain = colored
    for sequence in ("0", "1", "34", "1;31", "1;34"):
        plain = plain.replace(f"\x1b[{sequence}m", "")
    assert plain == render([UNKNOWN, TWICE], SOURCES)
    assert "\x1b[1;31merror[FL101]" in colored


def test_a_wide_character_and_a_tab_do_not_move_the_caret() -> None:
    source = SourceText("w.yaml", "a: 日本 x\n\tb: y")
    wide = Diagnostic("FL104", "x", source.span(6, 7))
    tab = Diagnostic("FL104", "y", source.span(12, 13))
    lines = render([wide, tab], {"w.yaml": source}).splitlines()
    assert lines[3:5] == ["1 | a: 日本 x", "  |         ^"]
    assert lines[9:11] == ["2 |  b: y", "  |     ^"]


def test_a_file_cannot_steer_the_terminal() -> None:
    source = SourceText("e.yaml", "a: \x1b[31mred\x07")
    shown = render([Diagnostic("FL002", "found \x1b[0m", source.span(3, 4))], {"e.yaml": source})
    assert "\x1b" not in shown
    assert "a: �[31mred�" in shown


def test_a_long_line_is_cut_around_the_place() -> None:
    source = SourceText("l.yaml", "x" * 500 + "HERE" + "y" * 500)
    lines = render([Diagnostic("FL104", "m", source.span(500, 504))], {"l.yaml": source}).splitlines()
    assert len(lines[3]) < 160
    assert lines[3].index("HERE") == lines[4].index("^^^^")
    assert lines[3].startswith("1 | …x")
    assert lines[3].endswith("y…")


def test_a_finding_in_an_unknown_file_is_shown_without_an_excerpt() -> None:
    assert render([UNKNOWN], {}, files=1).splitlines() == [
        "error[FL101]: `stpes` is not a key of a pipeline",
        " --> a.yaml:2:1",
        "  = help: did you mean `steps`?",
        "",
        "1 error in 1 file",
    ]


def test_only_errors_count_as_errors() -> None:
    assert has_errors([UNKNOWN, ODD])
    assert not has_errors([ODD])


def test_a_code_outside_the_table_is_refused() -> None:
    with pytest.raises(AssertionError, match="FL999"):
        Diagnostic("FL999", "m", SOURCE.span(0, 1))


@given(st.text(max_size=40), st.integers(0, 40), st.integers(0, 40), st.sampled_from(list(Format)))
def test_any_place_in_any_text_can_be_shown(text: str, start: int, end: int, output_format: Format) -> None:
    source = SourceText("any", text)
    shown = render(
        [Diagnostic("FL104", text, source.span(start, end), hint=text)], {"any": source}, output_format=output_format
    )
    assert "FL104" in shown
