"""Writes `docs/reference/states.md`: the states of runs, scopes and steps, drawn from the tables of transitions."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.engine.transitions import RUN, SCOPE, STEP, Table

_HEAD = """\
# States

Made from `flowlang/engine/transitions.py` by `python -m flowlang.cli.reference_pages`. The interpreter holds itself to
the table of steps, and tests go each of its lines.
"""

_PARTS = (
    ("Runs", "What lists and outcome events say of a run.", RUN, ("pending",)),
    (
        "Steps",
        "The phases of a step instance inside its scope. What expressions read as its status is written at its end.",
        STEP,
        ("enter",),
    ),
    (
        "Scopes",
        "What the store knows: the main line of a run, an item of a `foreach`, a branch of a `parallel` or `race`.",
        SCOPE,
        ("ready",),
    ),
)


def states_page() -> str:
    """Write the page.

    Returns:
        Markdown with diagrams in Mermaid, and the tables that they are drawn from.
    """
    return "\n".join([_HEAD, *(line for part in _PARTS for line in _section(*part))])


def _section(title: str, about: str, table: Table, first: tuple[str, ...]) -> Iterator[str]:
    yield from (f"## {title}", "", about, "", "```mermaid", "stateDiagram-v2")
    for state in first:
        yield f"    [*] --> {state}"
    for state, following in table.items():
        for other in following:
            yield f"    {state} --> {other}"
        if not following:
            yield f"    {state} --> [*]"
    yield from ("```", "", "| from | to | when |", "|---|---|---|")
    for state, following in table.items():
        for other, when in following.items():
            yield f"| `{state}` | `{other}` | {when} |"
    yield ""
