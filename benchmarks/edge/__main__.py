"""Measures how fast events come in, beside a server that reads and answers, in one run with the same client.

python -m benchmarks.edge                 everything; about three minutes
python -m benchmarks.edge --seconds 1     in small
python -m benchmarks.edge --bare tuned    beside uvicorn with httptools and uvloop, which our server has, too

There are two clients. `raw` sends prepared bytes and costs next to nothing: it shows what the server costs beside a
server that does nothing. `sender` is what a program has: httpx over a few connections, and our own `AsyncClient`; it
shows what a sender sees, whose own share (signing too) is in both figures of a ratio. Neither stands for the other.

Every event has an id, is checked, deduplicated and stored with the run that it starts before it is answered; of a
webhook the signature is checked, too. No worker runs. The yardstick is measured before and after each kind, since
machines change their pace: a ratio is to the two around it, and the figure is the median of the rounds. CPU is of one
core.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import redis

from benchmarks.edge.client import PREPARED, Load
from benchmarks.engine.http import TOKEN, served, wait_for
from flowlang.bench.arena import Arena, opened
from flowlang.bench.pipelines import chain
from flowlang.bench.rates import rate
from flowlang.bench.usage import cpu, spent
from flowlang.plan import EventTrigger, Manifest, WebhookSource
from flowlang.settings import Settings
from flowlang.worker.embedded import EmbeddedServer
from flowlang.worker.tether import tethered

SECRET = "whsec_benchmark"
GOAL_SINGLE, GOAL_BATCH = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What is measured.

    Attributes:
        sender: The client that sends it: `raw`, or `sender`.
        yardstick: What the same client sends to the bare server.
        shown: What it is, in the verdict.
        single: Of lists: the kind with one event a request; empty for those.
    """

    sender: str
    yardstick: str
    shown: str
    single: str = ""


KINDS = {
    "single": Kind("raw", "single", "raw client, one event a request"),
    "webhook": Kind("raw", "single", "raw client, signed webhooks"),
    "batch": Kind("raw", "single", "raw client, lists", "single"),
    "httpx": Kind("sender", "httpx", "httpx, one event a request"),
    "httpx-webhook": Kind("sender", "httpx-webhook", "httpx, signed webhooks"),
    "httpx-batch": Kind("sender", "httpx", "httpx, lists", "httpx"),
    "send": Kind("sender", "httpx", "AsyncClient.send"),
    "send-many": Kind("sender", "httpx", "AsyncClient.send_many", "send"),
}
MODULES = {"raw": "benchmarks.edge.client", "sender": "benchmarks.edge.sender"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement.

    Attributes:
        requests_per_s: Answered.
        client: CPU of the client, a share of one core.
        server: The same of the HTTP server.
        store: The same of the store.
    """

    requests_per_s: float
    client: float
    server: float
    store: float


class Client:
    """The process that sends."""

    def __init__(self, process: subprocess.Popen[str], connections: int, seconds: float, batch: int) -> None:
        self._process = process
        self._connections = connections
        self._seconds = seconds
        self._batch = batch

    def measure(self, port: int, kind: str, pid: int, store: redis.Redis, *, again: bool) -> Figure:
        """Send requests of a kind to a server."""
        stamp = int(time.time())
        load = Load(
            port, kind, self._connections, self._seconds, self._batch, SECRET, TOKEN, stamp, secrets.token_hex(4)
        )
        count = PREPARED // 20 if KINDS[kind].single else PREPARED
        self._say({"load": dataclasses.asdict(load), "count": count, "again": again})
        self._hear()
        before, began = cpu([pid], store), time.monotonic()
        self._say("go")
        sent = json.loads(self._hear())
        took, used = time.monotonic() - began, spent(before, cpu([pid], store))
        if sent["wrong"]:
            raise SystemExit(f"{kind}: {sent['wrong']}")
        server = float("nan") if used.workers_s is None else used.workers_s / took
        return Figure(rate(sent["ends"]), sent["cpu_s"] / took, server, used.server_s / took)

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the client has ended")
        return line


@contextmanager
def bare(which: str) -> Iterator[tuple[int, int]]:
    """The yardstick's server: its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    argv = tethered([sys.executable, "-m", "benchmarks.edge.bare", str(port), which], signal.SIGKILL)
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield port, process.pid
        finally:
            process.kill()


@contextmanager
def client(options: argparse.Namespace, module: str, connections: int) -> Iterator[Client]:
    """A client's process."""
    argv = [sys.executable, "-m", module]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Client(process, connections, options.seconds, options.batch)
        finally:
            process.kill()


def deploy(arena: Arena) -> None:
    """One pipeline, started by an event and by a webhook's."""
    plan = msgspec.structs.replace(
        chain(1), triggers=(EventTrigger(("bench/chain-1",)), EventTrigger(("stripe/paid",)))
    )
    source = WebhookSource(
        "stripe",
        "stripe",
        ("STRIPE_SECRET",),
        event="stripe/${{ body.type }}",
        ident="${{ body.id }}",
        data="${{ body.data.object }}",
    )
    manifest = Manifest("bench", {plan.pipeline: plan.digest}, webhooks=(source,))
    arena.service.deploy(manifest, [plan])


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.edge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32, help="of the raw client")
    parser.add_argument("--sender-connections", type=int, default=8, help="of the other one")
    parser.add_argument("--bare", choices=("plain", "tuned"), default="plain", help="the yardstick")
    parser.add_argument("--batch", type=int, default=100, help="events of a list")
    parser.add_argument("--only", default=",".join(KINDS), help="some of these, with commas")
    options = parser.parse_args(arguments)
    kinds = options.only.split(",")
    for kind in kinds:
        if kind not in KINDS:
            parser.error(f"there is no kind {kind!r}; there are {', '.join(KINDS)}")
    with tempfile.TemporaryDirectory(prefix="flowlang-edge-") as name, ExitStack() as stack:
        store = stack.enter_context(EmbeddedServer(Path(name) / "server"))
        settings = Settings(redis_url=store.url)
        arena = stack.enter_context(opened(settings))
        deploy(arena)
        ours, pid = stack.enter_context(served(settings, {"STRIPE_SECRET": SECRET}))
        yardstick, bare_pid = stack.enter_context(bare(options.bare))
        connections = {"raw": options.connections, "sender": options.sender_connections}
        clients = {
            name: stack.enter_context(client(options, MODULES[name], connections[name]))
            for name in dict.fromkeys(KINDS[kind].sender for kind in kinds)
        }
        print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}, "
              f"{options.connections} connections of the raw client, {options.sender_connections} of the sender, "
              f"{options.seconds:g} s each, {options.bare} uvicorn", flush=True)  # fmt: skip
        for kind in kinds:  # the first requests of a server cost more
            clients[KINDS[kind].sender].measure(ours, kind, pid, arena.client, again=False)
        found: dict[str, list[tuple[Figure, Figure]]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind in kinds:
                sender, beside_it = clients[KINDS[kind].sender], KINDS[kind].yardstick
                before = sender.measure(yardstick, beside_it, bare_pid, arena.client, again=True)
                figure = sender.measure(ours, kind, pid, arena.client, again=False)
                after = sender.measure(yardstick, beside_it, bare_pid, arena.client, again=True)
                beside = dataclasses.replace(before, requests_per_s=(before.requests_per_s + after.requests_per_s) / 2)
                found[kind].append((figure, beside))
                show(kind, figure, beside, options.batch)
    return verdict(found, options.batch)


def show(kind: str, figure: Figure, beside: Figure, batch: int) -> None:
    """A line of a measurement."""
    events = figure.requests_per_s * (batch if KINDS[kind].single else 1)
    print(
        f"{kind:<11} {events:8,.0f} events/s   bare {beside.requests_per_s:7,.0f}/s   "
        f"CPU: client {figure.client:4.0%}, server {figure.server:4.0%} "
        f"({figure.server / events * 1e6:3.0f} µs an event), "
        f"store {figure.store:4.0%} ({figure.store / events * 1e6:3.0f} µs)   bare: client {beside.client:4.0%}, "
        f"server {beside.server:4.0%} ({beside.server / beside.requests_per_s * 1e6:3.0f} µs)",
        flush=True,
    )


def verdict(found: dict[str, list[tuple[Figure, Figure]]], batch: int) -> int:
    """The ratios, and whether they are what they should be."""
    rates = {kind: statistics.median(figure.requests_per_s for figure, _ in each) for kind, each in found.items()}
    missed = 0
    for kind, measured in found.items():
        about = KINDS[kind]
        if not about.single:
            ratio = statistics.median(figure.requests_per_s / beside.requests_per_s for figure, beside in measured)
            missed += _say(f"{about.shown}: of bare uvicorn", ratio, GOAL_SINGLE)
        elif about.single in rates:
            ratio = rates[kind] * batch / rates[about.single]
            missed += _say(f"{about.shown} of {batch}: of one a request", ratio, GOAL_BATCH)
    return int(missed > 0)


def _say(what: str, ratio: float, goal: float) -> bool:
    print(f"{what:<52} {ratio:6.2f}x   goal ≥ {goal:g}x  {'met' if ratio >= goal else 'NOT met'}")
    return ratio < goal


if __name__ == "__main__":
    sys.exit(main())
