"""Handlers that write down outside the store what they do, each line on the disk before they go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time

from flowlang import Context, Permanent, Transient, handler

#: Bound of the handlers that wait to be told something, in seconds: a test that fails must still end.
LONGEST_S = 60.0

_pause = threading.Event()  # never set


@handler("work.do", effect="idempotent")
def do(n: int, ctx: Context, *, ms: int = 10) -> int:
    """Take a while, and count."""
    _note(ctx, "begin")
    _pause.wait(ms / 1000)
    _note(ctx, "end")
    return n + 1


@handler("work.refuse", effect="idempotent")
def refuse(n: int, bad: int, ctx: Context) -> int:
    """Refuse every number below a bound, and count the others."""
    _note(ctx, "begin")
    if n < bad:
        raise Permanent(f"{n} is refused", code="refused")
    return n + 1


@handler("work.do_async", effect="idempotent")
async def do_async(n: int, ctx: Context, *, ms: int = 10) -> int:
    """Take a while on the event loop, and count."""
    _note(ctx, "begin")
    await asyncio.sleep(ms / 1000)
    _note(ctx, "end")
    return n + 1


@handler("work.until_told", effect="idempotent")
def until_told(ctx: Context) -> None:
    """Go on until the attempt is told to stop."""
    _note(ctx, "begin")
    _listen(ctx)


@handler("work.until_told_async", effect="idempotent")
async def until_told_async(ctx: Context) -> None:
    """Go on until the coroutine is cancelled."""
    _note(ctx, "begin")
    try:
        await asyncio.sleep(LONGEST_S)
    except asyncio.CancelledError:
        _note(ctx, "told")
        raise


@handler("work.slow_once", effect="idempotent", timeout="300ms")
def slow_once(ctx: Context) -> int:
    """Go beyond the time in the first attempt only."""
    _note(ctx, "begin")
    if ctx.attempt == 1:
        _listen(ctx)
    return ctx.attempt


@handler("work.deaf_once", effect="idempotent")
def deaf_once(ctx: Context) -> None:
    """Listen to nothing in the first call of all; the later ones end at once."""
    first = _is_first(ctx)
    _note(ctx, "begin")
    if first:
        _pause.wait(LONGEST_S)


@handler("work.late_once", effect="idempotent")
def late_once(ctx: Context, *, listens: bool) -> int:
    """Take half a second in the first call of all, or listen; the later ones end at once. Tells who made it."""
    first = _is_first(ctx)
    _note(ctx, "begin")
    if first:
        if listens:
            _listen(ctx)
        else:
            _pause.wait(0.5)
        _note(ctx, "late")
    return os.getpid()


@handler("work.fails_first", effect="idempotent")
def fails_first(ctx: Context, *, ms: int) -> int:
    """Fail in the first attempt, after a while."""
    _note(ctx, "begin")
    if ctx.attempt == 1:
        _pause.wait(ms / 1000)
        _note(ctx, "end")
        raise Transient("not yet")
    return ctx.attempt


@handler("work.once", effect="once")
def once(ctx: Context, *, ms: int) -> str:
    """Take a while; nobody may try again."""
    _note(ctx, "begin")
    _pause.wait(ms / 1000)
    _note(ctx, "end")
    return "done"


@handler("work.poison", effect="idempotent")
def poison(ctx: Context) -> None:
    """Take the whole process down, as a fault in a C library does."""
    _note(ctx, "begin")
    os.kill(os.getpid(), signal.SIGKILL)


@handler("work.poison_once", effect="once")
def poison_once(ctx: Context) -> None:
    """The same, and nobody may try again."""
    _note(ctx, "begin")
    os.kill(os.getpid(), signal.SIGKILL)


@handler("work.deaf", effect="idempotent", timeout="100ms")
def deaf(ctx: Context) -> None:
    """Never come back."""
    _note(ctx, "begin")
    _pause.wait(LONGEST_S)


def _listen(ctx: Context) -> None:
    until = time.monotonic() + LONGEST_S
    while not ctx.cancelled and time.monotonic() < until:
        _pause.wait(0.005)
    _note(ctx, "told" if ctx.cancelled else "not told")


def _note(ctx: Context, kind: str) -> None:
    line = {
        "kind": kind,
        "run": ctx.run.id,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "key": ctx.idempotency_key,
        "pid": os.getpid(),
        "at_ns": time.monotonic_ns(),  # of one clock for all processes of this machine
        "wall_ms": time.time_ns() // 1_000_000,  # of this process's own
    }
    file = os.open(os.environ["E2E_LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
        os.fsync(file)
    finally:
        os.close(file)


def _is_first(ctx: Context) -> bool:
    """Whether this is the first call of all for its key; asked before it is written down."""
    return not any(line["kind"] == "begin" and line["key"] == ctx.idempotency_key for line in _lines())


def _lines() -> list[dict[str, str]]:
    with open(os.environ["E2E_LEDGER"], encoding="utf-8") as file:  # noqa: PTH123 - a handler as anybody writes it
        return [json.loads(line) for line in file]
