"""Attempts in real workers: cancelled, beyond their time, on threads and on the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flowlang.plan import RetryRule
from tests.e2e.pipelines import CALLS, chain, one
from tests.e2e.waiting import until
from tests.e2e.world import World

SOON = ((RetryRule(("transient", "timeout"), attempts=3, initial_ms=1, jitter="none"),),)


@pytest.mark.parametrize("handler", ["work.until_told", "work.until_told_async"])
def test_a_cancel_reaches_a_handler_that_runs(tmp_path: Path, handler: str, figure: Callable[[str], None]) -> None:
    # The lease is renewed for as long as the handler runs: only the answer to a renewal can bring the news.
    with World(tmp_path, LEASE="6s") as world:
        world.deploy(one(handler))
        with world.crew(1):
            (run,) = world.send("e2e/one")
            until(lambda: world.ledger.lines("begin"), "the handler")
            cancelled_ns = time.monotonic_ns()
            assert world.service.cancel(run, "not wanted")
            (detail,) = world.ended([run])
    (told,) = world.ledger.lines("told")
    assert detail.run.status == "cancelled"
    assert [line.attempt for line in world.ledger.lines("begin")] == [1]
    figure(f"told {(told.at_ns - cancelled_ns) / 1e9:.2f} s after the cancel, with a lease of 6 s")


def test_a_plain_function_beyond_its_time_is_told_and_tried_again(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.deploy(one("work.slow_once", timeout_ms=300, retry=SOON))
        with world.crew(1):
            (detail,) = world.ended(world.send("e2e/one"))
    assert detail.run.status == "succeeded"
    assert [(state.output, state.attempts) for state in detail.steps] == [(2, 2)]
    errors = [entry["error"] for entry in detail.journal if entry["kind"] == "attempt.failed"]
    assert [(error["class"], error["code"]) for error in errors] == [("transient", "timeout")]
    assert [(line.kind, line.attempt) for line in world.ledger.lines()] == [("begin", 1), ("told", 1), ("begin", 2)]


def test_coroutines_run_like_plain_functions(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.deploy(chain(handler="work.do_async", ms=5))
        with world.crew(2):
            details = world.ended(world.send("e2e/chain", 30))
    assert {(detail.run.status, detail.output - detail.event.data["n"]) for detail in details} == {("succeeded", 5)}
    expected = {(detail.run.id, step) for detail in details for step in CALLS["chain"]}
    assert world.ledger.calls() == dict.fromkeys(expected, 1)
