"""`flowlang` itself: quick to start, clear about mistakes, and never silent about what went wrong."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

import click
import pytest
from click.testing import CliRunner

from flowlang import __version__, bootstrap
from flowlang.cli.root import COMMANDS, cli
from flowlang.errors import ConfigError, DefinitionError, FlowError, StaleEpochError
from flowlang.service import NotDeployedError
from tests.unit.cli.desk import Desk

HEAVY = (
    "pydantic",
    "redis",
    "httpx",
    "dramatiq",
    "starlette",
    "uvicorn",
    "lark",
    "yaml",
    "msgspec",
    "rich",
    "watchfiles",
)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["validatte"], []])
def test_help_and_mistakes_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from flowlang.cli.root import cli\n"
        f"try: cli({arguments!r}, prog_name='flowlang')\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_commands_say(name: str) -> None:
    module, sentence = COMMANDS[name]
    command: click.Command = importlib.import_module(f"flowlang.cli.commands.{module}").command
    assert command.name == name
    assert (command.help or "").split("\n\n")[0] == sentence
    assert sentence in " ".join(CliRunner().invoke(cli, ["--help"]).output.split())


def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
        return [leaf for name, child in found if child for leaf in leaves(child, (*path, name))]
    return [path]


LEAVES = leaves(cli, ())


def test_all_commands_are_there() -> None:
    assert {" ".join(path) for path in LEAVES} == {
        "new", "validate", "graph", "test", "eval", "dev", "deploy", "worker", "serve", "run", "send", "doctor", "keys list", "keys generate", "keys rotate", "fsck", "completion", "versions", "bench",
        "runs list", "runs show", "runs cancel", "runs delete", "dead-letters list", "dead-letters show", "dead-letters retry",
        "dead-letters discard", "replay", "cancel",
        "explain",
        "lsp", "schema", "types", "webhooks list", "webhooks test",
        "api-keys create", "api-keys list", "api-keys rotate", "api-keys revoke",
    }  # fmt: skip


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_takes_the_common_flags_and_explains_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert all(flag in result.output for flag in ("--json", "--color", "--project", "--help"))


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"flowlang {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["validatte"], "no command `validatte`; did you mean `validate`?"),
        (["dead-leters"], "did you mean `dead-letters`?"),
        (["zzz"], "no command `zzz`"),
        (["runs", "list", "--limit", "0"], "0 is not in the range"),
        (["runs", "list", "--statsu", "x"], "--status"),
        (["runs", "show"], "Missing argument 'RUN'"),
        (["run", "welcome", "--data", "{"], "not JSON"),
        (["--colour"], "No such option"),
    ],
)
def test_misuse_exits_with_2_and_says_what_would_be_right(desk: Desk, arguments: list[str], says: str) -> None:
    result = desk.call(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ConfigError("wrong"), 2, "config"),
        (DefinitionError("wrong"), 2, "definition"),
        (NotDeployedError("nothing is deployed"), 1, "not-deployed"),
        (StaleEpochError("again"), 1, "stale-epoch"),
        (FlowError("no"), 1, "flow"),
        (ZeroDivisionError("division by zero"), 3, "internal"),
    ],
)
def test_errors_become_one_sentence_and_a_status(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, kind: str
) -> None:
    def refuse(_: Any) -> Any:
        raise error

    monkeypatch.setattr(bootstrap, "open_service", refuse)
    result = desk.call("runs", "list", "--json")
    assert result.exit_code == status
    content = json.loads(result.stdout)
    assert (content["schema_version"], content["error"]["kind"]) == (1, kind)
    assert content["error"]["message"] in result.stderr
    assert ("Traceback" in result.stderr) == (status == 3)
    assert ("report" in result.stderr) == (status == 3)


def test_an_interrupt_exits_with_130(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "open_service", interrupt)
    result = desk.call("runs", "list")
    assert (result.exit_code, result.stderr) == (130, "\ninterrupted\n")


def test_a_store_that_does_not_answer_is_named_without_its_password(desk: Desk) -> None:
    desk.away = True
    result = desk.call("runs", "list")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: the store at redis://:***@store:6379/0 does not answer (Connection refused): "
        "start one with `flowlang dev`, or set FLOWLANG_REDIS_URL to a Redis or Valkey server\n"
    )


def test_without_a_store_the_way_to_one_is_told(desk: Desk) -> None:
    result = desk.call("runs", "list", env={"FLOWLANG_REDIS_URL": None})
    assert result.exit_code == 2
    assert "no server holds runs of the project" in result.stderr
    assert "start one with `flowlang dev`" in result.stderr


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    code = "import sys; from flowlang.cli.root import cli; cli(['completion', 'bash'], prog_name='flowlang')"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (1, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_of_the_shell(desk: Desk, shell: str) -> None:
    assert "_FLOWLANG_COMPLETE" in desk.call("completion", shell).stdout
    assert desk.read("completion", shell)["shell"] == shell


def test_names_of_commands_are_completed_without_loading_them() -> None:
    found = cli.shell_complete(click.Context(cli), "d")
    assert [item.value for item in found] == ["dev", "deploy", "dead-letters", "doctor"]
