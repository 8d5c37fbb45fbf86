"""One call of the command line: its common flags, and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from flowlang.cli.console import Console
from flowlang.settings import Settings

#: Exit statuses; `docs/reference/cli.md` lists them.
OK, REFUSED, MISUSE, BUG, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(slots=True)
class Session:
    """What the common flags say.

    Args:
        environ: Variables of the process.
        as_json: `--json`.
        color: `--color`.
        project: `--project`.
        as_lines: Whether each JSON document stands on one line; commands that go on say so.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    as_json: bool = False
    color: str = "auto"
    project: str | None = None
    as_lines: bool = False

    @property
    def console(self) -> Console:
        """Where to write."""
        return Console(self.environ, self.color, as_json=self.as_json, as_lines=self.as_lines)

    def settings(self, project_values: Mapping[str, str] | None = None, **flags: str | None) -> Settings:
        """Read the settings; flags by setting name, None for those that were not given."""
        return Settings.from_env(self.environ, {"project": self.project, **flags}, project_values)


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def remember(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        session = ctx.find_object(Session)
        if session is not None and value is not None:
            setattr(session, name, value)

    return remember


def _common() -> list[click.Parameter]:
    """The flags that every command takes; they are eager, so that errors about the others are shown their way."""
    shared: dict[str, Any] = {"expose_value": False, "is_eager": True}
    return [
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            default=None,
            callback=_remember("as_json"),
            help="Write data as JSON.",
            **shared,
        ),
        click.Option(
            ["--color"],
            type=click.Choice(["auto", "always", "never"]),
            callback=_remember("color"),
            help="Whether to colour.  [default: auto]",
            **shared,
        ),
        click.Option(
            ["-C", "--project"],
            metavar="FOLDER",
            callback=_remember("project"),
            help="The project's folder.  [default: FLOWLANG_PROJECT, else the current one]",
            **shared,
        ),
    ]


class Command(click.Command):
    """A command with the common flags."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_common()]


class Group(click.Group):
    """A noun with verbs, all of which take the common flags."""

    command_class = Command
