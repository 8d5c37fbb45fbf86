"""The command `flowlang`: its sub-commands, each loaded when it is called, and what becomes of errors.

`flowlang --help` loads nothing but click and this: the sentences of its list are here, and a test compares them with
those of the commands.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from flowlang import __version__
from flowlang.cli.session import BUG, INTERRUPTED, MISUSE, OK, REFUSED, Session
from flowlang.errors import ConfigError, DefinitionError, FlowError, StoreUnavailableError

#: Command → module in `commands` and its sentence, in the order in which they are needed.
COMMANDS: Final = {
    "new": ("new", "Make a small project that runs at once."),
    "validate": ("validate", "Check all files of the project and show all findings."),
    "explain": ("explain", "Explain a finding: what it means, an example, and how to put it right."),
    "graph": ("graph", "Draw a pipeline, or the whole project."),
    "test": ("test", "Run the tests of pipelines, on virtual time and without a server."),
    "eval": ("eval", "Evaluate an expression."),
    "dev": ("dev", "Run everything in this terminal and deploy on each change."),
    "deploy": ("deploy", "Make this version of the project the active one."),
    "versions": ("versions", "Show versions of pipelines, and how many runs each has."),
    "worker": ("worker", "Run steps, timers and rescue, in processes that are replaced when they die."),
    "serve": ("serve", "Take events, webhooks and questions over HTTP."),
    "api-keys": ("api_keys", "Make, list, replace and revoke the keys of the HTTP API."),
    "run": ("run", "Call a pipeline."),
    "send": ("send", "Send events."),
    "runs": ("runs", "List, show, cancel and delete runs."),
    "cancel": ("cancel", "Cancel runs; their clean-up still runs."),
    "replay": ("replay", "Run an ended run again: whole, or from a step on."),
    "dead-letters": ("dead_letters", "List, show, correct, retry and discard what failed for good."),
    "webhooks": ("webhooks", "List webhooks and what they turned away; sign and send a delivery."),
    "bench": ("bench", "Measure how many steps a second this machine does."),
    "doctor": ("doctor", "Check settings, project, servers and workers."),
    "keys": ("keys", "List, generate and rotate the keys of stored payloads."),
    "fsck": ("fsck", "Check that the indexes of the store agree with the runs in it."),
    "schema": ("schema", "Write JSON Schemas of pipelines, tests and events for editors."),
    "types": ("types", "Write Python types of the project's events."),
    "lsp": ("lsp", "Answer an editor: findings, completion, definitions, renaming."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
}


class Root(click.Group):
    """`flowlang` itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the sub-commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a sub-command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"flowlang.cli.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the sub-command, or say which one was meant."""
        if not ctx.resilient_parsing and args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from flowlang.diagnostics.suggest import did_you_mean  # noqa: PLC0415 - only for a misspelt name

            near = did_you_mean(args[0], COMMANDS)
            hint = f"; did you mean `{near}`?" if near else ""
            raise click.UsageError(f"no command `{args[0]}`{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, sentence) for name, (_, sentence) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of sub-commands without loading them."""
        names = [
            CompletionItem(name, help=sentence)
            for name, (_, sentence) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]  # click's overloads differ by a flag that we own
        """Run the command line; ends the process with an exit status."""
        extra.pop("standalone_mode", None)
        session = Session()
        given = list(sys.argv[1:] if args is None else args)
        session.as_json = "--json" in given  # a mistake may come before the flag is read
        sys.exit(
            _guarded(
                lambda: super(Root, self).main(given, prog_name, standalone_mode=False, obj=session, **extra), session
            )
        )


def _guarded(call: Any, session: Session) -> int:
    """Run and turn whatever comes out into an exit status, and errors into one clear sentence."""
    try:
        status = call()
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        session.console.say("interrupted")
        return INTERRUPTED
    except click.ClickException as error:
        return _misuse(error, session)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does. What is buffered would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except FlowError as error:
        status = MISUSE if isinstance(error, ConfigError | DefinitionError | StoreUnavailableError) else REFUSED
        return _told(session, _kind(error), str(error), status)
    except Exception as error:  # noqa: BLE001 - the last resort says what to do with it
        return _bug(error, session)
    return status if isinstance(status, int) else OK


def _misuse(error: click.ClickException, session: Session) -> int:
    context = getattr(error, "ctx", None)
    if context is not None and not session.as_json:
        session.console.say(context.get_usage())
        if context.command.get_help_option(context) is not None:
            session.console.say(f"Try `{context.command_path} --help`.")
    return _told(session, "usage", error.format_message(), MISUSE)


def _told(session: Session, kind: str, message: str, status: int) -> int:
    session.console.fail(message)
    if session.as_json:
        session.console.document({"error": {"kind": kind, "message": message}})
    return status


def _kind(error: FlowError) -> str:
    """A stable name for programs: `StoreUnavailableError` is `store-unavailable`."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")


def _bug(error: Exception, session: Session) -> int:
    import traceback  # noqa: PLC0415 - only when all else has failed

    session.console.say("".join(traceback.format_exception(error)).rstrip())
    return _told(
        session,
        "internal",
        f"this is a bug in flowlang {__version__}, not in your project: {type(error).__name__}. "
        "Please report it with the text above at https://github.com/flowlang/flowlang/issues",
        BUG,
    )


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Flags win over FLOWLANG_* variables, and those over flowlang.yaml.",
)
@click.version_option(__version__, prog_name="flowlang", message="%(prog)s %(version)s")
def cli() -> None:
    """Declarative background jobs: pipelines in YAML, checked before they run."""
