"""Telling people what happens: lines as it goes on, then a table of runs and steps."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.demo.story import Sent

Row = tuple[str, str, str, str, str]

HEADER: Row = ("run / step", "status", "attempts", "time", "")
COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "red", "timed_out": "red", "skipped": "dim"}


def say(text: str = "") -> None:
    """Print a line now."""
    print(text, flush=True)


def fact(name: str, text: str) -> None:
    """Print something that runs now."""
    say(f"  {name:<10} {text}")


def sent(one: Sent) -> None:
    """Print a request and its answer."""
    say(f"  {one.what}\n      {one.status}  {one.answer}")


def said(lines: list[str]) -> None:
    """Print what processes have said, if they said anything."""
    if lines:
        say("\n  The processes said:")
        for line in lines:
            say(f"    {line}")


def table(details: Iterable[dict[str, Any]]) -> None:
    """Print runs with their steps; in colour on a terminal."""
    rows = [row for detail in details for row in _rows(detail)]
    if sys.stdout.isatty():
        _rich(rows)
    else:
        _plain(rows)


def _rows(detail: dict[str, Any]) -> list[Row]:
    run = detail["run"]
    rows: list[Row] = [(run["pipeline"], run["status"], "", _time(run), run["id"])]
    for step in detail["steps"]:
        error = step.get("error") or {}
        attempts = str(step.get("attempts", 0) or "")
        rows.append((f"  {step['step']}", step["status"], attempts, _time(step), str(error.get("code", ""))))
    return rows


def _time(row: dict[str, Any]) -> str:
    if not (row.get("started_at") and row.get("ended_at")):
        return ""
    spent = datetime.fromisoformat(row["ended_at"]) - datetime.fromisoformat(row["started_at"])
    return f"{spent.total_seconds():.3f} s"


def _plain(rows: list[Row]) -> None:
    widths = [max(len(row[at]) for row in [HEADER, *rows]) for at in range(len(HEADER))]
    for row in [HEADER, *rows]:
        if row is not HEADER and not row[0].startswith(" "):
            say()
        cells = [
            text.rjust(width) if at in {2, 3} else text.ljust(width)
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        say(f"  {'  '.join(cells).rstrip()}")


def _rich(rows: list[Row]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - only a terminal needs it
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same

    shown = Table(box=SIMPLE_HEAD)
    widths = [max(len(row[at]) for row in [HEADER, *rows]) for at in range(len(HEADER) - 1)] + [0]
    for at, name in enumerate(HEADER):
        shown.add_column(name, justify="right" if at in {2, 3} else "left", min_width=widths[at], no_wrap=True)
    for row in rows:
        name, status, attempts, spent, note = row
        is_run = not name.startswith(" ")
        if is_run and row is not rows[0]:
            shown.add_section()
        colour = COLOURS.get(status, "yellow")
        many = f"[bold yellow]{attempts}[/]" if attempts not in {"", "1"} else attempts
        shown.add_row(f"[bold]{name}[/]" if is_run else name, f"[{colour}]{status}[/]", many, spent, f"[dim]{note}[/]")
    Console().print(shown)
