"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import click

from flowlang.cli.root import cli

#: Options that every command has; told once.
_SHARED: Final = ("as_json", "color", "project")

#: Options ask for a context, and what they say of themselves does not depend on it.
_ANY: Final = click.Context(click.Command("any"))

_HEAD: Final = """\
# The command line

Written from the commands in `flowlang/cli` by `python -m flowlang.cli.reference_pages`; change them there.

`flowlang COMMAND --help` says the same. `python -m flowlang` is the same as `flowlang`. Data goes to stdout and talk to
stderr, so output can be piped. Flags win over `FLOWLANG_*` variables ([settings](settings.md)), and those over
`flowlang.yaml`.

These options go with every command:

"""

_STATUSES: Final = """\

With `--json` each document has `schema_version`, which is raised when a field changes its meaning or goes away. An
error is then a document too: `{"error": {"kind": "…", "message": "…"}}`. Commands that go on (`dev`, `worker`, `serve`)
write one document a line. Colours are left out when stdout is no terminal or `NO_COLOR` is set; `FORCE_COLOR` puts them
in.

| exit status | meaning |
|---|---|
| 0 | it is done |
| 1 | the answer is no: findings, a run that did not succeed, an event that was not taken |
| 2 | it cannot be done as asked: a wrong option, an unusable setting, no project, no server |
| 3 | a bug in FlowLang |
| 130 | interrupted by Ctrl-C |
"""


def commands_page() -> str:
    """The whole page."""
    first = next(command for _, command in _commands(cli, ()) if not isinstance(command, click.Group))
    shared = [each for each in first.params if each.name in _SHARED]
    parts = [_HEAD + _table(shared) + _STATUSES]
    parts += [_section(path, command) for path, command in _commands(cli, ())]
    return "".join(parts)


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands with the words that call them, groups before what is in them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    title = f"\n{'#' * (len(path) + 1)} flowlang {' '.join(path)}\n"
    text = f"{title}\n{_prose(command.help or '')}\n"
    if isinstance(command, click.Group):
        return text
    with click.Context(command, info_name=" ".join(("flowlang", *path))) as context:
        usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    own = [each for each in command.params if isinstance(each, click.Option) and each.name not in _SHARED]
    options = f"\n{_table(own)}" if own else ""
    return f"{text}\n```text\n{usage}\n```\n{options}"


def _prose(text: str) -> str:
    """A help text; what it quotes after `Such as:` becomes code."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(re.sub(r"Such as: (flowlang .*)$", r"Such as `\1`.", part) for part in paragraphs)


def _table(options: Sequence[click.Parameter]) -> str:
    rows = "".join(f"| {_names(each)} | {_about(each)} |\n" for each in options if isinstance(each, click.Option))
    return f"| option | what it does |\n|---|---|\n{rows}"


def _names(option: click.Option) -> str:
    metavar = "" if option.is_flag else f" {option.make_metavar(_ANY).replace('INTEGER RANGE', 'N')}"
    return f"`{', '.join(option.opts)}{metavar}`".replace("|", "\\|")


def _about(option: click.Option) -> str:
    """What click shows beside an option, as a sentence."""
    record = option.get_help_record(_ANY)
    assert record is not None, f"{option.name} has no help"
    text, _, default = record[1].partition("  [default: ")
    if not default:
        return _cell(text)
    bounds = re.sub(r"; ([0-9]+)<=x<=([0-9]+)", r", from \1 to \2", default.removesuffix("]"))
    return _cell(f"{text} Default: {bounds}.")


def _cell(text: str) -> str:
    """A text that does not end the cell of its table."""
    return text.replace("|", "\\|")
