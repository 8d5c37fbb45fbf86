"""What a process has in hand, and the threads that work on it.

A scope is in hand from its claim until a commit lets it go. In between it waits for the store (its commit is on the
way), for a coroutine, or in this queue for a thread; a thread never waits for one scope's commit while another scope
can be gone on with. So few threads fill large flushes, and a commit costs no change of threads.

Where handlers are quick the process claims some rows more than it has threads, so that there is always something to do
while a flush is under way; where they are not, a row that waits here would be better off with another process. What
has waited too long all the same, because handlers have become slow, is handed back.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from flowlang.clock import monotonic_ms, process_ms
from flowlang.engine.ops import Claimed

#: Most rows that are claimed for each thread.
MOST_AHEAD = 16
#: What a row may wait for a thread of its process by the pace of late, milliseconds.
PATIENCE_MS = 10.0
#: After so long in the queue a row is handed back, milliseconds.
STALE_MS = 250.0
#: Below this a task is quick: one thread may do what all of them may have in hand, milliseconds.
QUICK_MS = 1.0
#: A process that computes for so much of the time has nothing for a second thread: only one computes at a time.
SATURATED = 0.5
#: Where it computes for about all of the time, threads that are at work already are in each other's way. Where it is
#: more than that, handlers compute side by side, in libraries that let go of the interpreter.
CROWDED = (0.9, 1.4)
#: The time over which that is looked at, milliseconds.
WINDOW_MS = 10.0
#: More operations than this are no reason to wait for more.
LARGEST = 64
#: Weight of the latest task in the mean.
WEIGHT = 1 / 16
#: What tasks are taken to last before any has been seen, and after they have turned out slower than thought.
SLOW_MS = 50.0


class Task(NamedTuple):
    """Something to do for a scope.

    Attributes:
        run: Does it.
        give_back: Gives the scope back undone; None where that would lose something.
        since_ms: When it was made, monotonic.
    """

    run: Callable[[], object]
    give_back: Callable[[], object] | None
    since_ms: float


class Demand(NamedTuple):
    """What this process can take at this moment.

    Attributes:
        limit: Rows that it asks for.
        busy: Threads at work, not counting those that would work on these.
        at_work: Scopes in hand by queue.
        answered: Queues whose hints have rung threads since the last demand.
    """

    limit: int
    busy: int
    at_work: Counter[str]
    answered: tuple[str, ...]


class Pace:
    """How long threads take for a task: a moving mean, milliseconds. It begins slow."""

    def __init__(self) -> None:
        self.mean_ms = SLOW_MS

    def took(self, ms: float) -> None:
        """Count a task."""
        self.mean_ms += (ms - self.mean_ms) * WEIGHT

    def slow_down(self) -> None:
        """Forget that tasks were quick."""
        self.mean_ms = SLOW_MS

    @property
    def is_quick(self) -> bool:
        """Whether one thread can do what all of them have in hand."""
        return self.mean_ms < QUICK_MS

    @property
    def ahead(self) -> int:
        """How many rows may be in hand for each thread."""
        return max(1, min(MOST_AHEAD, int(PATIENCE_MS / max(self.mean_ms, 0.001))))


class Load:
    """How much of the time this process computes, so that one more thread would only be in the way of the others.

    The length of tasks does not tell: where threads wait for one another, short tasks seem long. Only the time counts
    in which something is done: while all wait for the store, more threads would wait, too.

    Args:
        now_ms: A clock that never goes back.
        used_ms: What this process has computed so far.
    """

    def __init__(self, now_ms: Callable[[], float] = monotonic_ms, used_ms: Callable[[], float] = process_ms) -> None:
        self._now_ms = now_ms
        self._used_ms = used_ms
        self._since_ms: float | None = None  #: when the time began that is not yet counted; None while nothing is done
        self._used_then = 0.0
        self._busy_ms = 0.0
        self._computed_ms = 0.0
        self.is_saturated = False
        self.is_crowded = False

    def begin(self) -> None:
        """Something is done from now on, if not before."""
        if self._since_ms is None:
            self._since_ms, self._used_then = self._now_ms(), self._used_ms()

    def rest(self) -> None:
        """Nothing is done from now on."""
        self._count()
        self._since_ms = None

    def look(self) -> bool:
        """Look how it is now; at most once in a while. Whether it was time to look."""
        self._count()
        busy = self._busy_ms
        if busy < WINDOW_MS:
            return False
        share = self._computed_ms / busy
        self.is_saturated = share >= SATURATED
        self.is_crowded = CROWDED[0] <= share <= CROWDED[1]
        self._busy_ms = self._computed_ms = 0.0
        return True

    def _count(self) -> None:
        if self._since_ms is not None:
            now_ms, used = self._now_ms(), self._used_ms()
            self._busy_ms += now_ms - self._since_ms
            self._computed_ms += used - self._used_then
            self._since_ms, self._used_then = now_ms, used


class RunQueue:
    """Tasks of one process, its threads, and what it has in hand. Thread-safe.

    Args:
        threads: How many threads the process runs steps on.
        begin: Makes the task of a claimed row.
        start_spare: Starts a thread that calls `work`, counted as lent already.
        may_claim: Whether anything may be claimed now.
        may_run_ahead: Whether rows may wait here: not where each thread counts, as with shares of queues.
        on_idle: Called when a thread finds nothing to do at the moment; must not block.
        async_limit: Scopes that may wait for coroutines at once.
    """

    def __init__(
        self,
        threads: int,
        *,
        begin: Callable[[Claimed], Task],
        start_spare: Callable[[], object],
        may_claim: Callable[[], bool] = lambda: True,
        may_run_ahead: Callable[[], bool] = lambda: True,
        on_idle: Callable[[], object] = lambda: None,
        async_limit: int = 200,
    ) -> None:
        self.pace = Pace()
        self.load = Load()
        self._threads = threads
        self._begin = begin
        self._start_spare = start_spare
        self._may_claim = may_claim
        self._may_run_ahead = may_run_ahead
        self._on_idle = on_idle
        self._async_limit = async_limit
        self._lock = threading.Lock()
        self._tasks: deque[Task] = deque()
        self._idle: list[threading.Lock] = []  #: of threads that wait, the last to come on top
        self._lent = 0  #: threads that are in `work`, or about to be
        self._leaving = 0  #: of them, those that end as soon as they can
        self._stuck = 0  #: of them, those whose handler does not come back and whose scope is let go
        self._active = 0  #: of them, those that run a task
        self._surplus = 0  #: of them, those that are in the way of the others
        self._with: set[int] = set()  #: of them, those whose task's scope is still in hand
        self._in_hand: Counter[str] = Counter()  #: scopes by queue, but not those that wait for a coroutine
        self._held = 0  #: their number
        self._aside = 0  #: scopes that wait for a coroutine
        self._asked = 0  #: rows that a claim on its way asks for
        self._hungry = False  #: whether there may be ready rows that nobody has asked for
        self._extra = 0  #: rows to ask for beyond the threads that are here
        self._answered: list[str] = []
        self._expected: Counter[str] = Counter()  #: threads on their way here, by the queue whose hint has rung them
        self._closed = False

    # Threads --------------------------------------------------------------------------------------------------------

    def work(self, goes_on: Callable[[float], bool], *, lent: bool = False) -> int:
        """Work on this thread until there is nothing to do for it.

        Args:
            goes_on: Whether it may begin with something new; asked before each task, with the time, monotonic ms. What
                is in hand is still ended when no other thread can.
            lent: It was counted when it was started.

        Returns:
            How many tasks it did.
        """
        if not lent:
            self.lend()
        done, leaving = 0, False
        now_ms = monotonic_ms()
        try:
            while True:
                if not leaving and not goes_on(now_ms):
                    leaving = True
                    with self._lock:
                        self._leaving += 1
                task, waited = self._take(leaving=leaving, first=done == 0)
                if task is None:
                    self._on_idle()
                    return done
                if waited:
                    now_ms = monotonic_ms()
                done += 1
                began_ms = now_ms
                task.run()
                now_ms = monotonic_ms()
                self.pace.took(now_ms - began_ms)
        except BaseException:
            with self._lock:
                self._end_task()
                self._rest()
            raise
        finally:
            with self._lock:
                self._lent -= 1
                self._leaving -= leaving

    def expect(self, queue: str) -> bool:
        """Note that a hint for a queue has come, and a thread will `answer` it.

        Returns:
            Whether to claim for that thread while it is on its way: where others are at work, it will see itself.
        """
        with self._lock:
            if self._lent or self._closed:
                return False
            self._expected[queue] += 1
            self._answered.append(queue)
            self._hungry = True
            return True

    def answer(self, queue: str | None) -> bool:
        """Count a thread that will call `work` with `lent`.

        Args:
            queue: Whose hint has rung it; None: it comes by itself.

        Returns:
            Whether to claim for it; not when that was begun while it was on its way.
        """
        with self._lock:
            self._lent += 1
            if queue is not None and self._expected[queue]:
                self._expected[queue] -= 1
                return False
            if queue is not None:
                self._answered.append(queue)
            self._hungry = True
            return True

    def lend(self) -> None:
        """Count a thread that will call `work` with `lent`, and comes by itself."""
        self.answer(None)

    def look_further(self) -> None:
        """Ask for one row more than there are threads at work, for a thread that no hint has rung."""
        with self._lock:
            self._extra = 1
            self._hungry = True

    def is_full(self) -> bool:
        """Whether all threads of the process are at work."""
        return self._lent >= self._threads

    def _take(self, *, leaving: bool, first: bool) -> tuple[Task | None, bool]:
        """Take the next task, waiting if one is to come; returns it and whether it was waited for."""
        door: threading.Lock | None = None
        while True:
            with self._lock:
                if not first:
                    self._end_task()
                    first = True
                if leaving and self._lent > self._leaving:
                    self._rest()
                    self._wake(len(self._tasks))
                    return None, False
                if self._tasks and not self._steps_back():
                    self._active += 1
                    self._with.add(threading.get_ident())
                    self.load.begin()
                    return self._tasks.popleft(), door is not None
                self._rest()
                if len(self._idle) >= self._coming():
                    return None, False
                door = threading.Lock()
                door.acquire()
                self._idle.append(door)
            self._on_idle()
            door.acquire()

    def _rest(self) -> None:
        """A thread has nothing to do; with no other at work, the time does not count until one has."""
        if self._active <= self._stuck:
            self.load.rest()

    def _steps_back(self) -> bool:
        """Whether this thread waits though there is something to do, since others compute all of the time."""
        if self._surplus and self._active > self._stuck:
            self._surplus -= 1
            return True
        return False

    def _end_task(self) -> None:
        self._active -= 1
        self._with.discard(threading.get_ident())

    def _coming(self) -> int:
        """Tasks that will come by themselves: of scopes in hand that no thread runs, and of rows that are asked for."""
        wanted = self._hungry and not self._closed and self._lent > self._leaving
        return self._held + self._aside - len(self._with) + self._stuck + self._asked + wanted

    def _wake(self, count: int, *, spare: bool = False) -> None:
        """Wake waiting threads, and start some where too few are lent.

        Args:
            count: How many there is work for.
            spare: Start one though others are on their way here.
        """
        coming = 0 if spare else self._lent - self._active + self._expected.total()
        missing = min(count - max(coming, len(self._idle)), self._threads - self._lent)
        for _ in range(min(count, len(self._idle))):
            self._idle.pop().release()
        for _ in range(missing):
            self._lent += 1
            self._start_spare()

    # Tasks ----------------------------------------------------------------------------------------------------------

    def push(self, tasks: Sequence[Task]) -> None:
        """Give threads something to do."""
        with self._lock:
            self._tasks.extend(tasks)
            self._stir()

    @property
    def worth_a_flush(self) -> int:
        """How many operations a flush should wait for, while threads go from one short task to the next."""
        if not self._tasks or not self.pace.is_quick:
            return 1
        return min(LARGEST, max(1, self._held // 2))

    def is_stalled(self) -> bool:
        """Whether tasks wait although a thread could be woken: see `nudge`."""
        return bool(self._tasks) and (bool(self._idle) or self._lent < self._threads)

    def nudge(self) -> None:
        """Wake one thread more: those at work do not come back for what is there."""
        with self._lock:
            self._wake(min(1, len(self._tasks)), spare=True)

    def _stir(self) -> None:
        waiting = len(self._tasks)
        if not waiting:
            self._dismiss()
        elif not self.load.is_saturated:
            self._wake(waiting)
        elif self._active <= self._stuck:
            self._wake(1)

    def _dismiss(self) -> None:
        """Let threads go that wait for nothing any more."""
        while self._idle and len(self._idle) > self._coming():
            self._idle.pop().release()

    # What is in hand ------------------------------------------------------------------------------------------------

    def demand(self) -> Demand | None:
        """Say what this process can take now; `claimed` must follow, however the claim ends."""
        with self._lock:
            if not self._hungry or self._closed or not self._may_claim():
                return None
            ahead, here = 1, self._lent + self._expected.total()
            if self._may_run_ahead():
                ahead = self.pace.ahead
                if self.pace.is_quick and here > self._leaving:
                    here = self._threads  # one does the work of all; the others come when it does not
            usable = max(0, here - self._leaving - self._stuck)
            room = min(usable * ahead - self._held + self._extra, self._async_limit - self._aside)
            if room <= 0:
                return None
            answered, self._answered = tuple(self._answered), []
            self._hungry, self._extra, self._asked = False, 0, room
            return Demand(room, min(self._lent, self._held + self._stuck), self._in_hand.copy(), answered)

    def claimed(self, rows: Sequence[Claimed], tasks: Iterable[Task] = ()) -> None:
        """Take the answer to a demand, and tasks that have come with it."""
        begun = [self._begin(row) for row in rows]
        with self._lock:
            if self.load.look():
                self._surplus = int(self.load.is_crowded and self._active - self._stuck > 1)
            self._hungry = self._hungry or (bool(rows) and len(rows) == self._asked)
            self._asked = 0
            self._held += len(rows)
            for row in rows:
                self._in_hand[row.queue] += 1
            self._tasks.extend(tasks)
            self._tasks.extend(begun)
            self._stir()

    def let_go(self, queue: str) -> None:
        """A scope is not in hand any more: there is room for another."""
        with self._lock:
            self._with.discard(threading.get_ident())
            self._held -= 1
            self._in_hand[queue] -= 1
            self._hungry = True

    def step_aside(self, queue: str) -> None:
        """A scope waits for a coroutine, and needs no thread."""
        with self._lock:
            self._with.discard(threading.get_ident())
            self._held -= 1
            self._in_hand[queue] -= 1
            self._aside += 1
            self._hungry = True

    def step_in(self, queue: str, task: Task) -> None:
        """The coroutine that a scope waited for has ended."""
        with self._lock:
            self._aside -= 1
            self._held += 1
            self._in_hand[queue] += 1
            self._tasks.append(task)
            self._stir()

    def forget_aside(self, queue: str) -> None:
        """A scope does not wait for its coroutine any more; it counts as in hand until it is let go."""
        with self._lock:
            self._aside -= 1
            self._held += 1
            self._in_hand[queue] += 1

    def stuck(self, change: int) -> None:
        """A thread's handler does not come back and its scope was let go (1), or it has come back (-1)."""
        with self._lock:
            self._stuck += change

    @property
    def stuck_threads(self) -> int:
        """Threads whose handler does not come back and whose scope was let go."""
        return self._stuck

    def close(self) -> None:
        """Ask for nothing more."""
        with self._lock:
            self._closed = True
            self._dismiss()

    def stale(self) -> list[Task]:
        """Take out what has waited too long for a thread and can be given back."""
        limit_ms = monotonic_ms() - STALE_MS
        with self._lock:
            found = [task for task in self._tasks if task.give_back is not None and task.since_ms < limit_ms]
            if found:
                gone = set(map(id, found))
                self._tasks = deque(task for task in self._tasks if id(task) not in gone)
                self.pace.slow_down()
        return found
