"""A worker process: one flusher, one keeper of time, one runner, and threads that Dramatiq lends.

Dramatiq's threads call `work` when a hint comes; what no hint has told of is found by the sweep and run by spare
threads. Stopping is graceful: nothing new is claimed, running attempts may end within the limit, what is left is handed
back without using an attempt.

A process can be worn: half of its threads are held by handlers that do not come back, or the store has lost what it had
told it (`history`). It then begins nothing more and says so; who started it lets it `retire` and starts another.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Literal, cast

from flowlang.clock import monotonic_ms, random_token, system_rng
from flowlang.crashpoints import crashpoint
from flowlang.engine.ops import Leave, Reply, Sweep, Swept
from flowlang.engine.ports import Sealer, Store
from flowlang.errors import StoreError
from flowlang.handler.classify import ErrorClass
from flowlang.handler.env import Env
from flowlang.handler.registry import Registry
from flowlang.plan import QueueRule
from flowlang.service.active import Active
from flowlang.service.answers import NotDeployedError
from flowlang.worker.executor import Executor
from flowlang.worker.filling import DeadLetterWatch
from flowlang.worker.flusher import Flusher
from flowlang.worker.history import Followed
from flowlang.worker.holds import GRACE_MS
from flowlang.worker.maintenance import Maintenance
from flowlang.worker.metas import Metas
from flowlang.worker.observing.observers import Observers
from flowlang.worker.quarantine import Quarantine
from flowlang.worker.ringer import Ringer
from flowlang.worker.runner import Runner
from flowlang.worker.runqueue import RunQueue
from flowlang.worker.secrets import SecretsView
from flowlang.worker.serving import Serving
from flowlang.worker.spare import SpareThreads

log = logging.getLogger(__name__)

#: Why a process should be replaced: threads that do not come back, or a store that has gone back in time.
Worn = Literal["overrun", "history"]

#: How long handlers may take to end when the process closes and they have been cancelled, seconds. Those of a worn
#: process have had their time, or cannot be recorded.
_CLOSE_S, _WORN_CLOSE_S = 5.0, 0.5

#: How often a worn process looks whether its handlers have ended, seconds.
_LOOK_S = 0.05

#: With a shorter lease no row waits for a thread: it would take up too much of it.
SHORTEST_LEASE_MS = 3_000


class WorkerProcess:
    """Everything that a process needs to run steps.

    Args:
        store: Where runs live; closed by whoever opened it.
        active: What is deployed.
        sealer: Opens and closes payloads.
        registry: Handlers that this process serves.
        ring: Sends one hint for a queue; must not raise.
        fire_crons: Fires the cron ticks that are due.
        send_delayed: Sends the events whose delay is over.
        queues: Tells the served queues, best first.
        rules: Tells what the project says of its queues.
        threads: How many threads will call `work` at a time.
        lease_ms: Length of a lease.
        env: Settings and secrets of handlers.
        errors: The project's exceptions, to classes.
        on_worn: Called once, with the reason, when this process should be replaced; from any thread, must not block.
        on_epoch: Called when another manifest has become active and has been read.
        grace_ms: How long a sync handler may go on after its time before its attempt is recorded without it.
        shutdown_ms: How long running attempts may go on after `stop_claiming`.
    """

    def __init__(
        self,
        store: Store,
        active: Active,
        sealer: Sealer,
        registry: Registry,
        *,
        ring: Callable[[str], object],
        fire_crons: Callable[[], object],
        send_delayed: Callable[[], object],
        queues: Callable[[], tuple[str, ...]],
        rules: Callable[[], Mapping[str, QueueRule]] = dict,
        threads: int,
        lease_ms: int = 10_000,
        env: Env | None = None,
        errors: Mapping[str, ErrorClass] | None = None,
        on_epoch: Callable[[], object] = lambda: None,
        on_worn: Callable[[Worn], object] = lambda _: None,
        grace_ms: int = GRACE_MS,
        shutdown_ms: int = 30_000,
    ) -> None:
        self.id = random_token(8)
        self._shutdown_ms = shutdown_ms
        self._stop_by_ms = 0.0
        self._active = active
        self._on_epoch = on_epoch
        self._on_worn = on_worn
        self._worn: Worn | None = None
        self._threads = threads
        self._stopping = threading.Event()
        environment = env or Env()
        self._ringer = Ringer(ring)
        self._epoch = 0
        self._limits: Mapping[str, int] = {}
        self._dead_letters = DeadLetterWatch()
        self._serving = Serving(active.program, registry)
        self._metas = Metas(sealer)
        self._spare = SpareThreads(lambda: self._executor.help())  # noqa: PLW0108 - it is made below
        self._run_queue = RunQueue(
            threads,
            begin=lambda row: self._quarantine.admit(row, self._executor.task_of(row)),
            start_spare=self._spare.start,
            on_idle=lambda: self._flusher.press(),  # noqa: PLW0108 - the same
            may_claim=lambda: not (self._quarantine.is_occupied() or self._executor.missing_keys.steps_back()),
            may_run_ahead=lambda: (
                lease_ms >= SHORTEST_LEASE_MS and not any(rule.share or rule.limit for rule in rules().values())
            ),
        )
        self._followed = Followed(store, lambda: self._wear("history"))
        self._flusher = Flusher(
            cast("Store", self._followed),  # it only applies
            self.id,
            queues=queues,
            rules=rules,
            lease_ms=lease_ms,
            threads=threads,
            run_queue=self._run_queue,
            on_reply=self._replied,
            known=self._metas.known,
            declined=self._serving.declined,
        )
        self._observers = Observers(store, sealer, environment.secrets)
        self._runner = Runner(registry, env=environment, errors=errors)
        self._executor = Executor(
            flusher=self._flusher,
            worker=self.id,
            run_queue=self._run_queue,
            lease_ms=lease_ms,
            program=active.program,
            serving=self._serving,
            router=active.router,
            catalog=active.catalog,
            now_ms=active.now_ms,
            refresh=active.refresh,
            sealer=sealer,
            metas=self._metas,
            runner=self._runner,
            rng=system_rng(),
            secrets=SecretsView(environment.secrets),
            hidden=lambda: environment.secrets.mask,
            stopping=self._stopping.is_set,
            on_more=lambda queue: self._ringer.ring({queue: 1}),
            on_timer=self._timer_set,
            observers=self._observers,
            grace_ms=grace_ms,
        )
        self._quarantine = Quarantine(self.id, lease_ms, submit=self._flusher.submit, is_held=self._executor.holds.has)
        self._maintenance = Maintenance(
            sweep=self._sweep,
            holds=self._executor.holds,
            lease_ms=lease_ms,
            unpark=self._executor.unpark,
            now_ms=active.now_ms,
            fire_crons=fire_crons,
            send_delayed=send_delayed,
            refresh=self._refresh,
        )

    def start(self) -> None:
        """Start the process's own threads and read what is deployed."""
        crashpoint("worker.booting")
        if self._active.refresh():
            self._on_epoch()
        self._review()
        self._ringer.start()
        self._flusher.start()
        self._maintenance.start()
        crashpoint("worker.started")

    def expect(self, queue: str) -> None:
        """A hint for a queue has come, and a thread that will `work` is on its way. Does not block."""
        if not self._stopping.is_set():
            self._executor.expect(queue)

    def work(self, queue: str) -> None:
        """Work on all queues until there is nothing ready. A hint for `queue` has rung."""
        if not self._stopping.is_set():
            self._executor.drain(queue)

    def stop_claiming(self) -> None:
        """Begin to stop: threads end with the attempt that they have."""
        if not self._stopping.is_set():
            self._stop_by_ms = monotonic_ms() + self._shutdown_ms
            self._stopping.set()
            crashpoint("worker.stopping")
            self._run_queue.close()

    def hand_back(self) -> None:
        """Give back what is still held: its handlers have had their time."""
        self._executor.hand_back()

    def retire(self) -> None:
        """Begin to end a worn process: wait for handlers that may still come back; `close` waits for no other."""
        self.stop_claiming()
        pause = threading.Event()
        # With the history their results are void, so their threads are not waited for either.
        while self._worn != "history" and self._executor.holds.all() and monotonic_ms() < self._stop_by_ms:
            pause.wait(_LOOK_S)
        self._stop_by_ms = monotonic_ms()

    def close(self) -> None:
        """End: hand back, leave, send what is queued, close resources."""
        self.stop_claiming()
        self._spare.join(max(0.0, self._stop_by_ms - monotonic_ms()) / 1000)
        self._flusher.hurry()
        try:
            crashpoint("worker.hand_back")
            self._executor.hand_back()
            crashpoint("worker.leaving")
            self._flusher.apply(Leave(self.id))
            crashpoint("worker.left")
        except StoreError as error:
            log.warning("the store does not answer (%s); leases will run out instead", error)
        self._maintenance.stop()
        self._flusher.stop()
        self._ringer.stop()
        self._observers.close()
        self._runner.close(_CLOSE_S if self._worn is None else _WORN_CLOSE_S)

    def ring(self, rings: Mapping[str, int]) -> None:
        """Send hints, by queue."""
        self._ringer.ring(rings)

    def _refresh(self) -> None:
        self._active.refresh()
        if self._review():  # also when another thread has read the manifest first
            self._on_epoch()

    def _review(self) -> bool:
        """Judge the versions of the active manifest; tell whether it is another than last time."""
        try:
            catalog = self._active.catalog()
        except NotDeployedError:
            return False
        if catalog.epoch == self._epoch:
            return False
        self._serving.review(catalog.manifest.pipelines.values())
        self._epoch = catalog.epoch
        self._limits = catalog.manifest.limits
        self._observers.configure(catalog.manifest)
        return True

    def _sweep(self) -> Swept:
        """Sweep; with threads idle, also claim a row that no hint has brought us."""
        self._executor.hand_back_stale()
        stuck = self._run_queue.stuck_threads
        if stuck * 2 >= self._threads and self._worn is None:
            log.error("%s of %s threads are held by handlers that do not come back", stuck, self._threads)
            self._wear("overrun")
        if not self._run_queue.is_full():
            self._run_queue.look_further()
        swept = self._flusher.apply(Sweep(rescue=not self._followed.is_recovering()))
        assert isinstance(swept, Swept)
        self._dead_letters.look(swept.dead, self._limits.get("dead_letters"))
        return swept

    def _wear(self, why: Worn) -> None:
        """This process should be replaced: begin nothing more, and say so once."""
        if self._worn is None:
            self._worn = why
            self.stop_claiming()
            self._on_worn(why)

    def _timer_set(self, due_ms: int) -> None:
        self._maintenance.expect(due_ms)

    def _replied(self, reply: Reply) -> None:
        if self._active.saw(reply):
            self._maintenance.epoch_changed()
        self._ringer.ring(reply.rings)
