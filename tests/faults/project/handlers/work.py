"""Handlers that write down outside the store that they were called; a line survives the process that wrote it."""

from __future__ import annotations

import json
import os
import threading
import time

from flowlang import Context, Permanent, Transient, handler

#: How long the slow one takes, in seconds; longer than FLOWLANG_SHUTDOWN there.
SLOW_S = 2.0

_pause = threading.Event()  # never set


@handler("work.count", effect="idempotent")
def count(n: int, ctx: Context) -> int:
    """Count on."""
    _note(ctx)
    return n + 1


@handler("work.count_async", effect="idempotent")
async def count_async(n: int, ctx: Context) -> int:
    """Count on, on the event loop."""
    _note(ctx)
    return n + 1


@handler("work.flaky", effect="idempotent")
def flaky(n: int, ctx: Context) -> int:
    """Fail in the first attempt, count on in the second."""
    _note(ctx)
    if ctx.attempt == 1:
        raise Transient("not yet")
    return n + 1


@handler("work.back", effect="idempotent")
def back(n: int, ctx: Context) -> int:
    """Take back."""
    _note(ctx)
    return n - 1


@handler("work.picky", effect="idempotent")
def picky(n: int, ok: bool, ctx: Context) -> int:
    """Refuse, unless all is right."""
    _note(ctx)
    if not ok:
        raise Permanent("not so", code="refused")
    return n + 1


@handler("work.once", effect="once")
def once(n: int, ctx: Context) -> int:
    """Do what must never be done twice."""
    _note(ctx)
    return n + 1


@handler("work.slow", effect="idempotent")
def slow(n: int, ctx: Context) -> int:
    """Take longer than a process has that is told to stop."""
    _note(ctx)
    _pause.wait(SLOW_S)
    return n + 1


def _note(ctx: Context) -> None:
    line = {
        "kind": "begin",
        "run": ctx.run.id,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "key": ctx.idempotency_key,
        "pid": os.getpid(),
        "at_ns": time.monotonic_ns(),
    }
    file = os.open(os.environ["E2E_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
