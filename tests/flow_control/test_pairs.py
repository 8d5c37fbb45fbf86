"""Every pair of limiters does what the table says."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.flow_control.guide import PAGE, page, table
from tests.flow_control.pairs import PAIRS, Pair
from tests.flow_control.traffic import limited, send

#: In the order in which they are asked (language.md §7).
LIMITERS = ("idempotency", "rate_limit", "debounce", "batch", "priority", "throttle", "concurrency")


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(pair.names))
def test_a_pair_of_limiters(pair: Pair) -> None:
    traffic = send(limited(**pair.limits), pair.events)

    assert traffic.fates == list(pair.fates)
    if pair.order is not None:
        assert traffic.order == list(pair.order)


def test_the_table_has_every_pair_once_in_the_order_in_which_they_are_asked() -> None:
    assert [pair.names for pair in PAIRS] == list(combinations(LIMITERS, 2))


def test_the_guide_has_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.flow_control`"
    assert page().endswith(table())
