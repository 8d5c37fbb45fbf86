"""What is called while a machine is measured."""
# ruff: noqa: INP001 - a folder of handlers, as a user has it

from __future__ import annotations

import threading

from flowlang import handler

_never = threading.Event()


@handler("bench.work", effect="pure")
def work(n: int, ms: float = 0.0) -> int:
    """Take that long, and count on."""
    if ms:
        _never.wait(ms / 1000)
    return n + 1
