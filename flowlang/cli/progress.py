"""Showing that something long goes on: a line that redraws itself for who watches a terminal, plain lines else.

`rich` is used when it is installed and somebody watches; it is loaded then and not before.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flowlang.cli.console import Console


@contextmanager
def progress(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """Show how something goes.

    Args:
        console: Where; nothing is shown in between when nobody watches.
        title: What goes on.

    Yields:
        A function to be told each new state, in a few words.
    """
    if not console.interactive:
        yield _changes(console, title)
        return
    if importlib.util.find_spec("rich") is None:
        console.say(title)
        yield lambda _: None
        return
    import rich.console  # noqa: PLC0415 - 0.16 s that only a watched terminal is worth
    import rich.markup  # noqa: PLC0415 - the same

    terminal = rich.console.Console(stderr=True)
    with terminal.status(rich.markup.escape(title)) as status:
        yield lambda state: status.update(rich.markup.escape(f"{title}: {state}"))


def _changes(console: Console, title: str) -> Callable[[str], None]:
    """A line for each new state."""
    last = ""

    def show(state: str) -> None:
        nonlocal last
        if state != last:
            last = state
            console.say(f"{title}: {state}")

    return show


@contextmanager
def bar(console: Console) -> Iterator[Callable[[str, int, int, str], None]]:
    """Show how much of something is done, as a bar where somebody watches and `rich` is installed, as lines else.

    Args:
        console: Where; a line is written at each tenth.

    Yields:
        A function to be told again and again what goes on, how much of it is done, of how much, and how fast in words.
    """
    if not console.interactive or importlib.util.find_spec("rich") is None:
        yield _tenths(console)
        return
    import rich.console  # noqa: PLC0415 - slow to import, and only a watched terminal is worth it
    import rich.markup  # noqa: PLC0415 - the same
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - the same

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=rich.console.Console(stderr=True), transient=True) as shown:
        tasks = {}

        def show(title: str, done: int, total: int, pace: str) -> None:
            if title not in tasks:
                tasks[title] = shown.add_task(rich.markup.escape(title), total=total, pace="")
            shown.update(tasks[title], completed=done, pace=rich.markup.escape(pace))

        yield show


def _tenths(console: Console) -> Callable[[str, int, int, str], None]:
    """A line for each tenth."""
    last = ("", 0)

    def show(title: str, done: int, total: int, pace: str) -> None:
        nonlocal last
        tenth = done * 10 // total
        if tenth > 0 and (title, tenth) != last:
            last = (title, tenth)
            console.say(f"{title}: {done:,} of {total:,}, {pace}")

    return show
