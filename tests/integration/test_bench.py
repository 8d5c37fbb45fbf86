"""`flowlang bench` as people use it, in real processes: it measures, it can be interrupted, it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from flowlang.worker.embedded import EmbeddedServer
from tests.e2e.waiting import until

BENCH = [sys.executable, "-m", "flowlang", "bench"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "server") as server:
        yield server


def call(*flags: str, folder: Path) -> subprocess.CompletedProcess[str]:
    argv = [*BENCH, "--runs", "100", "--threads", "2", *flags]
    return subprocess.run(argv, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def started(*flags: str, folder: Path) -> subprocess.Popen[str]:
    """A long measurement, whose workers have begun to work."""
    argv = [*BENCH, "--runs", "2000", "--steps", "1", "--handler-ms", "50", *flags]
    process = subprocess.Popen(argv, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("working them off"):
            break
    return process


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
    return {**kept, "FLOWLANG_REDIS_URL": "redis://127.0.0.1:1/0"}  # of a project, and none of its business


def others(server: EmbeddedServer) -> list[Any]:
    """Connections to a server but the one that asks."""
    with redis.Redis.from_url(server.url) as client:
        ours = client.client_id()
        return [each for each in client.client_list() if int(each["id"]) != ours]


def left(server: EmbeddedServer) -> list[Any]:
    """What a server holds: keys of its databases, functions."""
    with redis.Redis.from_url(server.url) as store, redis.Redis.from_url(server.broker_url) as broker:
        return [*store.keys(), *broker.keys(), *store.function_list()]


def test_a_machine_is_measured_without_a_project_and_nothing_is_left(tmp_path: Path) -> None:
    result = call("--steps", "3", "--processes", "1", "--fsync", "always", "--folder", ".", "--json", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["load"] == {"runs": 100, "steps": 3, "handler_ms": 0.0, "processes": 1, "threads": 2}
    assert found["server"].startswith("Valkey ")
    assert found["steps_per_s"] == pytest.approx(3 * found["runs_per_s"])
    assert found["p99_ms"] >= found["p50_ms"] >= 0
    assert "sending events: 100 of 100" in result.stderr
    assert "working them off: 100 of 100" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_people_are_shown_a_table(tmp_path: Path) -> None:
    result = call("--steps", "1", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].split() == ["measured", "figure"]
    assert [line.split("  ")[0] for line in result.stdout.splitlines()[1:]] == [
        "steps a second",
        "runs a second",
        "time of a run, median",
        "time of a run, 99 of 100 below",
        "CPU of a step, workers",
        "CPU of a step, server",
        "server's memory of a queued run",
        "server's memory of an ended run",
    ]


def test_on_a_borrowed_server_nothing_is_left_and_what_was_there_stays(tmp_path: Path, server: EmbeddedServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("theirs", "1")
    result = call("--redis-url", server.url, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert left(server) == [b"theirs"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_leaves_nothing(tmp_path: Path, server: EmbeddedServer, number: signal.Signals) -> None:
    with started("--redis-url", server.url, folder=tmp_path) as process:
        assert left(server) != []
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.read().strip().splitlines()[-1] == "interrupted"
    assert process.returncode == 130
    assert left(server) == []
    until(lambda: not others(server), "the end of the connections of the workers")


def test_an_interrupted_one_takes_its_server_with_it(tmp_path: Path) -> None:
    with started("--folder", ".", folder=tmp_path) as process:
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # impatience does not disturb the clearing up
        assert process.stderr is not None
        process.stderr.read()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_named_without_its_password(tmp_path: Path) -> None:
    result = call("--redis-url", "redis://:hunter2@127.0.0.1:1/0", folder=tmp_path)
    assert result.returncode == 2
    assert "the server at redis://:***@127.0.0.1:1/0 does not answer" in result.stderr
    assert result.stdout == ""


def test_a_server_that_goes_away_ends_it_with_what_may_be_left(tmp_path: Path, server: EmbeddedServer) -> None:
    with started("--redis-url", server.url, folder=tmp_path) as process:
        server.kill()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 2
    assert "does not answer" in said
    assert "keys that begin with bench-" in said
