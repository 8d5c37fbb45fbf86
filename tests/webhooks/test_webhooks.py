"""What webhooks are held to, in sizes that every run can pay; `python -m tests.webhooks` has the full ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowlang.server.signatures import Verified
from flowlang.store.redis import RedisStore
from tests.webhooks.libraries import LIBRARIES, Served, hold
from tests.webhooks.mutations import SIGNED, genuine, mutate
from tests.webhooks.vectors import VECTORS, vectors, wrong

BODIES = 50
HEADERS = 20_000


def test_all_published_deliveries_are_judged_as_published() -> None:
    cases = vectors()
    if not cases:
        pytest.skip(f"{VECTORS} is not here")
    assert wrong(cases) == []
    assert len(cases) == 60


@pytest.fixture
def served(redis_url: str) -> Iterator[Served]:
    """The server on a real Valkey."""
    made = Served(RedisStore(redis_url))
    yield made
    made.close()


@pytest.mark.parametrize("name", LIBRARIES)
def test_what_the_senders_own_library_signs_is_taken_and_nothing_else(served: Served, name: str) -> None:
    told = hold(served, name, BODIES, seed=7)
    assert told.wrong == []
    assert (told.taken, told.refused) == (BODIES, 4 * BODIES)
    assert served.service.counters == {"webhooks.accepted": BODIES, "webhooks.unverified": 4 * BODIES}
    assert sum(each.count for each in served.service.refusals()) == 4 * BODIES


@pytest.mark.parametrize("kind", SIGNED)
def test_what_is_changed_was_taken_before(kind: str) -> None:
    delivery, keys = genuine(kind)
    assert isinstance(delivery.verdict(keys), Verified)


def test_no_changed_header_raises_or_is_taken_for_another() -> None:
    found = mutate(HEADERS, seed=7)
    assert (found.raised, found.false) == ([], [])
    assert found.tried.total() == HEADERS
    assert all(count < found.tried[kind] for kind, count in found.taken.items())
