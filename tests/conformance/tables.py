"""Our own tables of cases, which feed tests and benchmarks: `*.yaml` beside this file, one topic a file.

A case is an object with these keys:

    expr      the expression
    with      values of its names, if it has any
    pinned    whether `now()` and `uuid()` answer: with 1970, and with id-0, id-1, …
    is        an expression for the value, its type included; or
    error     the code of the error, and `at`, the part of the text at which it happened; or
    syntax    a part of the message that refuses the text
    checker   `refuses` where CEL's checker refuses what can be evaluated, such as `1 == 1.0`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import yaml

from flowlang.expr import Pins, Timestamp
from flowlang.expr.scope import NO_PINS

FOLDER: Final = Path(__file__).parent
_KEYS: Final = frozenset({"expr", "with", "pinned", "is", "error", "at", "syntax", "checker"})


@dataclass(frozen=True, slots=True)
class TableCase:
    """A case of our tables.

    Args:
        name: Topic, number and expression, for the names of tests.
        text: The expression.
        bindings: Values of its names.
        pinned: Whether `now()` and `uuid()` answer.
        value: An expression for its value, or None.
        error: The code of its error, or None.
        at: The part of the text at which the error happens, or None where the case does not say.
        syntax: A part of the message that refuses it, or None.
        refused: Whether the checker refuses it although it has a value.
    """

    name: str
    text: str
    bindings: Mapping[str, Any] = field(default_factory=dict)
    pinned: bool = False
    value: str | None = None
    error: str | None = None
    at: str | None = None
    syntax: str | None = None
    refused: bool = False

    def pins(self) -> Pins:
        """What `now()` and `uuid()` answer in one evaluation."""
        numbers = count()
        return Pins(now=Timestamp(0), uuid=lambda: f"id-{next(numbers)}") if self.pinned else NO_PINS


def load_tables() -> list[TableCase]:
    """Load all tables.

    Returns:
        Their cases, by file and in the order of the file.
    """
    return [
        _case(f"{path.stem} {number}", entry)
        for path in sorted(FOLDER.glob("*.yaml"))
        for number, entry in enumerate(yaml.safe_load(path.read_text(encoding="utf-8")), 1)
    ]


def _case(place: str, entry: dict[str, Any]) -> TableCase:
    unknown = set(entry) - _KEYS
    assert not unknown, f"{place} has {unknown}"
    assert len({"is", "error", "syntax"} & set(entry)) == 1, f"{place} needs one of is, error, syntax"
    assert entry.get("checker", "refuses") == "refuses", place
    return TableCase(
        name=f"{place}: {entry['expr']}"[:90],
        text=entry["expr"],
        bindings=entry.get("with", {}),
        pinned=entry.get("pinned", False),
        value=entry.get("is"),
        error=entry.get("error"),
        at=entry.get("at"),
        syntax=entry.get("syntax"),
        refused="checker" in entry,
    )
