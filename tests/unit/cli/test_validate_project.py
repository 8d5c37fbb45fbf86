"""`flowlang validate` on projects of files: what is chosen, left out and put right, and the exit status that follows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowlang import bootstrap
from flowlang.cli.root import cli
from tests.unit.project.projects import write_project

A = """\
flowlang: 1
pipeline: a
steps:
  - {id: x, set: {y: 1}, timeuot: 5s}   # soon
"""
B = """\
flowlang: 1
pipeline: b
concurrency: {limit: 1}
steps:
  - sleep: 1h
"""
IGNORED = B.replace("limit: 1}", "limit: 1}   # flowlang: ignore[FL220] others may run meanwhile").replace("b", "c", 1)

Call = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An error in a.yaml, a warning in b.yaml, and one that is ignored in c.yaml."""
    files = {
        "pipelines/a.yaml": A,
        "pipelines/b.yaml": B,
        "pipelines/c.yaml": IGNORED.replace("pipeline: b", "pipeline: c"),
    }
    return write_project(tmp_path / "shop", files)


@pytest.fixture
def call(project: Path) -> Call:
    environ: dict[str, str | None] = dict.fromkeys(
        ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "FLOWLANG_ENV")
    )

    def run(*arguments: str, text: str | bytes | None = None, **more: str) -> Result:
        runner = CliRunner(env={**environ, "FLOWLANG_PROJECT": str(project), **more})
        return runner.invoke(cli, ["validate", *arguments], input=text, prog_name="flowlang")

    return run


def codes(result: Result) -> list[str]:
    return [line[-6:-1] for line in result.stdout.splitlines() if line.endswith("]")]


def concise(call: Call, *arguments: str, **more: Any) -> list[str]:
    return codes(call("--format", "concise", *arguments, **more))


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments],
        check=True,
        capture_output=True,
    )


def test_comments_leave_out_and_the_count_says_so(call: Call) -> None:
    result = call("--format", "concise")
    assert result.exit_code == 1
    assert codes(result) == ["FL101", "FL220"]
    assert result.stdout.splitlines()[-1] == "1 error, 1 warning in 4 files; 1 ignored"
    (left_out,) = json.loads(call("--json").stdout)["suppressed"]
    assert (left_out["path"], left_out["reason"]) == ("pipelines/c.yaml", "others may run meanwhile")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--select", "FL2"], ["FL220"]),
        (["--select", "FL101,FL220"], ["FL101", "FL220"]),
        (["--select", "FL1", "--select", "FL220"], ["FL101", "FL220"]),
        (["--ignore", "FL1"], ["FL220"]),
        (["--select", "ALL", "--ignore", "FL220"], ["FL101"]),
        (["--select", "FL4"], []),
    ],
)
def test_codes_are_chosen(call: Call, arguments: list[str], shown: list[str]) -> None:
    assert concise(call, *arguments) == shown


def test_what_is_no_code_is_refused(call: Call) -> None:
    refused = call("--select", "FL2O4")
    assert refused.exit_code == 2
    assert "did you mean `FL204`?" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--fail-on", "never"], 0),
        (["--fail-on", "error"], 1),
        (["--fail-on", "error", "--ignore", "FL101"], 0),
        (["--fail-on", "warning", "--ignore", "FL101"], 1),
        (["--fail-on", "info", "--ignore", "FL101,FL220"], 0),
    ],
)
def test_the_exit_status_is_1_from_a_weight_on(call: Call, arguments: list[str], status: int) -> None:
    assert call(*arguments).exit_code == status


def test_a_bug_of_ours_exits_with_3_and_asks_for_a_report(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bootstrap, "check_project", broken)
    result = call()
    assert result.exit_code == 3
    assert "Please report it" in result.stderr


def test_a_baseline_leaves_out_what_was_there_and_nothing_else(call: Call, project: Path) -> None:
    file = project / "known.json"
    written = call("--write-baseline", str(file))
    assert (written.exit_code, written.stdout) == (0, "")
    assert "2 findings written" in written.stderr
    result = call("--baseline", str(file), "--fail-on", "info")
    assert (result.exit_code, result.stdout) == (0, "no findings in 4 files; 3 ignored\n")
    assert result.stderr == ""

    moved = "# a line above\n" + A + "  - {id: z, set: {y: 1}, timeuot: 5s}\n"
    (project / "pipelines/a.yaml").write_text(moved)
    again = call("--baseline", str(file), "--format", "concise")
    assert again.exit_code == 1
    assert [line.split(": ")[0] for line in again.stdout.splitlines()[:-1]] == ["pipelines/a.yaml:6:26"]

    (project / "pipelines/a.yaml").write_text(A.replace(", timeuot: 5s", ""))
    gone = call("--baseline", str(file))
    assert gone.exit_code == 0
    assert "1 of the baseline are gone" in gone.stderr


def test_a_baseline_of_a_part_fits_the_whole(call: Call, project: Path) -> None:
    file = str(project / "known.json")
    call("--write-baseline", file, "--select", "FL2")
    assert concise(call, "--baseline", file) == ["FL101"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 2, "findings": []}', '{"schema_version": 1}'])
def test_what_is_no_baseline_is_refused(call: Call, project: Path, content: str) -> None:
    (project / "known.json").write_text(content)
    refused = call("--baseline", str(project / "known.json"))
    assert refused.exit_code == 2
    assert "known.json: it is" in refused.stderr


def test_fixes_are_written_and_comments_stay(call: Call, project: Path) -> None:
    (project / "pipelines/a.yaml").write_bytes(
        b"\xef\xbb\xbf" + A.replace("timeuot: 5s", "iff: 'true'").replace("\n", "\r\n").encode()
    )
    result = call("--fix", "--format", "concise")
    assert result.exit_code == 0
    assert codes(result) == ["FL220"]
    assert "put right: 1 finding in 1 file" in result.stderr
    assert (project / "pipelines/a.yaml").read_bytes() == (
        b"\xef\xbb\xbf" + A.replace("timeuot: 5s", "if: 'true'").replace("\n", "\r\n").encode()
    )
    assert "put right: 0 findings in 0 files" in call("--fix").stderr


def test_a_difference_shows_fixes_and_writes_nothing(call: Call, project: Path) -> None:
    result = call("--diff")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "--- a/pipelines/a.yaml",
        "+++ b/pipelines/a.yaml",
        "@@ -1,4 +1,4 @@",
        " flowlang: 1",
        " pipeline: a",
        " steps:",
        "-  - {id: x, set: {y: 1}, timeuot: 5s}   # soon",
        "+  - {id: x, set: {y: 1}, timeout: 5s}   # soon",
    ]
    assert (project / "pipelines/a.yaml").read_text() == A
    git(project, "init")
    subprocess.run(["git", "-C", str(project), "apply"], input=result.stdout, text=True, check=True)
    assert (project / "pipelines/a.yaml").read_text() == A.replace("timeuot", "timeout")


def test_only_what_was_asked_for_is_put_right(call: Call, project: Path) -> None:
    unchanged = call("--diff", "--select", "FL2")
    assert (unchanged.exit_code, unchanged.stdout) == (0, "")
    assert call("--diff", str(project / "pipelines/b.yaml")).exit_code == 0
    assert call("--diff", str(project / "pipelines/a.yaml")).exit_code == 1


def test_fixes_that_leave_a_choice_are_made_when_asked_for(call: Call, project: Path) -> None:
    (project / "pipelines/a.yaml").write_text(A.replace("timeuot: 5s", "if: 'true'"))
    (project / "flowlang.yaml").write_text("flowlang: 1\nproject: shop\nlint: {ignore: [FL3044]}\n")
    assert call("--diff").exit_code == 0
    assert "+lint: {ignore: [FL304]}" in call("--diff", "--unsafe-fixes").stdout


def test_one_can_see_how_many_can_be_put_right(call: Call) -> None:
    assert "1 can be put right by `flowlang validate --fix`" in call().stderr
    assert call("--json").stderr == ""


def test_a_file_that_changes_meanwhile_is_left_alone(
    call: Call, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = bootstrap.check_project
    file = project / "pipelines/a.yaml"

    def slow(*arguments: Any, **more: Any) -> Any:
        loaded = load(*arguments, **more)
        file.write_text("somebody: else\n")
        return loaded

    monkeypatch.setattr(bootstrap, "check_project", slow)
    refused = call("--fix", "--select", "FL101")
    assert refused.exit_code == 2
    assert "pipelines/a.yaml has changed while it was checked" in refused.stderr
    assert file.read_text() == "somebody: else\n"


def test_changed_files_are_those_that_git_says(call: Call, project: Path) -> None:
    git(project.parent, "init")
    git(project.parent, "add", ".")
    git(project.parent, "commit", "-m", "x")
    assert concise(call, "--changed", "HEAD") == []
    (project / "pipelines/b.yaml").write_text(B + "  - sleep: 2h\n")
    (project / "pipelines/d.yaml").write_text(A.replace("pipeline: a", "pipeline: d"))
    assert concise(call, "--changed", "HEAD") == ["FL220", "FL101"]
    assert call("--changed", "HEAD", "--select", "FL2").exit_code == 0


@pytest.mark.parametrize("ref", ["nowhere", "--output=x"])
def test_what_is_no_commit_is_refused(call: Call, project: Path, ref: str) -> None:
    git(project, "init")
    refused = call(f"--changed={ref}")
    assert refused.exit_code == 2
    assert ("git says" in refused.stderr) == (ref == "nowhere")


def test_stdin_is_checked_as_a_part_of_the_project(call: Call, project: Path) -> None:
    new = call("-", "--format", "concise", text=A.replace("pipeline: a", "pipeline: new"))
    assert [line.split(": ")[0] for line in new.stdout.splitlines()] == [
        "pipelines/stdin.yaml:4:26",
        "1 error in 1 file",
    ]
    edited = ["-", "--stdin-path", str(project / "pipelines/a.yaml")]
    assert call(*edited, text=A.replace(", timeuot: 5s", "")).exit_code == 0
    assert call(*edited, "--stdin-path", "pipelines/a.yaml", text="a: b").stdout.count("--> pipelines/a.yaml:1:1") > 0
    assert "+  - {id: x, set: {y: 1}, timeout: 5s}   # soon" in call(*edited, "--diff", text=A).stdout
    assert (project / "pipelines/a.yaml").read_text() == A


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["-", "--fix"], A, "nothing can be written back"),
        (["-", "."], A, "stands alone"),
        (["-"], b"\xff", "no UTF-8"),
        (["-", "--stdin-path", "/elsewhere/a.yaml"], A, "does not lie in the project"),
        (["-", "--stdin-path", "../a.yaml"], A, "does not lie in the project"),
        (["--stdin-path", "a.yaml"], None, "give `-` as well"),
    ],
)
def test_misuse_of_stdin_exits_with_2(call: Call, arguments: list[str], text: str | bytes | None, words: str) -> None:
    refused = call(*arguments, text=text)
    assert refused.exit_code == 2
    assert words in refused.stderr


def test_in_a_github_action_findings_are_annotations_and_a_summary(call: Call, project: Path) -> None:
    git(project.parent, "init")
    summary = project / "summary.md"
    summary.write_text("before\n")
    result = call(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert result.stdout.startswith("::error file=shop/pipelines/a.yaml,line=4,")
    assert summary.read_text().startswith("before\n### flowlang validate: 1 error, 1 warning in 4 files; 1 ignored\n")
    assert call("--format", "text", GITHUB_ACTIONS="true").stdout.startswith("error[FL101]")
    assert json.loads(call("--json", GITHUB_ACTIONS="true").stdout)["schema_version"] == 1
    uri = json.loads(call("--format", "sarif").stdout)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert uri["artifactLocation"]["uri"] == "shop/pipelines/a.yaml"


def test_both_slips_that_the_readme_shows_are_put_right(call: Call, project: Path) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    slips = readme.split('```yaml title="pipelines/slips.yaml" refused=FL401,FL203\n')[1].split("```")[0]
    handler = 'from flowlang import handler\n\n\n@handler("greetings.write", effect="pure")\ndef write(name: str) -> str:\n    return name\n'
    write_project(project, {"pipelines/slips.yaml": slips, "handlers/greetings.py": handler})
    assert call("--fix", "--select", "FL2,FL4", str(project / "pipelines/slips.yaml")).exit_code == 0
    fixed = slips.replace("wirte", "write").replace("greting.", "greeting.")
    assert (project / "pipelines/slips.yaml").read_text() == fixed
