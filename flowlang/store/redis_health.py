"""What `doctor` needs to know of a Redis or Valkey server: facts only; `doctor` judges them."""

from __future__ import annotations

from typing import Any

import redis

from flowlang.clock import SystemClock
from flowlang.engine.ports import Memory


def read_health(client: redis.Redis) -> dict[str, Any]:
    """Ask a server about itself.

    Returns:
        `server` (`redis` or `valkey`), `version`, `run_id`, `mode`, `maxmemory` and `used_memory` in bytes,
        `maxmemory_policy`, `aof_enabled`, `appendfsync` (None when the server does not let us ask), `role`,
        `replicas` that are connected, and `clock_difference_ms`: the server's clock minus this machine's.
    """
    asked: Any = client
    info = asked.info("everything")
    valkey = "valkey_version" in info
    seconds, micros = asked.time()
    return {
        "server": "valkey" if valkey else "redis",
        "version": str(info["valkey_version" if valkey else "redis_version"]),
        "run_id": info.get("run_id"),
        "mode": info.get("redis_mode") or info.get("server_mode"),
        "role": info.get("role"),
        "maxmemory": int(info.get("maxmemory", 0)),
        "maxmemory_policy": info.get("maxmemory_policy"),
        "used_memory": int(info.get("used_memory", 0)),
        "aof_enabled": bool(info.get("aof_enabled", 0)),
        "appendfsync": read_appendfsync(asked),
        "replicas": int(info.get("connected_slaves", 0)),
        "clock_difference_ms": int(seconds) * 1000 + int(micros) // 1000 - SystemClock().now_ms(),
    }


def read_memory(client: redis.Redis) -> Memory:
    """Ask a server for the memory that counts towards its limit."""
    asked: Any = client
    info = asked.info("memory")
    used = int(info["used_memory"]) - int(info.get("mem_not_counted_for_evict", 0))
    return Memory(used, int(info.get("maxmemory", 0)))


def read_appendfsync(asked: Any) -> str | None:
    """When a server syncs its append-only file; None when it does not let us ask."""
    try:
        answer = asked.config_get("appendfsync")
    except redis.exceptions.ResponseError:  # managed servers refuse CONFIG
        return None
    value = answer.get("appendfsync", answer.get(b"appendfsync"))
    return value.decode() if isinstance(value, bytes) else value
