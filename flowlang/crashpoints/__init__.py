"""Crash points: labelled places between two operations at which a test lets a process die, fail or stand still.

`crashpoint("area.moment")` does nothing at all, unless the process was started with `FLOWLANG_CRASH`: then it notes
that it was passed, and at the passing that the variable names it strikes (`armed`). Every label is in `catalog`, with
what would be lost there if the answer of `docs/design.md` were wrong.

Left to others: which labels are struck in which order, and whether everything comes to its end after it
(`tests/proofs`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

#: Names what is to strike; empty: nothing strikes, passings are only noted.
VARIABLE = "FLOWLANG_CRASH"
#: Folder for notes on what was passed and what has struck, shared by all processes.
NOTES_VARIABLE = "FLOWLANG_CRASH_NOTES"

#: Whether this process may be struck; costly labels are made only then.
ARMED = VARIABLE in os.environ


def _nothing(label: str, /) -> None:
    """Go on."""


def _chosen() -> Callable[[str], None]:
    if not ARMED:
        return _nothing
    from flowlang.crashpoints.armed import Armed  # noqa: PLC0415 - a normal run needs none of it

    return Armed.from_env(os.environ).passed


#: Pass a label.
crashpoint = _chosen()
