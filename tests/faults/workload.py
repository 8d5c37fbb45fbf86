"""Work that passes every crash point, and what must come of it: worked out from what is sent, whatever strikes.

A round sends every kind of thing over HTTP as careful senders do. Between two rounds people steer: they cancel, replay,
deploy, send dead letters again, and stop processes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from flowlang.clock import SystemClock
from tests.access import bearer
from tests.e2e.waiting import Patience, until
from tests.faults.stage import SECRET, Stage
from tests.standin.webhooks import encode, stripe_headers

#: Events of a round, by the pipeline that they start.
EVENTS = {
    "long": 4,
    "order": 4,
    "saga": 2,
    "refused": 1,
    "parent": 3,
    "family": 1,
    "sending": 2,
    "gated": 4,
    "sharing": 2,
    "once": 2,
}
#: Of the orders so many come as one list.
LISTED = 2
WEBHOOKS, BAD_WEBHOOKS, CALLS, SLOW = 2, 1, 2, 4
#: Calls by Dramatiq messages; their numbers follow those of the other calls.
DIRECT = 2
#: Rounds of a world; processes are told to stop in the first of them, and the second shows that all goes on.
ROUNDS = 2

#: Patience with everything that is struck, in seconds.
PATIENCE_S = 120.0
#: Longest wait for an answer; a process that stands still gives none for two leases.
ANSWER_S = 15.0
#: After so long without its run a message is sent again, in seconds.
DIRECT_S = 3.0


def numbers(round_: int, pipeline: str) -> range:
    """The numbers that a pipeline's events of a round carry."""
    return range(round_ * 100, round_ * 100 + EVENTS[pipeline])


class Work:
    """Sends, steers and waits, on a stage whose processes may be struck at any moment."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._http = httpx.Client(base_url=stage.url, headers=bearer(), trust_env=False, timeout=ANSWER_S)

    def close(self) -> None:
        """Give back connections."""
        self._http.close()

    def send_round(self, round_: int) -> None:
        """Send everything, many things at a time."""
        jobs = list(self._jobs(round_))
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(job, *arguments) for job, *arguments in jobs]:
                done.result()

    def _jobs(self, round_: int) -> Iterator[tuple[Any, ...]]:
        for pipeline in EVENTS:
            for n in numbers(round_, pipeline):
                if pipeline == "order" and n % 100 < LISTED:
                    continue
                yield self._event, pipeline, n
        yield self._list, [n for n in numbers(round_, "order") if n % 100 < LISTED]
        for n in range(WEBHOOKS + BAD_WEBHOOKS):
            yield self._webhook, round_ * 100 + n, n >= WEBHOOKS
        for n in range(CALLS):
            yield self._call, round_ * 100 + n
        yield self._direct, [round_ * 100 + CALLS + n for n in range(DIRECT)]

    def _event(self, pipeline: str, n: int) -> None:
        data = {"n": n, "ok": False} if pipeline == "saga" else {"n": n}
        self.insist("/events", {"name": f"faults/{pipeline}", "id": f"{pipeline}-{n}", "data": data})
        if pipeline == "order":
            self._go(n)
        elif pipeline == "sharing":
            for each in range(2):
                self.insist("/events", {"name": "faults/shared", "id": f"shared-{n}-{each}", "data": {"n": n}})

    def _list(self, ns: list[int]) -> None:
        self.insist("/events", [{"name": "faults/order", "id": f"order-{n}", "data": {"n": n}} for n in ns])
        for n in ns:
            self._go(n)

    def _go(self, n: int) -> None:
        self.insist("/events", {"name": "faults/go", "id": f"go-{n}", "data": {"n": n}})

    def _webhook(self, n: int, bad: bool) -> None:
        body = encode({"type": "paid", "id": f"paid-{n}", "data": {"n": "none" if bad else n}})
        now = SystemClock().now_ms() // 1000
        self.insist("/hooks/shop", content=body, headers=stripe_headers(body, now, SECRET))

    def _call(self, n: int) -> None:
        self.insist("/pipelines/called/runs", {"data": {"n": n}}, {"idempotency-key": f"called-{n}"})

    def _direct(self, ns: list[int]) -> None:
        """Send messages until their runs are there: nobody tells whoever sends one what has come of it."""

        def arrived() -> bool:
            return set(ns) <= {event.data["n"] for _, event in self._stage.rows("called")}

        def sent() -> bool:
            argv = [sys.executable, "-m", "tests.faults.direct", *map(str, ns)]
            if subprocess.run(argv, env=self._stage.environ(), check=False).returncode != 0:
                return False
            pause, patience = threading.Event(), Patience(DIRECT_S)
            while not arrived() and not patience.is_over():
                pause.wait(0.1)
            return arrived()

        until(sent, "direct calls", patience_s=PATIENCE_S)

    def insist(
        self,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        content: bytes | None = None,
        settled: int = 202,
    ) -> None:
        """Post until it is taken: answered 202, or by the status that says that it was taken before."""
        content = json.dumps(body).encode() if content is None and body is not None else content
        headers = {"content-type": "application/json"} | {key.lower(): text for key, text in (headers or {}).items()}

        def sent() -> bool:
            try:
                response = self._http.post(path, content=content, headers=headers)
            except httpx.HTTPError:
                return False
            if response.status_code in {202, settled}:
                return True
            if response.status_code < 500:
                raise AssertionError(f"{path} {content!r}: {response.status_code} {response.text}")
            return False

        until(sent, f"an answer to {path}", patience_s=PATIENCE_S, every_s=0.1)

    # Steering ---------------------------------------------------------------------------------------------------

    def cancel_families(self) -> None:
        """Cancel what waits for what never comes."""
        for row, _ in self._stage.rows("family"):
            self.insist(f"/runs/{row.id}/cancel", settled=409)

    def replay_a_call(self, round_: int) -> None:
        """Run the first call of a round again."""
        (run, *_) = [row.id for row, event in self._stage.rows("called") if event.data["n"] == round_ * 100]
        self.insist(f"/runs/{run}/replay", {}, {"idempotency-key": "again"})

    def operate(self) -> None:
        """Let the operator do his work, however often he is struck."""

        def done() -> bool:
            argv = [sys.executable, "-m", "tests.faults.operator"]
            return subprocess.run(argv, env=self._stage.environ(), check=False).returncode == 0

        until(done, "the operator", patience_s=PATIENCE_S)

    def stop_in_slow_work(self, round_: int) -> None:
        """Tell all processes to stop while handlers are at work; others take their places. Kill a worker, too."""
        ledger = self._stage.world.ledger
        begun = sum(line.step == "taken" for line in ledger.lines("begin"))
        for n in range(round_ * 100, round_ * 100 + SLOW):
            self.insist("/events", {"name": "faults/slow", "id": f"slow-{n}", "data": {"n": n}})

        def at_work() -> bool:
            return sum(line.step == "taken" for line in ledger.lines("begin")) > begun

        until(at_work, "slow work", patience_s=PATIENCE_S)
        for crew in (self._stage.crew, self._stage.http):
            for pid in crew.pids:
                _signal(pid, signal.SIGTERM)
                until(lambda crew=crew, pid=pid: pid not in crew.pids, "an end in order", patience_s=PATIENCE_S)  # type: ignore[misc]
        until(self._killed_worker, "a worker that can be killed", patience_s=PATIENCE_S)

    def _killed_worker(self) -> bool:
        """Kill a child of the supervisor, so that it must be replaced."""
        children = [child for pid in self._stage.crew.pids for child in _children(pid)]
        return bool(children) and _signal(children[0], signal.SIGKILL)


class Thawer:
    """Lets processes that stand still go on after a while; a context manager.

    Args:
        struck: Tells what was struck so far: the text of each strike, and the process.
        after_s: How long they stand still, in seconds.
    """

    def __init__(self, struck: Callable[[], dict[str, int]], after_s: float) -> None:
        self._struck = struck
        self._after_s = after_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="thawer", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *how: object) -> None:
        self._stop.set()
        self._thread.join()
        for _, pid in self._stopped():
            _signal(pid, signal.SIGCONT)

    def _run(self) -> None:
        due: dict[str, float] = {}
        while not self._stop.wait(0.1):
            now = time.monotonic()
            for strike, pid in self._stopped():
                if due.setdefault(strike, now + self._after_s) <= now:
                    due[strike] = float("inf")
                    _signal(pid, signal.SIGCONT)

    def _stopped(self) -> list[tuple[str, int]]:
        return [(strike, pid) for strike, pid in self._struck().items() if strike.endswith(":stop")]


def _signal(pid: int, signum: signal.Signals) -> bool:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True


def _children(pid: int) -> list[int]:
    asked = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in asked.stdout.split()]
