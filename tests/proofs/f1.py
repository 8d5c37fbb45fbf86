"""F1: runs go on and end as they must while workers, the server and HTTP are killed and answers are lost."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.e2e.waiting import Patience
from tests.faults.orders import COMMITS, deliveries, tally
from tests.faults.proxy import Odds
from tests.faults.sender import Sender
from tests.faults.stage import Stage, steady
from tests.proofs.figure import Figure, Proof, Say

WORKERS = 4
LOST_ANSWERS = 0.01
DOUBLED = 0.05
#: Of the orders, so many more are sent once only.
CARELESS = 0.02
#: Seconds after the last fault within which everything must have ended.
HEAL_S = 60.0
#: Seconds without any progress, faults or not, after which it is given up.
STUCK_S = 120.0
#: Share of the orders that have ended when the faults end; the others end in peace.
IN_CHAOS = 0.95
#: Seconds between two looks.
LOOK_S = 0.1


@dataclass(frozen=True)
class Rhythm:
    """How often is killed, and how many orders are sent a second.

    Attributes:
        worker: Seconds between two kills of workers; `server`, `http`: the same.
        calls: So many calls of handlers must have been made between two kills of workers.
        more: For the server, so many times more.
        answers: So many events must have been answered between two kills of HTTP.
        per_s: Orders.
    """

    worker: float
    server: float
    http: float
    calls: int
    more: int
    answers: int
    per_s: float


FULL = Rhythm(worker=1.0, server=10.0, http=15.0, calls=100, more=10, answers=100, per_s=100.0)
SMALL = Rhythm(worker=0.7, server=3.0, http=4.0, calls=10, more=10, answers=25, per_s=6.0)
#: Bytes of a line in the ledger, about.
LINE = 150
#: Fewer orders than this have the small rhythm.
MANY = 1_000


class AtWork:
    """Tells which processes have called a handler, from what has been added to the ledger.

    Args:
        path: Of the ledger.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._pids: set[int] = set()

    def pids(self) -> set[int]:
        """Processes that have begun a call."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        self._pids.update(json.loads(line)["pid"] for line in whole.splitlines())
        return self._pids


class Chaos:
    """Kills, each kind at its own times; all from the thread that started the server, which is tied to it.

    A kind is not killed again before something has gone on since: a machine that is so busy that processes take longer
    to start than they live would prove nothing.

    Args:
        stage: What is killed.
        sender: Tells what HTTP has answered.
        rhythm: How often.
        rng: Which worker.
    """

    def __init__(self, stage: Stage, sender: Sender, rhythm: Rhythm, rng: Random) -> None:
        self.done: Counter[str] = Counter()
        self._stage = stage
        self._rng = rng
        self._at_work = AtWork(stage.world.ledger.path)
        now = time.monotonic()
        ledger, size = stage.world.ledger.path, rhythm.calls * LINE
        self._plan: list[tuple[str, float, Callable[[], bool], Callable[[], int], int]] = [
            ("workers", rhythm.worker, self._kill_worker, lambda: ledger.stat().st_size, size),
            ("server", rhythm.server, self._kill_server, lambda: ledger.stat().st_size, size * rhythm.more),
            ("http", rhythm.http, self._kill_http, lambda: sender.counts["202"], rhythm.answers),
        ]
        self._due = {name: now + every for name, every, *_ in self._plan}
        self._seen = dict.fromkeys(self._due, 0)

    def poll(self) -> None:
        """Kill what is due."""
        for name, every, kill, progress, enough in self._plan:
            if time.monotonic() >= self._due[name] and progress() - self._seen[name] >= enough:
                self._seen[name] = progress()
                self.done[name] += kill()
                self._due[name] = time.monotonic() + every

    def _kill_worker(self) -> bool:
        """Kill one that has begun a call: on a busy machine others would die before they have done anything, for ever."""
        at_work = self._at_work.pids()
        return _killed(self._rng.choice([pid for pid in self._stage.crew.pids if pid in at_work] or [0]))

    def _kill_http(self) -> bool:
        return _killed(self._rng.choice(self._stage.http.pids or [0]))

    def _kill_server(self) -> bool:
        self._stage.world.server.kill()
        self._stage.world.server.restart()
        return True


def _killed(pid: int) -> bool:
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
    return bool(pid)


class Stuck(Exception):  # noqa: N818 - it says what happened
    """Nothing has gone on for too long."""


class Watch:
    """Sees how far the orders are, and whether anything goes on.

    Args:
        stage: Where they are.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.ended: set[str] = set()
        self.alive = 0
        self._seen: object = None
        self._patience = Patience(STUCK_S)

    def look(self) -> None:
        """Look once. Raises: Stuck."""
        self.ended, self.alive = self._stage.ended("order", self.ended)
        seen = len(self.ended), self.alive, self._stage.world.ledger.path.stat().st_size
        if seen != self._seen:
            self._seen, self._patience = seen, Patience(STUCK_S)
        elif self._patience.is_over():
            raise Stuck(f"{self.alive} runs are alive and nothing has gone on for {STUCK_S:g} s")

    def dump(self, say: Say) -> None:
        """Say all that can be known of what has not ended."""
        service = self._stage.world.service
        say(f"stats: {steady(service.stats)}")
        left = [row for row, _ in self._stage.rows("order") if row.status in {"pending", "running"}]
        say(f"{len(left)} runs have not ended; the first of them:")
        for row in left[:5]:
            rows = steady(lambda row=row: service.store.run(row.id))  # type: ignore[misc]
            detail = steady(lambda row=row: service.run(row.id))  # type: ignore[misc]
            say(
                f"{row.id} {row.status}: scopes {rows and rows.scopes}, timers {detail.timers}, waits {rows and rows.waits}"
            )
            for entry in detail.journal[-6:]:
                say(f"  {entry}")


def measure(size: int, seed: int, say: Say) -> Figure:
    """Send orders, kill everything, and count."""
    rng = Random(seed)
    rhythm = FULL if size >= MANY else SMALL
    with tempfile.TemporaryDirectory(prefix="flowlang-f1-") as folder:
        # Under `everysec` a server that is killed may lose what it has answered: while its file is being synced it keeps
        # its writes to itself, for up to two seconds.
        stage = Stage(
            Path(folder), workers=WORKERS, seed=seed, appendfsync="always", LEASE="3s", SHUTDOWN="5s", LOG_LEVEL="error"
        )
        plan = list(deliveries(size, doubled=DOUBLED, careless=CARELESS, rng=rng))
        with stage, Sender(stage.url, plan, per_s=rhythm.per_s) as sender:
            watch = Watch(stage)
            try:
                chaos, raged_s, healed_s = _rage(stage, sender, watch, rhythm, rng, len(plan), say)
            except Stuck as stuck:
                say(f"stuck: {stuck}; sending is over: {sender.is_done}; refused: {sender.refused[:5]}")
                watch.dump(say)
                say(stage.said())
                return Figure(f"stuck: {stuck}", holds=False)
            stage.crew.stop()
            stage.http.stop()
            found = tally(stage, sender.answered, sender.unanswered)
        for example in found.examples:
            say(example)
        if sender.refused:
            say(f"refused: {sender.refused[:5]}")
        lost_answers = stage.proxy.done["swallow"]
    text = (
        f"{found.runs:,} runs, {found.commits:,} step commits, {found.calls:,} calls; killed in {raged_s:.0f} s "
        f"{chaos['workers']} workers, {chaos['server']} x Valkey, {chaos['http']} x HTTP; {lost_answers:,} answers lost, "
        f"{sender.counts['copies']:,} deliveries doubled: {found.lost} lost, {found.stuck} stuck {HEAL_S:g} s after heal "
        f"(all had ended after {healed_s:.1f} s), {found.doubled_commits} double commits, "
        f"joins {found.joins_once:,}/{found.runs:,} once, outcome events {found.outcomes_once:,}/{found.runs:,} once, "
        f"{found.beats} ticks once; {found.wrong + found.doubled_runs + found.missing_commits} wrong runs, "
        f"{found.odd_calls + found.uncalled} calls and {found.odd_beats} ticks that the model does not have; "
        f"fsck finds {found.contradictions}"
    )
    enough = chaos["workers"] > 0 and chaos["server"] > 0 and chaos["http"] > 0 and lost_answers > 0
    answered = size <= len([name for name in sender.answered if name.startswith("order-")])
    whole = found.commits == found.runs * COMMITS
    return Figure(text, holds=found.holds and enough and answered and whole and not sender.refused)


def _rage(
    stage: Stage, sender: Sender, watch: Watch, rhythm: Rhythm, rng: Random, size: int, say: Say
) -> tuple[Counter[str], float, float]:
    """Kill until nearly all has ended, then let it heal.

    Returns:
        What was killed, for how many seconds, and the seconds from the last fault to the last end.
    """
    pause = threading.Event()
    chaos = Chaos(stage, sender, rhythm, rng)
    stage.hurt(Odds(swallow=LOST_ANSWERS))
    began = told = time.monotonic()
    while not sender.is_done or len(watch.ended) < IN_CHAOS * size:
        chaos.poll()
        watch.look()
        if time.monotonic() - told > 10:
            told = time.monotonic()
            say(
                f"after {told - began:.0f} s {len(watch.ended):,} ended, {watch.alive:,} alive, "
                f"{dict(chaos.done)}, {dict(sender.counts)}"
            )
        pause.wait(LOOK_S)
    stage.hurt()
    healed = time.monotonic()
    healing = Patience(HEAL_S)
    while watch.alive and not healing.is_over():
        watch.look()
        pause.wait(LOOK_S)
    return chaos.done, healed - began, healing.spent_s


PROOF = Proof(
    "F1",
    "0 runs lost, stuck or doubled while workers, Valkey and HTTP are killed and 1 % of the answers are lost",
    measure,
    small=60,
    full=10_000,
)
