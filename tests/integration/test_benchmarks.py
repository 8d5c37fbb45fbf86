"""The engine's benchmark measures what it says: at tiny sizes, without a look at how fast it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.engine.bench import QUICK, Bench
from benchmarks.engine.http import Http
from benchmarks.engine.latency import Lateness, Starts
from benchmarks.engine.measurements import MEASUREMENTS
from benchmarks.engine.steps import Steps
from benchmarks.engine.waiting import Waiting
from flowlang.worker.embedded import EmbeddedServer

SIZES = dataclasses.replace(
    QUICK, messages=150, chains=200, singles=60, items=60, samples=5, waiting=1_100, probes=20, requests=120
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with EmbeddedServer(folder / "server") as server:
        yield Bench(server, folder, SIZES)


def measured(bench: Bench, name: str) -> Any:
    found = MEASUREMENTS[name](bench)
    rows = found.rows()
    assert rows
    assert all((row.goal == "") == (row.met is None) for row in rows)
    return found


def test_a_rate_has_raw_dramatiq_beside_it_and_a_run_its_memory(bench: Bench) -> None:
    found = measured(bench, "chain")
    assert isinstance(found, Steps)
    steps = found.steps
    assert steps.per_s > 0
    assert steps.raw_lowest <= steps.raw_per_s <= steps.raw_highest
    assert steps.lowest <= steps.ratio <= steps.highest
    assert found.finished_bytes > found.queued_bytes > 100


def test_starts_and_timers_are_never_early(bench: Bench) -> None:
    starts = measured(bench, "starts")
    timers = measured(bench, "timers")
    assert isinstance(starts, Starts)
    assert isinstance(timers, Lateness)
    for found in (starts, timers):
        assert found.samples == SIZES.samples
        assert 0 < found.p50_ms <= found.p99_ms <= found.longest_ms


def test_events_over_http_all_become_runs(bench: Bench) -> None:
    found = measured(bench, "http")
    assert isinstance(found, Http)
    assert found.single_per_s > 0
    assert found.batch_per_s > 0


def test_waiting_runs_are_found_by_their_events(bench: Bench) -> None:
    found = measured(bench, "waiting")
    assert isinstance(found, Waiting)
    assert found.runs == SIZES.waiting
    assert found.many.server_us > 0
    assert found.run_bytes > 500
