"""What the project says of its queues, as a claim says it to the store."""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.engine.ops import QueueTerms
from flowlang.plan import QueueRule


def terms_of(rules: Mapping[str, QueueRule], threads: int, at_work: Mapping[str, int]) -> dict[str, QueueTerms]:
    """Work out the terms of a claim.

    Args:
        rules: Of the queues.
        threads: That this process has.
        at_work: How many of them work for each queue.
    """
    return {
        name: QueueTerms(rule.order, rule.limit, max(0, threads * rule.share // 100 - at_work.get(name, 0)))
        for name, rule in rules.items()
    }
