"""Durable steps a second against raw Dramatiq messages a second, in one run on one server, and latency when idle.

Each measurement is one worker process with eight threads on a queue that was filled beforehand; the rate is that of the
last nine tenths, so that the start is not in it. Raw Dramatiq is its own Redis broker with default middleware and an
actor that does nothing; it is measured before and after FlowLang, since machines change their pace. A FlowLang step is
a handler that does nothing, with its checkpoint.

    python benchmarks/bench_engine.py [--runs 2000] [--messages 5000]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from flowlang import bootstrap
from flowlang.plan import EventTrigger, Manifest, Plan, Step, Uses
from flowlang.service import IncomingEvent, Service
from flowlang.settings import Settings
from flowlang.worker.embedded import EmbeddedServer

THREADS = 8
CHAIN = 5
WARM = 0.1
SAMPLES = 200

HANDLERS = """\
from flowlang import handler

@handler("bench.noop", effect="pure")
def noop(n: int) -> int:
    return n + 1
"""


def rate(ends: list[float]) -> float:
    """Ends a second, without the first tenth of them."""
    ends = sorted(ends)
    first = int(len(ends) * WARM)
    return (len(ends) - 1 - first) / (ends[-1] - ends[first])


# Raw Dramatiq -------------------------------------------------------------------------------------------------------


def raw_actor(url: str, done: Callable[[], None]) -> tuple[RedisBroker, dramatiq.Actor[[int], None]]:
    broker = RedisBroker(url=url)  # type: ignore[no-untyped-call]
    dramatiq.set_broker(broker)

    def noop(n: int) -> None:
        del n
        done()

    actor = dramatiq.Actor(noop, broker=broker, actor_name="noop", queue_name="default", priority=0, options={})
    return broker, actor


def raw_child(url: str, messages: int) -> None:
    """Work the queue off, and print when each message was done."""
    ends: list[float] = []
    over = threading.Event()

    def done() -> None:
        ends.append(time.perf_counter())
        if len(ends) >= messages:
            over.set()

    broker, _ = raw_actor(url, done)
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    worker.start()
    over.wait()
    worker.stop()
    print(json.dumps(ends))


def raw_rate(url: str, messages: int) -> float:
    broker, actor = raw_actor(url, lambda: None)
    for n in range(messages):
        actor.send(n)
    broker.close()
    argv = [sys.executable, __file__, "--raw", url, "--messages", str(messages)]
    return rate(json.loads(subprocess.run(argv, check=True, capture_output=True).stdout))


# FlowLang -----------------------------------------------------------------------------------------------------------


def chain(length: int) -> Plan:
    given = ["${{ event.data.n }}", *[f"${{{{ steps.s{n}.output }}}}" for n in range(length - 1)]]
    steps = tuple(Step(n, f"s{n}", Uses("bench.noop", {"n": given[n]}, effect="pure")) for n in range(length))
    return Plan(f"chain-{length}", steps, tuple(range(length)), triggers=(EventTrigger((f"bench/chain-{length}",)),))


@contextmanager
def worker(environ: dict[str, str]) -> Iterator[None]:
    argv = [sys.executable, "-m", "flowlang.app", "--threads", str(THREADS)]
    with subprocess.Popen(argv, env=environ) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def send(service: Service, length: int, count: int) -> list[str]:
    runs: list[str] = []
    for at in range(0, count, 50):
        events = [IncomingEvent(name=f"bench/chain-{length}", data={"n": n}) for n in range(at, min(at + 50, count))]
        runs += [run.id for answer in service.ingest(events) for run in answer.runs]
    return runs


def wait_for(service: Service, runs: list[str], every_s: float) -> list[tuple[int, int]]:
    """Wait until runs have succeeded; when each began to exist and ended, ms of the server's clock."""
    pause = threading.Event()
    times = []
    for run in reversed(runs):  # the newest ends last, more or less
        while (found := service.store.run(run)) is None or found.row.ended_ms is None:
            pause.wait(every_s)
        if found.row.status != "succeeded":
            raise SystemExit(f"run {run} is {found.row.status}")
        times.append((found.row.created_ms, found.row.ended_ms))
    return times


def steps_rate(service: Service, environ: dict[str, str], length: int, runs: int) -> float:
    started = send(service, length, runs)
    with worker(environ):
        times = wait_for(service, started, 0.5)
    return rate([ended_ms / 1000 for _, ended_ms in times]) * length


def idle_latency(service: Service, environ: dict[str, str]) -> list[int]:
    """Milliseconds from an event's acceptance to the end of its run of one step, one run at a time."""
    latencies = []
    with worker(environ):
        wait_for(service, send(service, 1, 1), 0.1)
        for _ in range(SAMPLES):
            ((created_ms, ended_ms),) = wait_for(service, send(service, 1, 1), 0.02)
            latencies.append(ended_ms - created_ms)
    return sorted(latencies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, help="of each pipeline")
    parser.add_argument("--messages", type=int, default=5000, help="of raw Dramatiq")
    parser.add_argument("--raw", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.raw:
        raw_child(options.raw, options.messages)
        return
    with tempfile.TemporaryDirectory(prefix="flowlang-bench-") as name:
        project = Path(name) / "project"
        (project / "handlers").mkdir(parents=True)
        (project / "handlers" / "bench.py").write_text(HANDLERS)
        with EmbeddedServer(Path(name) / "server") as server:
            measure(server, project, options.runs, options.messages)


def measure(server: EmbeddedServer, project: Path, runs: int, messages: int) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
    environ = {
        **kept,
        "FLOWLANG_REDIS_URL": server.url,
        "FLOWLANG_PROJECT": str(project),
        "FLOWLANG_LOG_LEVEL": "error",
    }
    raw_url = server.database_url(2)
    print(f"one process, {THREADS} threads, embedded Valkey, {os.cpu_count()} CPUs", flush=True)
    before = raw_rate(raw_url, messages)
    print(f"raw Dramatiq, no-op messages/s, before   {before:8.0f}", flush=True)
    with bootstrap.open_service(Settings.from_env(environ)) as service:
        plans = [chain(CHAIN), chain(1)]
        service.deploy(Manifest("bench", {plan.pipeline: plan.digest for plan in plans}), plans)
        chained = steps_rate(service, environ, CHAIN, runs)
        print(f"FlowLang, chain of {CHAIN}, durable steps/s   {chained:8.0f}", flush=True)
        single = steps_rate(service, environ, 1, runs)
        print(f"FlowLang, one step, pipelines/s          {single:8.0f}", flush=True)
        latencies = idle_latency(service, environ)
    after = raw_rate(raw_url, messages)
    print(f"raw Dramatiq, no-op messages/s, after    {after:8.0f}")
    raw = statistics.mean([before, after])
    print(f"ratio, steps of the chain to messages    {chained / raw:8.2f}")
    print(f"ratio, pipelines of one step to messages {single / raw:8.2f}")
    p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(f"idle latency, event accepted to run ended: p50 {p50} ms, p99 {p99} ms, of {len(latencies)}")


if __name__ == "__main__":
    main()
