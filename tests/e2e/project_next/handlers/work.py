"""The next release of these handlers: one takes more than before, and one is new."""

from __future__ import annotations

import json
import os
import threading
import time

from flowlang import Context, handler

_pause = threading.Event()  # never set


@handler("work.do", effect="idempotent")
def do(n: int, ctx: Context, *, ms: int = 10, by: int = 1) -> int:
    """Take a while, and count."""
    _note(ctx, "begin")
    _pause.wait(ms / 1000)
    _note(ctx, "end")
    return n + by


@handler("work.more", effect="idempotent")
def more(n: int, ctx: Context) -> int:
    """Count by a hundred."""
    _note(ctx, "begin")
    _note(ctx, "end")
    return n + 100


def _note(ctx: Context, kind: str) -> None:
    line = {
        "kind": kind,
        "run": ctx.run.id,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "key": ctx.idempotency_key,
        "pid": os.getpid(),
        "at_ns": time.monotonic_ns(),  # of one clock for all processes of this machine
    }
    file = os.open(os.environ["E2E_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
