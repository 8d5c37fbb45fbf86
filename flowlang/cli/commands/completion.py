"""`flowlang completion`: the script that completes commands in a shell."""

from __future__ import annotations

import os
from typing import Final

import click
from click.shell_completion import get_completion_class

from flowlang.cli.session import Command, Session

_SHELLS: Final = ("bash", "zsh", "fish")


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_obj
def command(session: Session, shell: str | None) -> None:
    """Print the script that completes commands in a shell.

    Without SHELL, for the one that $SHELL names. Such as: flowlang completion bash >> ~/.bashrc
    """
    name = shell or os.path.basename(session.environ.get("SHELL", ""))  # noqa: PTH119 - a name is all it is
    if name not in _SHELLS:
        raise click.UsageError(f"which shell? One of {', '.join(_SHELLS)}, such as `flowlang completion bash`")
    found = get_completion_class(name)
    assert found is not None
    script = found(click.Command("flowlang"), {}, "flowlang", "_FLOWLANG_COMPLETE").source()
    if session.as_json:
        session.console.document({"shell": name, "script": script})
    else:
        session.console.out(script)
