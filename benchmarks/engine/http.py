"""Events over HTTP: one a request, and a hundred, over a few connections that stay open."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from benchmarks.engine.bench import Bench, Row
from flowlang.bench.pipelines import chain
from flowlang.bench.rates import rate
from flowlang.clock import random_token
from flowlang.settings import PREFIX, Settings
from flowlang.worker.tether import tethered

CONNECTIONS = 4
BATCH = 100
PATIENCE_S = 30.0
TOKEN = f"flk_dev_{random_token(32)}"
HEADERS = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True, slots=True)
class Http:
    """Events a second, each of which makes a run; the sender is on the same machine.

    Attributes:
        single_per_s: One a request.
        batch_per_s: A hundred a request.
    """

    single_per_s: float
    batch_per_s: float

    def rows(self) -> list[Row]:
        shown = f"{self.single_per_s:,.0f}/s; {self.batch_per_s:,.0f}/s in lists of {BATCH}"
        return [Row(f"events over HTTP, {CONNECTIONS} connections", shown)]


def http_events(bench: Bench) -> Http:
    """Measure both, no worker running."""
    event = {"name": "bench/chain-1", "data": {"n": 1}}
    with bench.arena() as arena:
        arena.deploy(chain(1))
        with served(arena.settings) as (port, _):
            single = _rate(port, json.dumps(event).encode(), bench.sizes.requests)
            batch = _rate(port, json.dumps([event] * BATCH).encode(), bench.sizes.requests // 20) * BATCH
        made = arena.service.stats().runs
    wanted = bench.sizes.requests + bench.sizes.requests // 20 * BATCH
    if made != wanted:
        raise SystemExit(f"{wanted} events made {made} runs")
    return Http(single, batch)


@contextmanager
def served(settings: Settings, secrets: Mapping[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """`flowlang serve` in a process of its own: its port, and the process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ = {**foreign, **(secrets or {}), **replace(settings, http_port=port, dev_token=TOKEN).environ()}
    argv = tethered([sys.executable, "-m", "flowlang", "serve"], signal.SIGKILL)
    with subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            pause.wait(0.05)
        else:
            return


def _rate(port: int, body: bytes, requests: int) -> float:
    """Send requests over some connections at a time; requests a second."""

    def send(count: int) -> list[float]:
        connection, ends = http.client.HTTPConnection("127.0.0.1", port), []
        for _ in range(count):
            connection.request("POST", "/events", body, HEADERS)
            response = connection.getresponse()
            said = response.read()
            if response.status != 202:
                raise SystemExit(f"HTTP {response.status}: {said[:300]!r}")
            ends.append(time.monotonic())
        connection.close()
        return ends

    shares = [len(range(number, requests, CONNECTIONS)) for number in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return rate([end for ends in pool.map(send, shares) for end in ends])
