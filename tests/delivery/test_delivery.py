"""Over a lossy network every event and call is taken exactly once; `python -m tests.delivery` is the same at full size."""

from __future__ import annotations

from tests.delivery.trial import tried


def test_what_is_sent_over_a_lossy_network_is_taken_exactly_once(redis_url: str) -> None:
    found = tried(redis_url, 40, seed=7)
    assert (found.sent, found.called) == (80, 40)
    assert found.exact, found
    assert found.requests_lost > 5, found
    assert found.answers_lost > 5, found
    assert found.repeats > 5, found
