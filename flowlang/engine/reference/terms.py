"""On which terms rows are taken from queues: their order, their limit, and the threads that are each queue's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flowlang.engine.ops import Claimed, ClaimRequest, QueueTerms
from flowlang.engine.reference.ranked import Ranked
from flowlang.engine.reference.tables import Tables

_PLAIN = QueueTerms()


def best(
    tables: Tables, request: ClaimRequest, sources: Sequence[tuple[str, Ranked]], taken: Sequence[Claimed]
) -> tuple[str, Ranked, int, str] | None:
    """Find the row of the lowest order, then time; of equal ones that of the set named first.

    Args:
        tables: All rows.
        request: The claim.
        sources: Sets of ready rows with their queues.
        taken: What the claim has taken already.
    """
    found = [
        (queue, rows, *head)
        for queue, rows in sources
        if (head := rows.first()) is not None and _may_take(tables, request, taken, queue)
    ]
    return min(found, key=lambda one: (request.terms.get(one[0], _PLAIN).order, one[2]), default=None)


def _may_take(tables: Tables, request: ClaimRequest, taken: Sequence[Claimed], queue: str) -> bool:
    """Whether a queue is below its limit and leaves the others the threads that are their own."""
    limit = request.terms.get(queue, _PLAIN).limit
    if limit is not None and tables.running.get(queue, 0) >= limit:
        return False
    mine = Counter(row.queue for row in taken)
    others = sum(max(0, one.reserved - mine[name]) for name, one in request.terms.items() if name != queue)
    return not others or request.threads - request.busy - len(taken) > others
