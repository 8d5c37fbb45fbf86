"""Who serves which version: rows that a worker leaves to others are set aside beside their queue, in the same order.

A worker that meets a row of a version that it declines moves it out of its way, once, so that ten thousand such rows
cost nobody anything; every worker that serves the version takes from beside the queue as from the queue itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flowlang.engine.ops import ClaimRequest
from flowlang.engine.ports import WorkerRow
from flowlang.engine.reference.ranked import Ranked
from flowlang.engine.reference.tables import RANKS, SEP, WORKER_LISTED_MS, Tables, Worker


def declined(tables: Tables, request: ClaimRequest) -> frozenset[tuple[str, str]]:
    """The (queue, version) whose rows a worker leaves alone.

    Those of the versions that it refuses, and of those that it defers where another worker has them as they are.
    """
    others = [row for name, row in _listed(tables) if name != request.worker]
    pairs = {(queue, version) for queue in request.queues for version in request.refuses}
    return frozenset(pairs) | {
        (queue, version)
        for queue in request.queues
        for version in request.defers
        if any(queue in row.queues and version not in row.refuses + row.defers for row in others)
    }


def sources(tables: Tables, request: ClaimRequest, left: frozenset[tuple[str, str]]) -> list[tuple[str, Ranked]]:
    """The sets that a worker takes rows from, with their queues: each in the order given, then those beside it."""
    found = []
    for queue in request.queues:
        if queue in tables.ready:
            found.append((queue, tables.ready[queue]))
        found += [(queue, rows) for version, rows in _beside(tables, queue) if (queue, version) not in left]
    return found


def version_of(tables: Tables, member: str) -> str | None:
    """The version of a row's run; None when the run is gone."""
    run = tables.runs.get(member.split(SEP, maxsplit=1)[0])
    return None if run is None else run.version


def set_aside(tables: Tables, queue: str, version: str, member: str, score: int) -> None:
    """Move a row that has come out of its queue beside it, and let others look."""
    tables.aside.setdefault((queue, version), Ranked()).put(member, score)
    tables.fresh[member] = queue


def waiting(tables: Tables, queue: str, until_ms: int | None = None) -> int:
    """How many rows of a queue are ready and have somebody to serve them; those beside it too."""
    rows = [tables.ready[queue]] if queue in tables.ready else []
    rows += [aside for version, aside in _beside(tables, queue) if is_served(tables, queue, version)]
    if until_ms is None:
        return sum(map(len, rows))
    return sum(each.count_up_to(until_ms * RANKS + RANKS - 1) for each in rows)


def is_served(tables: Tables, queue: str, version: str) -> bool:
    """Whether a worker that was heard of lately would take rows of a version from a queue."""
    return any(queue in row.queues and version not in row.refuses for _, row in _listed(tables))


def unserved(aside: Mapping[tuple[str, str], int], workers: Sequence[WorkerRow]) -> dict[str, int]:
    """Count the ready rows of each version that no worker can run.

    Args:
        aside: (queue, version) → rows beside the queue.
        workers: Those that were heard of lately.
    """
    found: dict[str, int] = {}
    for (queue, version), rows in sorted(aside.items()):
        if rows and not any(queue in worker.queues and version not in worker.refuses for worker in workers):
            found[version] = found.get(version, 0) + rows
    return found


def _beside(tables: Tables, queue: str) -> list[tuple[str, Ranked]]:
    return [(version, tables.aside[key]) for key in sorted(tables.aside) for version in key[1:] if key[0] == queue]


def _listed(tables: Tables) -> Iterator[tuple[str, Worker]]:
    return ((name, row) for name, row in tables.workers.items() if tables.now_ms - row.seen_ms <= WORKER_LISTED_MS)
