"""What a claim says of queues follows from the project's rules and from what the threads are at."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import QueueTerms
from flowlang.plan import QueueRule
from flowlang.worker.terms import terms_of


@pytest.mark.parametrize(
    ("threads", "at_work", "reserved"), [(8, 0, 2), (8, 1, 1), (8, 2, 0), (8, 5, 0), (3, 0, 0), (4, 0, 1)]
)
def test_a_share_is_whole_threads_less_those_that_work_for_the_queue(threads: int, at_work: int, reserved: int) -> None:
    rules = {"critical": QueueRule(0, share=25), "slow": QueueRule(20, limit=3)}

    assert terms_of(rules, threads, {"critical": at_work, "slow": 1}) == {
        "critical": QueueTerms(0, None, reserved),
        "slow": QueueTerms(20, 3, 0),
    }
