"""What a process has in hand: threads that come and go, rows ahead of them, coroutines, and what waits too long."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from flowlang.engine.ops import Claimed
from flowlang.worker import runqueue
from flowlang.worker.runqueue import MOST_AHEAD, Demand, Load, RunQueue, Task

PATIENCE = 30


def row(name: str, queue: str = "default") -> Claimed:
    return Claimed(run=name, scope="", fence=1, state=b"", pipeline="p", version="v", meta=b"", queue=queue)


class Process:
    """A run queue whose tasks note their names, and do what the test says."""

    def __init__(self, threads: int = 2, *, ahead: bool = False, async_limit: int = 200) -> None:
        self.done: list[str] = []
        self.spare = 0
        self.idle = threading.Semaphore(0)
        self.given_back: list[str] = []
        self.queue = RunQueue(
            threads,
            begin=lambda row: self.task(row.run),
            start_spare=self._start_spare,
            may_run_ahead=lambda: ahead,
            on_idle=self.idle.release,
            async_limit=async_limit,
        )

    def task(self, name: str, then: Callable[[], object] = lambda: None, *, since_ms: float = 0.0) -> Task:
        def run() -> None:
            self.done.append(name)
            then()

        return Task(run, lambda: self.given_back.append(name), since_ms)

    def _start_spare(self) -> None:
        self.spare += 1

    def claims(self, *names: str) -> Demand:
        """Answer the demand with these rows."""
        demand = self.queue.demand()
        assert demand is not None
        self.queue.claimed([row(name) for name in names])
        return demand

    def work(self, *, times: int | None = None) -> threading.Thread:
        """A thread that works until it finds nothing, or so many times."""
        thread = threading.Thread(
            target=self.queue.work, args=(lambda _: times is None or len(self.done) < times,), kwargs={"lent": True}
        )
        thread.start()
        return thread


def quick(process: Process) -> None:
    for _ in range(500):
        process.queue.pace.took(0.01)


def test_a_process_asks_for_a_row_for_each_thread_that_is_lent_to_it() -> None:
    process = Process(4)
    assert process.queue.demand() is None
    process.queue.lend()
    assert process.queue.answer("default"), "nobody has claimed for it"
    assert process.claims("a") == Demand(2, 0, Counter(), ("default",))
    assert process.queue.demand() is None, "the store had no more"
    process.queue.lend()
    assert process.queue.demand() == Demand(2, 1, Counter(default=1), ())


def test_a_row_is_claimed_for_a_thread_that_a_hint_has_rung_while_it_is_on_its_way() -> None:
    process = Process(4)
    assert process.queue.expect("default")
    assert process.claims("a") == Demand(1, 0, Counter(), ("default",))
    assert process.spare == 0, "the thread comes"
    assert not process.queue.answer("default"), "its claim was made"
    assert process.queue.demand() is None, "there is a row for it"
    assert process.queue.answer("default"), "another hint"
    assert process.queue.demand() == Demand(1, 1, Counter(default=1), ("default",))


def test_where_threads_are_at_work_a_hint_lets_its_own_thread_claim() -> None:
    process = Process(4)
    process.queue.lend()
    assert not process.queue.expect("default")
    process.claims()
    assert process.queue.answer("default")
    assert process.queue.demand() == Demand(2, 0, Counter(), ("default",))


def test_what_was_claimed_for_a_thread_that_does_not_come_gets_another() -> None:
    process = Process(4)
    process.queue.expect("default")
    process.claims("a")
    assert process.queue.is_stalled()
    process.queue.nudge()
    assert process.spare == 1


def test_a_closed_process_expects_nobody() -> None:
    process = Process(4)
    process.queue.close()
    assert not process.queue.expect("default")


def test_a_claim_that_was_answered_in_full_is_followed_by_another_as_soon_as_there_is_room() -> None:
    process = Process(2)
    process.queue.lend()
    process.claims("a")
    assert process.queue.demand() is None, "there is no room"
    process.queue.let_go("default")
    assert process.claims().limit == 1


def test_rows_run_ahead_of_threads_only_while_tasks_are_quick_and_threads_do_not_count() -> None:
    process = Process(2, ahead=True)
    process.queue.lend()
    assert process.claims("a").limit == 1
    for _ in range(500):
        process.queue.pace.took(2.4)
    process.queue.let_go("default")
    assert process.claims("b").limit == 4
    quick(process)
    process.queue.let_go("default")
    assert process.claims().limit == MOST_AHEAD * 2, "one thread does the work of both"
    process.queue.pace.took(10_000)
    process.queue.lend()
    assert process.claims().limit == 2 + process.spare
    counted = Process(2)
    quick(counted)
    counted.queue.lend()
    assert counted.claims().limit == 1


def test_a_thread_does_what_is_there_and_leaves_when_nothing_is_to_come() -> None:
    process = Process(1)
    process.queue.lend()
    process.claims("a")

    def end() -> None:
        process.queue.let_go("default")
        process.queue.demand()
        process.queue.claimed([])

    process.queue.push([process.task("b", end)])
    thread = process.work()
    thread.join(PATIENCE)
    assert process.done == ["a", "b"]
    assert not process.queue.is_full()


def test_a_thread_waits_while_a_scope_in_hand_waits_for_the_store() -> None:
    process = Process(1)
    process.queue.lend()
    process.claims("a")
    thread = process.work()
    assert process.idle.acquire(timeout=PATIENCE)
    assert (process.done, thread.is_alive()) == (["a"], True)
    process.queue.let_go("default")
    process.queue.demand()
    process.queue.claimed([], [process.task("its answer")])
    thread.join(PATIENCE)
    assert process.done == ["a", "its answer"]


def test_of_several_threads_only_as_many_wait_as_there_are_scopes_in_hand() -> None:
    process = Process(3)
    for _ in range(3):
        process.queue.lend()
    process.claims("a")
    threads = [process.work() for _ in range(3)]
    for _ in range(3):
        assert process.idle.acquire(timeout=PATIENCE)
    while sum(thread.is_alive() for thread in threads) > 1:
        threading.Event().wait(0.001)
    process.queue.let_go("default")
    process.queue.close()
    for thread in threads:
        thread.join(PATIENCE)
    assert process.done == ["a"]


def test_a_coroutine_needs_no_thread_and_makes_room_until_there_are_too_many() -> None:
    process = Process(1, async_limit=2)
    process.queue.lend()
    process.claims("a")
    process.queue.step_aside("default")
    assert process.claims("b").limit == 1
    process.queue.step_aside("default")
    assert process.queue.demand() is None
    process.queue.step_in("default", process.task("a again"))
    process.queue.let_go("default")
    assert process.claims().limit == 1


def test_what_comes_back_while_all_lent_threads_are_busy_gets_a_thread_of_its_own() -> None:
    process = Process(2)
    process.queue.lend()
    busy, free = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        free.wait(PATIENCE)
        process.queue.let_go("default")
        process.queue.close()

    process.claims()
    process.queue.step_in("default", process.task("slow", hold))
    thread = process.work()
    assert busy.wait(PATIENCE)
    process.queue.step_in("default", process.task("back"))
    assert process.spare == 1
    free.set()
    thread.join(PATIENCE)


def test_a_thread_whose_slice_is_over_leaves_its_tasks_to_the_others() -> None:
    process = Process(2)
    process.queue.lend()
    process.queue.lend()
    process.claims("a", "b")
    first = process.work(times=0)
    first.join(PATIENCE)
    assert process.done == []
    process.queue.close()
    process.queue.let_go("default")
    process.queue.let_go("default")
    second = process.work()
    second.join(PATIENCE)
    assert process.done == ["a", "b"]


def test_the_last_thread_does_what_is_in_hand_though_its_slice_is_over() -> None:
    process = Process(1)
    process.queue.lend()
    process.claims("a")
    process.queue.let_go("default")
    thread = process.work(times=0)
    thread.join(PATIENCE)
    assert process.done == ["a"]


def test_what_waits_too_long_for_a_thread_is_handed_back_and_no_more_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runqueue, "monotonic_ms", lambda: 1_000.0)
    process = Process(2, ahead=True)
    quick(process)
    process.queue.lend()
    process.queue.push(
        [
            process.task("old", since_ms=700.0),
            process.task("young", since_ms=900.0),
            Task(lambda: None, None, 0.0),
        ]
    )
    stale = process.queue.stale()
    for task in stale:
        assert task.give_back is not None
        task.give_back()
    assert process.given_back == ["old"]
    assert process.queue.pace.ahead == 1
    assert process.queue.stale() == []


def test_a_thread_that_does_not_come_back_does_not_count() -> None:
    process = Process(2)
    process.queue.lend()
    process.queue.lend()
    process.claims("a")
    process.queue.stuck(1)
    process.queue.let_go("default")
    assert process.claims().limit == 1
    process.queue.stuck(-1)
    process.queue.look_further()
    assert process.claims().limit == 3


def test_a_task_that_is_interrupted_leaves_its_thread_counted_out() -> None:
    process = Process(1)
    process.queue.lend()

    def interrupt() -> None:
        raise KeyboardInterrupt

    process.queue.push([process.task("a", interrupt)])
    with pytest.raises(KeyboardInterrupt):
        process.queue.work(lambda _: True, lent=True)
    assert not process.queue.is_full()


def test_threads_are_woken_for_all_tasks_unless_the_process_computes_all_the_time() -> None:
    process = Process(4)
    process.queue.lend()
    process.queue.push([process.task(name) for name in "abc"])
    assert process.spare == 2, "one is lent"
    busy = Process(4)
    busy.queue.load.is_saturated = True
    busy.queue.push([busy.task(name) for name in "abc"])
    assert busy.spare == 1, "nobody was at work"
    busy.queue.nudge()
    assert busy.spare == 2, "what waits too long gets one thread more"


@pytest.mark.parametrize(
    ("share", "saturated", "crowded"),
    [
        (0.0, False, False),
        (0.4, False, False),
        (0.5, True, False),
        (0.8, True, False),
        (0.9, True, True),
        (1.2, True, True),
        (1.5, True, False),
    ],
)
def test_how_much_a_process_computes_tells_whether_more_threads_or_fewer_help(
    share: float, saturated: bool, crowded: bool
) -> None:
    now, used = [0.0], [0.0]
    load = Load(lambda: now[0], lambda: used[0])
    load.begin()
    now[0], used[0] = 20.0, 20.0 * share
    assert load.look()
    assert (load.is_saturated, load.is_crowded) == (saturated, crowded)


def test_the_load_is_looked_at_once_in_a_while_and_only_while_something_is_done() -> None:
    now, used = [0.0], [0.0]
    load = Load(lambda: now[0], lambda: used[0])

    def pass_time(ms: float, computed_ms: float) -> None:
        now[0] += ms
        used[0] += computed_ms

    load.begin()
    pass_time(5, 5)
    assert not load.look(), "too early"
    load.rest()
    pass_time(100, 0)
    load.rest()
    assert not load.look(), "nothing was done"
    load.begin()
    pass_time(5, 5)
    load.begin()
    assert load.look()
    assert load.is_saturated, "it computed all of the ten milliseconds in which something was done"


@pytest.mark.parametrize("way", ["raises", "leaves"])
def test_the_time_after_the_last_thread_is_gone_counts_for_no_load(way: str) -> None:
    process = Process(2)
    now = [0.0]
    process.queue.load = Load(lambda: now[0], lambda: 0.0)

    def end() -> None:
        if way == "raises":
            raise KeyboardInterrupt

    process.queue.lend()
    process.queue.lend()  # another is on its way, so this one may leave what is there
    process.queue.push([process.task("a", end)])
    with pytest.raises(KeyboardInterrupt) if way == "raises" else nullcontext():
        process.queue.work(lambda _: not process.done, lent=True)
    assert process.done == ["a"]
    now[0] += 100.0
    assert not process.queue.load.look()


def test_a_thread_steps_back_from_what_is_there_while_others_compute_all_the_time() -> None:
    process = Process(2)
    now, used = [0.0], [0.0]
    process.queue.load = Load(lambda: now[0], lambda: used[0])
    begun = {name: threading.Event() for name in "ab"}
    ended = {name: threading.Event() for name in "ab"}

    def until_told(name: str) -> Callable[[], object]:
        def wait() -> None:
            begun[name].set()
            ended[name].wait(PATIENCE)

        return wait

    process.queue.lend()
    process.queue.lend()
    process.queue.push([process.task(name, until_told(name)) for name in "ab"])
    threads = {}
    for name in "ab":
        threads[name] = process.work()
        assert begun[name].wait(PATIENCE)
    process.queue.push([process.task(name) for name in "cd"])
    now[0] = used[0] = 20.0
    process.queue.demand()
    process.queue.claimed([])  # answers are when the load is looked at

    ended["a"].set()
    threads["a"].join(PATIENCE)
    assert process.done == ["a", "b"], "it leaves the rest to the other one"
    ended["b"].set()
    threads["b"].join(PATIENCE)
    assert process.done == ["a", "b", "c", "d"]


def test_flushes_are_worth_waiting_for_only_while_short_tasks_wait() -> None:
    process = Process(4, ahead=True)
    quick(process)
    process.queue.lend()
    assert process.queue.worth_a_flush == 1
    process.claims(*"abcdef")
    assert process.queue.worth_a_flush == 3
    process.queue.pace.slow_down()
    assert process.queue.worth_a_flush == 1
