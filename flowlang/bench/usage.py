"""What processes and servers have used: CPU time and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU time, in seconds.

    Attributes:
        workers_s: Of the processes that were asked about; None where the system does not tell (no `/proc`).
        server_s: Of the store's server.
    """

    workers_s: float | None
    server_s: float


def cpu(pids: Iterable[int], client: redis.Redis) -> Cpu:
    """CPU time so far of processes and of a server."""
    each = [_cpu_s(pid) for pid in pids]
    told = [spent for spent in each if spent is not None]
    return Cpu(sum(told) if len(told) == len(each) else None, server_cpu_s(client))


def spent(before: Cpu, after: Cpu) -> Cpu:
    """CPU time between two looks."""
    known = before.workers_s is not None and after.workers_s is not None
    workers_s = (after.workers_s or 0.0) - (before.workers_s or 0.0) if known else None
    return Cpu(workers_s, after.server_s - before.server_s)


def server_cpu_s(client: redis.Redis) -> float:
    """CPU time so far of a server, in seconds, with that of its threads and of what it does in the background."""
    info: Any = client.info("cpu")
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


def server_bytes(client: redis.Redis) -> int:
    """Memory that a server has given out."""
    info: Any = client.info("memory")
    return int(info["used_memory"])


def resident_bytes(pid: int) -> int | None:
    """Resident memory of a process; None where the system does not tell."""
    try:
        text = (_PROC / str(pid) / "statm").read_text(encoding="ascii")
    except OSError:
        return None
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu_s(pid: int) -> float | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    parts = text.rpartition(")")[2].split()  # the name before it may hold spaces
    user, system = int(parts[11]), int(parts[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")
