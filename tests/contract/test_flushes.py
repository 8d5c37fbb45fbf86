"""A flush is applied once, however often its bytes arrive."""

from __future__ import annotations

import pytest

from flowlang.engine.ops import Accepted, Cancel, ClaimRequest, Done, Duplicate, Lost
from flowlang.engine.ports import FlushId
from flowlang.errors import HistoryLostError, StoreError
from tests.contract.rig import Rig, accept, commit, finish, seed_of


def test_the_same_flush_gets_the_same_reply_and_is_applied_once(rig: Rig) -> None:
    request = ClaimRequest("w", ("default",), 4, 10_000, 8, 0)
    flush = FlushId("w", 1)

    first = rig.store.apply(flush, [accept("e1", seed_of("r1"), seed_of("r2"))], request)
    rig.advance(3_000)
    again = rig.store.apply(flush, [accept("e1", seed_of("r1"), seed_of("r2"))], request)

    assert again == first
    assert [row.run for row in first.claimed] == ["r1", "r2"]
    assert rig.store.stats().held == 2


def test_the_stored_reply_does_not_depend_on_what_is_sent_again(rig: Rig) -> None:
    first = rig.store.apply(FlushId("w", 1), [accept("e1", seed_of("r1"))])

    assert rig.store.apply(FlushId("w", 1), [accept("e2", seed_of("r2"))]) == first
    assert rig.store.run("r2") is None


def test_a_lower_number_is_refused(rig: Rig) -> None:
    rig.store.apply(FlushId("w", 7), [])

    with pytest.raises(StoreError):
        rig.store.apply(FlushId("w", 6), [accept("e1", seed_of("r1"))])
    assert rig.store.run("r1") is None


def test_a_store_that_has_not_heard_of_an_answered_flush_takes_nothing_of_that_worker(rig: Rig) -> None:
    rig.store.apply(FlushId("w", 1), [])
    rig.store.apply(FlushId("w", 3, acked=1), [])  # 2 was given up, and may have been applied or not

    for flush in (FlushId("w", 5, acked=4), FlushId("other", 2, acked=1)):
        with pytest.raises(HistoryLostError):
            rig.store.apply(flush, [accept("e1", seed_of("r1"))])
    assert rig.store.run("r1") is None
    assert rig.store.apply(FlushId("w", 4, acked=3), [accept("e1", seed_of("r1"))]).outcomes == (
        Accepted("e1", (("r1", True),)),
    )


def test_the_last_flush_again_is_answered_also_when_it_was_the_first_after_an_answered_one(rig: Rig) -> None:
    rig.store.apply(FlushId("w", 1), [])
    first = rig.store.apply(FlushId("w", 2, acked=1), [accept("e1", seed_of("r1"))])

    assert rig.store.apply(FlushId("w", 2, acked=1), [accept("e1", seed_of("r1"))]) == first


def test_numbers_are_compared_as_numbers(rig: Rig) -> None:
    rig.store.apply(FlushId("w", 9), [])

    assert rig.store.apply(FlushId("w", 10), [Cancel("r1")]).outcomes == (Done(found=False, changed=False),)


def test_workers_count_for_themselves(rig: Rig) -> None:
    rig.store.apply(FlushId("a", 5), [])

    assert rig.store.apply(FlushId("b", 1), [accept("e1")]).outcomes == (Accepted("e1"),)


def test_operations_stand_or_fall_alone_and_in_order(rig: Rig) -> None:
    main = rig.start_run()

    reply = rig.flush(
        accept("e1", seed_of("r1"), dedupe="k"),
        accept("e2", seed_of("r2"), dedupe="k"),
        finish(main),
        finish(main),
        Cancel("r00-1"),
    )

    assert reply.outcomes[:2] == (Accepted("e1", (("r1", True),)), Duplicate("e1"))
    assert reply.outcomes[3:] == (Lost("the run has ended"), Done(changed=False))


def test_a_claim_takes_what_its_own_flush_made_ready(rig: Rig) -> None:
    main = rig.start_run()

    reply = rig.flush(commit(main, "ready", consumed=1), claim=ClaimRequest("w", ("default",), 1, 10_000, 8, 0))

    assert [(row.fence, row.state) for row in reply.claimed] == [(2, b"next")]


def test_a_caller_cannot_change_what_is_stored(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1")))
    request = ClaimRequest("w", ("default",), 1, 10_000, 8, 0)

    first = rig.store.apply(FlushId("w", 50), [], request)
    first.claimed[0].facts[0]["kind"] = "changed"

    assert rig.store.apply(FlushId("w", 50), [], request).claimed[0].facts == ({"kind": "start"},)


def test_an_operation_that_contradicts_itself_is_refused_before_anything_is_written(rig: Rig) -> None:
    main = rig.start_run()

    with pytest.raises(ValueError, match="needs `finish`"):
        rig.store.apply(FlushId("x", 1), [accept("e1", seed_of("r1")), commit(main, "ended")])
    assert rig.store.run("r1") is None
