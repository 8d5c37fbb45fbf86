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
