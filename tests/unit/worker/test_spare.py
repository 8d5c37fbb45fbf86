"""Threads for work that nobody was told of."""

from __future__ import annotations

import threading

from flowlang.worker.spare import SpareThreads

PATIENCE = 30


def test_threads_that_are_just_being_started_can_be_waited_for() -> None:
    done: list[int] = []
    spare = SpareThreads(lambda: done.append(1))
    starters = [threading.Thread(target=spare.start) for _ in range(200)]
    for starter in starters:
        starter.start()
        spare.join(PATIENCE)
    for starter in starters:
        starter.join(PATIENCE)
    spare.join(PATIENCE)
    assert len(done) == 200


def test_a_thread_that_does_not_end_is_not_waited_for_longer_than_that() -> None:
    finish = threading.Event()
    spare = SpareThreads(lambda: finish.wait(PATIENCE))
    spare.start()
    spare.join(0.01)
    finish.set()
    spare.join(PATIENCE)


def test_those_are_waited_for_too_that_others_start_meanwhile() -> None:
    done: list[int] = []

    def work() -> None:
        done.append(1)
        if len(done) < 100:
            spare.start()

    spare = SpareThreads(work)
    spare.start()
    spare.join(PATIENCE)
    assert len(done) == 100
