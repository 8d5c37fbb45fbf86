"""What runs in other people's CI: the hooks of pre-commit, the GitHub Action, and what the guide shows of them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from flowlang.cli.root import cli
from tests.docs.blocks import ROOT, Block, blocks

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))

#: The commands as CI finds them, whatever its terminal says of colours.
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "HOME": os.environ.get("HOME", "/"),
}


def shown(kind: str) -> Any:
    """What the guide shows."""
    (block,) = (each for each in blocks("yaml") if each.words.get("ci") == kind)
    assert isinstance(block, Block)
    return yaml.safe_load(block.text)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A new project, in a git repository of its own, with all files staged."""
    folder = tmp_path / "shop"
    assert CliRunner().invoke(cli, ["new", "shop", "--into", str(folder)]).exit_code == 0
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True, env=ENVIRONMENT)
    subprocess.run(["git", "add", "."], cwd=folder, check=True, env=ENVIRONMENT)
    return folder


def staged(folder: Path) -> list[str]:
    done = subprocess.run(
        ["git", "diff", "--cached", "--name-only"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    return done.stdout.split()


def misspell(folder: Path) -> None:
    file = folder / "pipelines/welcome.yaml"
    file.write_text(file.read_text().replace("uses: greetings.write", "uses: greetings.wirte"))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_in_a_repository_for_the_files_that_it_is_about(hook: dict[str, Any], project: Path) -> None:
    assert [path for path in staged(project) if re.search(hook["files"], path)]
    assert not [path for path in ("README.md", "src/app.py", ".gitignore") if re.search(hook["files"], path)]
    done = subprocess.run(
        shlex.split(hook["entry"]), cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_mistake_ends_the_hook_that_validates(project: Path) -> None:
    misspell(project)
    hook = next(hook for hook in HOOKS if hook["id"] == "flowlang-validate")
    done = subprocess.run(
        shlex.split(hook["entry"]), cwd=project, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "did you mean `greetings.write`?" in done.stdout


def test_the_hooks_of_the_guide_are_those_that_there_are() -> None:
    (repository,) = shown("pre-commit")["repos"]
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in HOOKS]


def steps(folder: Path) -> list[tuple[str, int]]:
    """Run the steps of the action as a runner does; what is installed is there already. Returns names and statuses."""
    ended = []
    inputs = {name: value["default"] for name, value in ACTION["inputs"].items()} | {"project": str(folder)}
    for step in ACTION["runs"]["steps"]:
        variables = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: inputs[found[1]], text)
            for name, text in step["env"].items()
        }
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(script, env={**ENVIRONMENT, **variables}, capture_output=True, check=False)
        ended.append((step["name"], done.returncode))
        if done.returncode:
            break
    return ended


def test_the_action_checks_a_project_and_runs_its_tests(project: Path) -> None:
    assert steps(project) == [("Install FlowLang", 0), ("flowlang validate", 0), ("flowlang test", 0)]
    misspell(project)
    assert steps(project) == [("Install FlowLang", 0), ("flowlang validate", 1)]


def test_the_guide_uses_the_action_with_its_inputs() -> None:
    used = [step for job in shown("github")["jobs"].values() for step in job["steps"]]
    (own,) = (step for step in used if step["uses"].startswith("flowlang/flowlang@"))
    assert set(own.get("with", {})) <= set(ACTION["inputs"])
    guide = (ROOT / "docs/guide/editors.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in guide for name in ACTION["inputs"])


def test_what_gitlab_runs_can_be_run(project: Path) -> None:
    ((_, job),) = shown("gitlab").items()
    for line in job["script"]:
        if not line.startswith("pip install"):
            subprocess.run(shlex.split(line), cwd=project, env=ENVIRONMENT, check=True, capture_output=True)
