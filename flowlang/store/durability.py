"""Whether what was written is safe: on the server's disk (`fsync`), or with a replica too (`replica`).

Both are asked on one connection behind a write of its own, since the server answers for what that connection has
written; what others wrote before lies before it, in the file as on the way to replicas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from flowlang.clock import monotonic_ms
from flowlang.errors import NotDurableError
from flowlang.plan import Durability
from flowlang.store.redis_health import read_appendfsync

#: Longest wait; with `appendfsync everysec` the server needs up to a second or two. Milliseconds.
PATIENCE_MS = 5_000

#: A server with `appendfsync everysec` begins a sync a second after the one before, and says so up to a tenth later:
#: answers that are less apart were given without one. Milliseconds, and how often in a row that must be.
_SYNCS_APART_MS = 700
_SYNCS_PROBED = 3

#: How long the mark of a write is kept, milliseconds.
_MARK_MS = 60_000


def secure(client: redis.Redis, mark: str, durability: Durability, patience_ms: int = PATIENCE_MS) -> None:
    """Wait until all that was written before is safe.

    Args:
        client: Of the store.
        mark: Key for a write of our own.
        durability: How safe.
        patience_ms: How long to wait for it.

    Raises:
        NotDurableError: when it is not by then.
        redis.RedisError: when the server gave no answer, or cannot say.
    """
    asked: Any = client.pipeline(transaction=False)
    asked.set(mark, b"", px=_MARK_MS)
    if durability == "fsync":
        asked.execute_command("WAITAOF", 1, 0, patience_ms)
        on_disk, _ = asked.execute()[1]
        if on_disk < 1:
            raise NotDurableError(f"`durable: fsync`: the server had it not on disk after {patience_ms} ms")
    elif durability == "replica":
        asked.execute_command("WAIT", 1, patience_ms)
        replicas = asked.execute()[1]
        if replicas < 1:
            raise NotDurableError(f"`durable: replica`: no replica had it after {patience_ms} ms")


def why_not(
    client: redis.Redis, mark: str, durability: Durability, monotonic: Callable[[], float] = monotonic_ms
) -> str:
    """Why a server can never say that something is safe, and what would be right; empty when it can.

    Args:
        client: Of the store.
        mark: Key for writes of our own.
        durability: How safe.
        monotonic: Milliseconds of a clock that never goes back.
    """
    if durability != "fsync":
        return ""  # a replica may come at any time
    asked: Any = client
    try:
        asked.execute_command("WAITAOF", 0, 0, 1)
    except redis.exceptions.ResponseError:
        return "`durable: fsync` asks the server with WAITAOF, which it does not know: it needs Redis 7.2 or Valkey"
    if not asked.info("persistence").get("aof_enabled", 0):
        return "`durable: fsync` needs a server with an append-only file: set its `appendonly yes`"
    policy = read_appendfsync(asked)
    if policy == "no":
        return "`durable: fsync` needs a server that syncs its file: set its `appendfsync everysec` or `always`"
    if policy == "everysec" and _says_so_too_soon(asked, mark, monotonic):
        return (
            "`durable: fsync`: with `appendfsync everysec` this server says that something is on its disk before it is "
            "(a fault of WAITAOF in Valkey and in Redis 7.4, github.com/redis/redis/pull/13793): set its "
            "`appendfsync always`"
        )
    return ""


def _says_so_too_soon(asked: Any, mark: str, monotonic: Callable[[], float]) -> bool:
    """Whether a server that syncs once a second says more often that it has."""
    answered: list[float] = []
    for _ in range(_SYNCS_PROBED):
        pipe = asked.pipeline(transaction=False)
        pipe.set(mark, b"", px=_MARK_MS)
        pipe.execute_command("WAITAOF", 1, 0, PATIENCE_MS)
        on_disk, _ = pipe.execute()[1]
        answered.append(monotonic())
        if on_disk < 1 or (len(answered) > 1 and answered[-1] - answered[-2] >= _SYNCS_APART_MS):
            return False
    return True
