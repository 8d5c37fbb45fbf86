"""`flowlang test`: what is shown and written, and when it says no."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowlang.cli.commands import test as test_command
from flowlang.cli.root import cli
from flowlang.cli.watching import Changes
from tests.unit.project.projects import write_project

PIPELINE = """
flowlang: 1
pipeline: greet
steps:
  - {id: hello, if: "event.data.name != ''", set: {text: "Hello ${{ event.data.name }}"}}
output: ${{ steps.hello.?output.?text.orValue('') }}
input: {type: object, properties: {name: {type: string}}, required: [name]}
"""

GOOD = (
    "test: Ada is greeted\npipeline: greet\ngiven: {call: {name: Ada}}\nthen: {status: succeeded, output: Hello Ada}\n"
)
BAD = "test: Bob is greeted\npipeline: greet\ngiven: {call: {name: Bob}}\nthen: {output: Hello Ada}\n"
SKIPPED = "test: nobody\npipeline: greet\nskip: not yet\ngiven: {call: {name: ''}}\nthen: {output: ''}\n"

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Calls `flowlang test` in a project whose test file holds these tests."""

    def call(*arguments: str, tests: tuple[str, ...] = (GOOD,), **files: str) -> Result:
        written = {"pipelines/greet.yaml": PIPELINE, "tests/greet.test.yaml": "---\n".join(tests), **files}
        write_project(tmp_path, {name: text for name, text in written.items() if text})
        return CliRunner(env={"NO_COLOR": "1"}).invoke(cli, ["test", "--project", str(tmp_path), *arguments])

    return call


def test_what_passes_is_one_line_and_exits_with_0(call: Call) -> None:
    result = call()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:3] == ["tests/greet.test.yaml", "     ok  Ada is greeted", ""]
    assert lines[3].startswith("1 passed in ")


def test_what_fails_shows_its_place_and_what_happened_and_exits_with_1(call: Call) -> None:
    result = call(tests=(GOOD, BAD, SKIPPED))
    assert result.exit_code == 1
    assert " FAILED  Bob is greeted\nskipped  nobody (not yet)\n" in result.stdout
    assert (
        'failure: output: expected "Hello Ada", found "Hello Bob"\n'
        " --> tests/greet.test.yaml:9:16\n"
        "  |\n"
        "9 | then: {output: Hello Ada}\n"
        "  |                ^^^^^^^^^\n"
        "\n"
        "  what happened, on the virtual clock:\n"
        '    0.000  call                greet with {"name": "Bob"}\n'
        "    0.000  run.started\n"
        "    0.000  step.ended   hello  succeeded\n"
        "    0.000  run.ended           succeeded\n"
    ) in result.stdout
    assert "\n1 failed, 1 skipped, 1 passed in " in result.stdout


def test_the_first_failure_can_be_the_last_test(call: Call) -> None:
    result = call("-x", tests=(BAD, GOOD))
    assert result.exit_code == 1
    assert "Ada is greeted" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "names"),
    [(("-k", "ada"), ["Ada is greeted"]), (("-k", "greet"), ["Ada is greeted", "Bob is greeted"])],
)
def test_tests_are_chosen_by_name(call: Call, arguments: tuple[str, ...], names: list[str]) -> None:
    result = call("--json", *arguments, tests=(GOOD, BAD))
    assert [test["test"] for test in json.loads(result.stdout)["tests"]] == names


@pytest.mark.parametrize(
    ("arguments", "files", "said"),
    [
        (("-k", "nothing"), {}, "there is no test with 'nothing' in its name; the project has 1"),
        ((), {"tests/greet.test.yaml": ""}, "the project has no pipeline tests: a test is a file such as"),
    ],
)
def test_no_test_is_a_mistake_and_not_a_success(
    call: Call, arguments: tuple[str, ...], files: dict[str, str], said: str
) -> None:
    result = call(*arguments, **files)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_journal_of_what_passes_is_shown_when_asked_for(call: Call) -> None:
    assert "run.ended" not in call().stdout
    assert "run.ended" in call("--journal").stdout


def test_mistakes_of_the_project_are_shown_with_what_they_hinder(call: Call) -> None:
    result = call(tests=(GOOD.replace("then:", "them:"),))
    assert result.exit_code == 1
    assert "`them` is not a key of a pipeline test" in result.stderr
    assert "  ERROR  Ada is greeted" in result.stdout
    assert "the test has mistakes: see `flowlang validate`" in result.stdout
    assert "1 could not be run in " in result.stdout


def test_coverage_is_shown_on_the_pipeline(call: Call) -> None:
    result = call("--coverage")
    assert result.exit_code == 0
    assert (
        "pipelines/greet.yaml: 2 of 3 points, 67%\n  ~    5  hello  never: if is false\n\n66.7% of 3 points were reached\n"
    ) in result.stdout


@pytest.mark.parametrize(("least", "status"), [("66", 0), ("67", 1)])
def test_too_little_coverage_is_a_no(call: Call, least: str, status: int) -> None:
    result = call("--fail-under", least)
    assert result.exit_code == status
    assert ("the coverage is 66.7%, and should be at least 67%" in result.stderr) == bool(status)


def test_programs_get_results_and_coverage_as_json(call: Call) -> None:
    result = call("--json", "--coverage", tests=(GOOD, BAD, SKIPPED))
    document = json.loads(result.stdout)
    assert document["summary"] == {"passed": 1, "failed": 1, "error": 0, "skipped": 1}
    (failure,) = document["tests"][1]["failures"]
    assert failure == {
        "where": "output",
        "message": 'expected "Hello Ada", found "Hello Bob"',
        "expected": "Hello Ada",
        "found": "Hello Bob",
        "line": 9,
        "column": 16,
    }
    assert document["tests"][2]["reason"] == "not yet"
    (pipeline,) = document["coverage"]["pipelines"]
    assert pipeline["missed"] == [{"step": "hello", "line": 5, "what": "if is false"}]


def test_ci_gets_junits_xml(call: Call, tmp_path: Path) -> None:
    call("--junit", str(tmp_path / "out.xml"), tests=(GOOD, BAD, SKIPPED))
    (suite,) = ET.parse(tmp_path / "out.xml").getroot()
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "tests/greet.test.yaml",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    passed, failed, skipped = suite
    assert [(case.get("classname"), case.get("name"), case.get("line")) for case in suite] == [
        ("greet", "Ada is greeted", "1"),
        ("greet", "Bob is greeted", "6"),
        ("greet", "nobody", "11"),
    ]
    assert len(passed) == 0
    assert (failed[0].tag, failed[0].get("message")) == (
        "failure",
        'output: expected "Hello Ada", found "Hello Bob" (tests/greet.test.yaml:9)',
    )
    assert "run.ended" in (failed[0].text or "")
    assert (skipped[0].tag, skipped[0].get("message")) == ("skipped", "not yet")


def test_watching_runs_them_again_in_a_new_process_at_each_change(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    changes = iter([None, Changes(("pipelines/greet.yaml",), code=False)])
    watched: list[str] = []

    class Watcher:
        def __init__(self, folder: Path) -> None:
            watched.append(f"made for {folder.name}")

        def start(self) -> None:
            watched.append("started")

        def stop(self) -> None:
            watched.append("stopped")

        def changes(self) -> Changes | None:
            try:
                return next(changes)
            except StopIteration:
                raise KeyboardInterrupt from None

    def run(command: list[str], **_: Any) -> None:
        ran.append(command[1:])

    monkeypatch.setattr("flowlang.cli.watching.Watcher", Watcher)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(test_command, "_PAUSE_S", 0.0)
    monkeypatch.setattr("sys.argv", ["flowlang", "test", "--watch", "-k", "Ada"])
    result = call("--watch", "-k", "Ada")
    assert result.exit_code == 130
    assert ran == [["-m", "flowlang", "test", "-k", "Ada"]] * 2
    assert [watched[1], watched[-1]] == ["started", "stopped"]
