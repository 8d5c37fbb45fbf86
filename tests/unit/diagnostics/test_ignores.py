"""Comments that leave findings out: what each speaks of, and when it has no effect."""

from __future__ import annotations

import re

import pytest

from flowlang.diagnostics import Diagnostic, Severity, SuppressedBy
from flowlang.diagnostics.fixes import edited
from flowlang.diagnostics.ignores import Ignore, read_ignores, suppress
from flowlang.source import SourceText

TEXT = """\
a: 1   # flowlang: ignore[FL405] it may
# flowlang: ignore[FL220, FL304]: both

# another comment
- id: x
  with:
    y: 1

  # inside
  z: 2
- id: w
list:   # flowlang: ignore[FL601]
# flowlang: ignore[FL304]
list:
- one
- two
end: 1
"""
SOURCE = SourceText("p.yaml", TEXT)


def read(text: str, path: str = "p.yaml") -> tuple[list[Ignore], list[Diagnostic]]:
    comments = [match.span() for match in re.finditer("#.*", text)]
    return read_ignores(SourceText(path, text), comments)


def at(line: int, code: str, severity: Severity = Severity.WARNING) -> Diagnostic:
    start = SOURCE.line_start(line)
    return Diagnostic(code, f"{code} in line {line}", SOURCE.span(start, start + 1), severity)


def test_a_comment_speaks_of_its_line_or_of_the_node_below() -> None:
    ignores, found = read(TEXT)
    assert found == []
    assert [(ignore.lines, [code for code, _ in ignore.codes], ignore.reason) for ignore in ignores] == [
        ((1, 1), ["FL405"], "it may"),
        ((5, 10), ["FL220", "FL304"], "both"),
        ((12, 12), ["FL601"], ""),
        ((14, 16), ["FL304"], ""),
    ]


def test_a_comment_above_a_decorator_speaks_of_its_function() -> None:
    text = "# flowlang: ignore[FL405] harmless\n@handler('a.b')\ndef f():\n    pass\n\n\ndef g(): ...\n"
    assert [ignore.lines for ignore in read(text, "handlers/a.py")[0]] == [(2, 4)]


def test_at_the_end_of_a_file_a_comment_speaks_of_nothing() -> None:
    ignores, _ = read("a: 1\n# flowlang: ignore[FL405]")
    assert (
        suppress([Diagnostic("FL405", "x", SourceText("p.yaml", "a: 1").span(0, 1), Severity.WARNING)], ignores)[1]
        == []
    )


def test_what_a_comment_speaks_of_is_left_out_and_the_rest_stays() -> None:
    ignores, _ = read(TEXT)
    warnings = [at(1, "FL405"), at(2, "FL405"), at(5, "FL220"), at(9, "FL304"), at(11, "FL304"), at(15, "FL304")]
    kept, suppressed, found = suppress(warnings, ignores)
    assert kept == [warnings[1], warnings[4]]
    assert [(item.diagnostic, item.reason) for item in suppressed] == [
        (warnings[0], "it may"),
        (warnings[2], "both"),
        (warnings[3], "both"),
        (warnings[5], ""),
    ]
    assert {item.by for item in suppressed} == {SuppressedBy.COMMENT}
    assert [(item.code, item.span.line) for item in found] == [("FL902", 12)]


def test_one_for_the_file_speaks_of_all_its_lines_and_of_no_other_file() -> None:
    ignores, _ = read("# flowlang: ignore-file[FL405] all of them\n")
    other = Diagnostic("FL405", "x", SourceText("q.yaml", "x").span(0, 1), Severity.WARNING)
    kept, suppressed, found = suppress([at(1, "FL405"), at(17, "FL405"), other], ignores)
    assert (kept, len(suppressed), found) == ([other], 2, [])


def test_errors_stay_and_the_comment_is_told_so() -> None:
    ignores, _ = read(TEXT)
    error, warning = at(5, "FL220", Severity.ERROR), at(9, "FL220")
    kept, suppressed, found = suppress([error, warning], ignores)
    assert kept == [error]
    assert [item.diagnostic for item in suppressed] == [warning]
    stays = next(item for item in found if item.code == "FL905")
    assert (stays.span.line, stays.labels[0].span) == (2, error.span)


@pytest.mark.parametrize(("reason", "codes"), [("", ["FL903"]), (" : ", ["FL903"]), (" a test's secret", [])])
def test_findings_about_security_are_left_out_only_with_a_reason(reason: str, codes: list[str]) -> None:
    ignores, _ = read(f"a: 1   # flowlang: ignore[FL602]{reason}\n")
    finding = at(1, "FL602")
    kept, suppressed, found = suppress([finding], ignores)
    assert [item.code for item in found] == codes
    assert (kept == [finding]) == bool(codes)
    assert len(suppressed) == 1 - len(codes)


def test_a_finding_that_two_comments_speak_of_is_left_out_once_and_both_are_used() -> None:
    ignores, _ = read("# flowlang: ignore-file[FL405]\n# flowlang: ignore[FL405] here\na: 1\n")
    finding = Diagnostic("FL405", "x", SourceText("p.yaml", "\n\nx").span(2, 3), Severity.WARNING)
    kept, suppressed, found = suppress([finding], ignores)
    assert (kept, len(suppressed), found) == ([], 1, [])


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("flowlang: ignore", ["FL904"]),
        ("flowlang: ignore[ ]", ["FL904"]),
        ("flowlang: ignore FL405", ["FL904"]),
        ("flowlang: ingore[FL405]", ["FL904"]),
        ("flowlang: ignore-files[FL405]", ["FL904"]),
        ("flowlang: ignore[FL405", ["FL904"]),
        ("flowlang: ignore[FL4055]", ["FL901"]),
        ("flowlang: 1", []),
        ("flowlang: see the handbook", []),
        ("flowlang ignore[FL405]", []),
    ],
)
def test_a_comment_that_was_meant_and_cannot_be_read_is_found(comment: str, codes: list[str]) -> None:
    assert [item.code for item in read(f"# {comment}\na: 1\n")[1]] == codes


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a: 1   # flowlang: ignore[FL405] why\nb: 2\n", "a: 1\nb: 2\n"),
        ("a: 1\n  # flowlang: ignore[FL405] why\nb: 2\n", "a: 1\nb: 2\n"),
        ("a: 1\n# flowlang: ignore[FL405] why", "a: 1\n"),
    ],
)
def test_an_unused_comment_is_taken_away_with_its_blanks(text: str, left: str) -> None:
    (finding,) = suppress([], read(text)[0])[2]
    assert finding.fix is not None
    assert edited(text, finding.fix.edits) == left
