from __future__ import annotations

import os
from pathlib import Path

import pytest
import redis

from flowlang.bench.arena import Arena, opened
from flowlang.bench.drain import StuckError, drain, watched
from flowlang.bench.pipelines import PROJECT, chain
from flowlang.bench.sizing import Load, State, measure
from flowlang.bench.workers import WorkerDiedError, Workers
from flowlang.plan import EventTrigger, Plan, SetValues, Step
from flowlang.settings import Settings


def settings(redis_url: str) -> Settings:
    return Settings(redis_url=redis_url, project=PROJECT, threads=2, log_level="error")


def test_it_is_watched_until_all_is_done_and_what_is_done_is_told(redis_url: str) -> None:
    steps = iter([0, 3, 3, 10])
    told: list[int] = []
    with redis.Redis.from_url(redis_url) as client:
        watched(lambda: next(steps), 10, [os.getpid()], client, check=lambda: None, tell=told.append)
    assert told == [0, 3, 3, 10]
    assert next(steps, None) is None


def test_what_the_check_raises_ends_the_watch(redis_url: str) -> None:
    def check() -> None:
        raise WorkerDiedError("it is gone")

    with redis.Redis.from_url(redis_url) as client, pytest.raises(WorkerDiedError, match="it is gone"):
        watched(lambda: 0, 10, [], client, check=check)


def test_a_worker_that_cannot_start_is_told_of(tmp_path: Path, redis_url: str, broker_url: str) -> None:
    del broker_url  # emptied
    with opened(settings(redis_url)) as arena:
        arena.deploy(chain(1))
        runs = arena.send("bench/chain-1", [{"n": 1}])
        broken = Arena(Settings(redis_url="redis://127.0.0.1:1/0", project=tmp_path), arena.service, arena.client)
        with pytest.raises(WorkerDiedError, match="has ended with status 2"):
            drain(broken, runs, 1)


def test_runs_that_do_not_succeed_are_no_measurement(redis_url: str, broker_url: str) -> None:
    del broker_url
    broken = Step(0, "set", SetValues({"x": "${{ 1 / event.data.n }}"}))
    plan = Plan("chain-1", (broken,), (0,), triggers=(EventTrigger(("bench/chain-1",)),))
    with opened(settings(redis_url)) as arena:
        arena.deploy(plan)
        runs = arena.send("bench/chain-1", [{"n": n} for n in (1, 0, 0)])
        with pytest.raises(StuckError, match=r"2 of 3 runs did not succeed \(failed\)"):
            drain(arena, runs, 1)


def test_a_measurement_accounts_for_every_run(redis_url: str, broker_url: str) -> None:
    del broker_url
    states: list[State] = []
    with opened(settings(redis_url)) as arena:
        found = measure(arena, Load(120, 3, 1.0), 2, states.append)
        assert arena.ended() == 120
        assert arena.client.dbsize() > 120
        rows = arena.service.runs(limit=200)
        assert [row.status for row in rows] == ["succeeded"] * 120
        arena.clear()
        assert arena.client.dbsize() == 0
    assert found.steps_per_s == pytest.approx(3 * found.runs_per_s)
    assert found.runs_per_s > 0
    assert 3 <= found.p50_ms <= found.p99_ms  # three calls of a millisecond
    assert found.ended_bytes > found.queued_bytes > 100
    for phase in ("filling", "working"):
        counts = [state.done for state in states if state.phase == phase]
        assert counts == sorted(counts)
        assert counts[-1] == 120
    assert {state.total for state in states} == {120}


def test_workers_are_gone_when_they_are_stopped(redis_url: str, broker_url: str) -> None:
    del broker_url
    with opened(settings(redis_url)) as arena, Workers(arena.settings, 2) as workers:
        pids = workers.pids
        assert len(pids) == 2
        workers.check()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
