"""Whether what was written is safe: on the server's disk (`fsync`), or with a replica too (`replica`).

Both are asked on one connection behind a write of its own, since the server answers for what that connection has
written; what others wrote before lies before it, in the file as on the way to replicas.
"""

from __future__ import annotations

from typing import Any

import redis

from flowlang.errors import NotDurableError
from flowlang.plan import Durability
from flowlang.store.redis_health import read_appendfsync

#: Longest wait; with `appendfsync everysec` the server needs up to a second or two. Milliseconds.
PATIENCE_MS = 5_000

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


def why_not(client: redis.Redis, durability: Durability) -> str:
    """Why a server can never say that something is safe, and what would be right; empty when it can."""
    if durability != "fsync":
        return ""  # a replica may come at any time
    asked: Any = client
    try:
        asked.execute_command("WAITAOF", 0, 0, 1)
    except redis.exceptions.ResponseError:
        return "`durable: fsync` asks the server with WAITAOF, which it does not know: it needs Redis 7.2 or Valkey"
    if not asked.info("persistence").get("aof_enabled", 0):
        return "`durable: fsync` needs a server with an append-only file: set its `appendonly yes`"
    if read_appendfsync(asked) == "no":
        return "`durable: fsync` needs a server that syncs its file: set its `appendfsync everysec` or `always`"
    return ""
