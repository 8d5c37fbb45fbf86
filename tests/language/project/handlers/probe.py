"""Handlers that answer as they are told, and write down outside the store that they were called."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from flowlang import Context, Permanent, Resource, Transient, handler

#: Bound of the handler that never ends by itself, in seconds: a test that fails must still end.
LONGEST_S = 60.0

FAILURES = {"transient": Transient, "resource": Resource, "permanent": Permanent}


@handler("probe.note", effect="idempotent")
def note(ctx: Context, *, value: Any = None) -> Any:
    """Give back what it was given."""
    _written(ctx, "probe.note", {} if value is None else {"value": value})
    return value


@handler("probe.tries", effect="idempotent")
def tries(ctx: Context, *, fails: list[str], value: Any = None) -> Any:
    """Fail in the first attempts: each entry is a class, with a code behind a `/` where it has one."""
    _written(ctx, "probe.tries", {"fails": fails} if value is None else {"fails": fails, "value": value})
    if ctx.attempt > len(fails):
        return ctx.attempt if value is None else value
    kind, _, code = fails[ctx.attempt - 1].partition("/")
    if kind == "bug":
        raise LookupError("a bug")
    if kind == "zero":
        raise ZeroDivisionError("an error of a library")
    raise FAILURES[kind]("as it was told", code=code or None)


@handler("probe.endless", effect="idempotent")
async def endless(ctx: Context) -> None:
    """Go on until its time is over."""
    _written(ctx, "probe.endless", {})
    await asyncio.sleep(LONGEST_S)


def _written(ctx: Context, name: str, arguments: dict[str, Any]) -> None:
    place = os.environ.get("E2E_LEDGER")
    if place is None:
        return
    line = {"run": ctx.run.id, "handler": name, "step": ctx.step, "attempt": ctx.attempt, "arguments": arguments}
    file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
