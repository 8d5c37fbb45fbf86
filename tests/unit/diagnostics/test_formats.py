"""The formats that programs read: each says what the findings say, in the shape that its readers expect."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest

from flowlang.diagnostics import (
    CODES,
    Diagnostic,
    Edit,
    Fix,
    Format,
    Label,
    Severity,
    Suppressed,
    SuppressedBy,
    render,
    with_fixes,
)
from flowlang.diagnostics.report import fingerprints
from flowlang.source import SourceText
from tests.diagnostics import test_golden

SOURCE = SourceText("pipelines/ä b.yaml", "flowlang: 1\nstpes:\n  - id: a\n  - id: a\n")
SOURCES = {SOURCE.path: SOURCE}

ERROR = Diagnostic(
    "FL101",
    "`stpes` is not a key | of <b>a pipeline</b> & so `a|b<`",
    SOURCE.span(12, 17),
    hint="did you mean `steps`?",
    labels=(Label(SOURCE.span(0, 8), "of this"),),
    fix=Fix("write `steps`", (Edit(SOURCE.span(12, 17), "steps"),)),
)
WARNING = Diagnostic("FL405", "100%, it\nseems: \x07", SOURCE.span(23, 37), Severity.WARNING)
INFO = Diagnostic("FL304", "no schema", SOURCE.span(0, 8), Severity.INFO)
IGNORED = [
    Suppressed(Diagnostic("FL220", "a run waits", SOURCE.span(0, 8), Severity.WARNING), SuppressedBy.COMMENT, "it may"),
    Suppressed(Diagnostic("FL405", "no effect", SOURCE.span(0, 8), Severity.WARNING), SuppressedBy.BASELINE),
]

SARIF: Final = jsonschema_rs.validator_for(
    json.loads((Path(__file__).parent / "schemas/sarif-2.1.0.json").read_text(encoding="utf-8"))
)

#: What readers of JUnit's XML take, by element: attributes that it must have, those that it may have, and its children.
JUNIT: Final = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors", "disabled"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests"},
        {"failures", "errors", "skipped", "disabled", "time", "timestamp", "hostname", "id", "package", "file"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "classname"},
        {"time", "status", "assertions", "file", "line"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": (set(), {"message", "type"}, set()),
    "system-out": (set(), set(), set()),
}  # fmt: skip


def shown(output_format: Format, *found: Diagnostic, **more: Any) -> str:
    return render(found, SOURCES, output_format=output_format, files=3, **more)


def run_of(text: str) -> Any:
    document = json.loads(text)
    SARIF.validate(document)
    (run,) = document["runs"]
    return run


def check_junit(element: ET.Element) -> None:
    required, optional, children = JUNIT[element.tag]
    assert required <= set(element.attrib) <= required | optional
    assert {child.tag for child in element} <= children
    for child in element:
        check_junit(child)


def test_sarif_has_rules_places_fixes_and_what_is_left_out() -> None:
    run = run_of(shown(Format.SARIF, ERROR, WARNING, suppressed=IGNORED, prefix="services/", version="0.1.0"))
    driver = run["tool"]["driver"]
    assert driver["semanticVersion"] == "0.1.0"
    assert [rule["id"] for rule in driver["rules"]] == ["FL101", "FL220", "FL405"]
    assert driver["rules"][0]["helpUri"].endswith("/docs/rules/FL101.md")
    error, warning, ignored, in_baseline = run["results"]
    place = {
        "artifactLocation": {"uri": "services/pipelines/%C3%A4%20b.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 6},
    }
    assert (error["ruleId"], error["level"], error["locations"]) == ("FL101", "error", [{"physicalLocation": place}])
    assert error["message"]["text"].endswith("did you mean `steps`?")
    assert error["relatedLocations"][0]["message"]["text"] == "of this"
    assert error["fixes"][0]["artifactChanges"] == [
        {
            "artifactLocation": place["artifactLocation"],
            "replacements": [{"deletedRegion": place["region"], "insertedContent": {"text": "steps"}}],
        }
    ]
    assert (warning["level"], "fixes" in warning, "suppressions" in warning) == ("warning", False, False)
    assert ignored["suppressions"] == [{"kind": "inSource", "status": "accepted", "justification": "it may"}]
    assert in_baseline["suppressions"] == [{"kind": "external", "status": "accepted"}]
    assert all(driver["rules"][item["ruleIndex"]]["id"] == item["ruleId"] for item in run["results"])


def test_github_gets_commands_that_nothing_in_a_file_can_break() -> None:
    lines = shown(Format.GITHUB, ERROR, WARNING, INFO, prefix="services/").splitlines()
    assert lines == [
        (
            "::error file=services/pipelines/ä b.yaml,line=2,endLine=2,col=1,endColumn=6,title=FL101 unknown-key::"
            "`stpes` is not a key | of <b>a pipeline</b> & so `a|b<`%0Adid you mean `steps`?"
        ),
        "::warning file=services/pipelines/ä b.yaml,line=3,endLine=4,title=FL405 effect-missing::100%25, it%0Aseems: �",
        "::notice file=services/pipelines/ä b.yaml,line=1,endLine=1,col=1,endColumn=9,title=FL304 event-without-schema::no schema",
        "1 error, 1 warning, 1 info in 3 files",
    ]
    odd = SourceText("a,b:c.yaml", "x")
    line = render([Diagnostic("FL101", "m", odd.span(0, 1))], {}, output_format=Format.GITHUB).splitlines()[0]
    assert line.startswith("::error file=a%2Cb%3Ac.yaml,line=1,")


def test_github_shows_ten_of_each_kind_and_the_others_are_in_the_log() -> None:
    errors = [Diagnostic("FL101", f"key {number:02}", SOURCE.span(0, 1)) for number in range(13)]
    warnings = [Diagnostic("FL405", f"effect {number:02}", SOURCE.span(0, 1), Severity.WARNING) for number in range(11)]
    lines = shown(Format.GITHUB, *warnings, *errors).splitlines()
    assert [line.split(" ")[0] for line in lines[:20]] == ["::error"] * 10 + ["::warning"] * 10
    assert lines[20] == "+4 more, for which GitHub has no place beside the code:"
    assert [line.split(": ")[-1] for line in lines[21:25]] == [
        "key 10 [FL101]",
        "key 11 [FL101]",
        "key 12 [FL101]",
        "effect 10 [FL405]",
    ]
    assert lines[25:] == ["13 errors, 11 warnings in 3 files"]


def test_gitlab_gets_issues_with_fingerprints() -> None:
    issues = json.loads(shown(Format.GITLAB, ERROR, WARNING, INFO, prefix="services/"))
    assert [issue["severity"] for issue in issues] == ["info", "critical", "minor"]
    assert issues[1]["location"] == {"path": "services/pipelines/ä b.yaml", "lines": {"begin": 2, "end": 2}}
    assert issues[1]["check_name"] == "unknown-key"
    assert len({issue["fingerprint"] for issue in issues}) == 3
    assert json.loads(shown(Format.GITLAB)) == []


def test_junit_has_a_case_a_finding_and_only_errors_fail() -> None:
    root = ET.fromstring(shown(Format.JUNIT, ERROR, WARNING, INFO))
    check_junit(root)
    (suite,) = root
    assert (root.attrib["tests"], root.attrib["failures"]) == ("3", "1")
    assert (suite.attrib["name"], suite.attrib["tests"], suite.attrib["failures"]) == (SOURCE.path, "3", "1")
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"], ["system-out"]]
    failure = suite[1][0]
    assert failure.attrib == {"message": ERROR.message, "type": "FL101"}
    assert (failure.text or "").startswith(f"{SOURCE.path}:2:1: ")


def test_a_clean_project_is_a_case_that_passes() -> None:
    root = ET.fromstring(shown(Format.JUNIT))
    check_junit(root)
    assert (root.attrib["tests"], root.attrib["failures"], len(root[0]), len(root[0][0])) == ("1", "0", 1, 0)


def test_markdown_is_a_table_that_nothing_in_a_file_can_break() -> None:
    lines = shown(Format.MARKDOWN, ERROR, WARNING, suppressed=IGNORED).splitlines()
    assert lines[0] == "### flowlang validate: 1 error, 1 warning in 3 files; 2 ignored"
    assert lines[4].startswith(
        "| error | `pipelines/ä b.yaml:2:1` | `stpes` is not a key \\| of &lt;b>a pipeline&lt;/b> &amp; so `a\\|b<`"
        "<br>*did you mean `steps`?* | [FL101](https://"
    )
    assert lines[5].startswith("| warning | `pipelines/ä b.yaml:3:5` | 100%, it seems: � |")
    assert len(lines) == 6
    assert shown(Format.MARKDOWN) == "### flowlang validate: no findings in 3 files\n"


def test_a_long_table_ends_with_how_many_rows_it_leaves_out() -> None:
    many = [Diagnostic("FL101", f"key {number}", SOURCE.span(0, 1)) for number in range(1003)]
    assert shown(Format.MARKDOWN, *many).splitlines()[-1] == "+3 more"


def test_json_has_fixes_and_what_is_left_out() -> None:
    document = json.loads(shown(Format.JSON, ERROR, suppressed=IGNORED))
    (entry,) = document["diagnostics"]
    assert entry["fix"]["title"] == "write `steps`"
    assert entry["fix"]["edits"][0]["text"] == "steps"
    assert entry["fix"]["edits"][0]["start"] == {"offset": 12, "line": 2, "column": 1}
    assert [(item["code"], item["by"], item["reason"]) for item in document["suppressed"]] == [
        ("FL220", "comment", "it may"),
        ("FL405", "baseline", ""),
    ]
    assert document["summary"]["suppressed"] == 2


def test_a_fingerprint_stays_when_lines_are_added_above_and_differs_between_equal_lines() -> None:
    def marks(text: str) -> list[str]:
        source = SourceText("p.yaml", text)
        found = [
            Diagnostic(
                "FL110", f"twice, line {source.position(match.start())[0]}", source.span(match.start(), match.end())
            )
            for match in re.finditer("id: a", text)
        ]
        return list(fingerprints(found, {"p.yaml": source}).values())

    first = marks("- id: a\n- id: a\n")
    assert len(set(first)) == 2
    assert marks("# a comment\n  - id: a\n\n  - id: a\n") == first
    assert marks("- id: a # changed\n- id: a\n") != first


@pytest.mark.parametrize("case", test_golden.CASES, ids=lambda case: case.stem)
def test_whatever_is_found_every_format_keeps_its_shape(case: Path) -> None:
    source, found = test_golden.findings_of(case)
    found = with_fixes(found, {source.path: source})
    texts = {kind: render(found, {source.path: source}, output_format=kind) for kind in Format}
    run = run_of(texts[Format.SARIF])
    assert [result["ruleId"] for result in run["results"]] == [
        entry["code"] for entry in json.loads(texts[Format.JSON])["diagnostics"]
    ]
    junit = ET.fromstring(texts[Format.JUNIT])
    check_junit(junit)
    assert junit.attrib["tests"] == str(len(run["results"]))
    assert len(json.loads(texts[Format.GITLAB])) == len(run["results"])
    assert texts[Format.GITHUB].count("::error ") == min(sum(item.severity is Severity.ERROR for item in found), 10)
    assert texts[Format.MARKDOWN].count("/docs/rules/") == len(run["results"])


def test_every_rule_can_be_named_in_sarif() -> None:
    found = [Diagnostic(code, "x", SOURCE.span(0, 1)) for code in CODES]
    assert len(run_of(shown(Format.SARIF, *found))["tool"]["driver"]["rules"]) == len(CODES)
