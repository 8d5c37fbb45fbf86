"""Commands that the documents show exist, with these options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from flowlang.cli.root import cli
from tests.docs.blocks import ROOT, blocks, commands


def _flowlang() -> Iterator[tuple[str, list[str]]]:
    """The calls of `flowlang` with what is behind it, also where another command starts it."""
    for block, words in commands():
        names = [Path(word).name for word in words]
        if "flowlang" in names:
            yield block.place, words[names.index("flowlang") + 1 :]


@pytest.mark.parametrize(("place", "words"), [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in _flowlang()])
def test_a_command_that_is_shown_exists_with_its_options(place: str, words: list[str]) -> None:
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0]) if words else None
        assert found is not None, f"{place}: there is no command {words}"
        command, words = found, words[1:]
    context = click.Context(command)
    given, rest, _ = command.make_parser(context).parse_args(list(words))
    assert rest == []
    missing = [
        param.name
        for param in command.params
        if isinstance(param, click.Argument) and param.required and not given.get(param.name or "")
    ]
    assert missing == []


def test_every_command_is_shown_somewhere_beside_its_reference() -> None:
    shown = " ".join(
        path.read_text(encoding="utf-8")
        for path in [ROOT / "README.md", *(ROOT / "docs/guide").glob("*.md"), *(ROOT / "docs/operations").glob("*.md")]
    )
    names = [name for name in cli.list_commands(click.Context(cli)) if name != "completion"]
    assert [name for name in names if f"flowlang {name}" not in shown] == []


def test_other_programs_that_are_shown_are_few_and_known() -> None:
    known = {"make", "flowlang", "curl", "cd", "export", "dramatiq"}
    found = {
        Path(words[0]).name
        for block, words in commands()
        if words and "=" not in words[0] and "sign" not in block.words
    }
    assert found <= known | {"python"}
    assert any("run" in block.words for block in blocks("console"))
