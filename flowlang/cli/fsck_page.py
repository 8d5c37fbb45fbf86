"""The page of what `flowlang fsck` finds, from the table in `flowlang.engine.fsck`."""

from __future__ import annotations

from typing import Final

from flowlang.engine.fsck import MEANINGS

_HEAD: Final = """\
# What `flowlang fsck` finds

Written from `flowlang/engine/fsck/findings.py` by `python -m flowlang.cli.reference_pages`; change it there.

The rows of a run say all that there is to know of it. What makes it go on is kept a second time, so that it is found:
ready rows by queue, leases and timers by time, waits by event, lines and places by gate, runs by status. Each change of
both is one atomic script, so they agree; `flowlang fsck` looks whether they do, for every run and in both directions.
It changes nothing, and may run beside workers at any time: a row and all that is said of it are read at one moment,
and what looks wrong is read three times more.

A finding is a bug in FlowLang, a server that has lost writes in the middle of a file, or a key that somebody changed by
hand. An end of the append-only file that was cut off is none: a script is there whole or not at all.

| finding | what it means | what to do |
|---|---|---|
"""


def fsck_page() -> str:
    """The whole page."""
    rows = (f"| `{code}` | {meaning.means} | {meaning.do} |\n" for code, meaning in sorted(MEANINGS.items()))
    return _HEAD + "".join(rows)
