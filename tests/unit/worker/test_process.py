"""A whole worker process in this one, on the memory store: threads, leases, time-outs, cancel, graceful stop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from flowlang import Context, Snooze, Transient, handler
from flowlang.clock import SystemClock
from flowlang.engine.drive import Held
from flowlang.handler.registry import Registry
from flowlang.plan import EventTrigger, Manifest, Plan, RetryRule, SetValues, Step, Uses
from flowlang.service import IncomingEvent, Service
from flowlang.service.active import Active
from flowlang.service.views import RunDetail
from flowlang.store.codec import PlainSealer
from flowlang.store.memory import MemoryStore
from flowlang.worker.process import WorkerProcess

#: Patience with a noisy machine, seconds; nothing is asserted about it.
PATIENCE = 30.0

SOON = RetryRule(("transient",), attempts=3, initial_ms=1, jitter="none")


class World:
    """A store with one pipeline, and worker processes on it."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self.store = MemoryStore(SystemClock())
        self.service = Service(self.store, PlainSealer())
        self.registry = Registry.of(*functions)
        self.threads: list[threading.Thread] = []

    def deploy(self, *steps: Step, handlers: dict[str, str] | None = None, **limits: int) -> None:
        plan = Plan(
            "p", steps, tuple(range(len(steps))), triggers=(EventTrigger(("a/b",)),), handlers=handlers or {}
        )  # fmt: skip
        self.service.deploy(Manifest("test", {"p": plan.digest}, limits=limits), [plan])

    def send(self, count: int = 1) -> list[str]:
        answers = self.service.ingest([IncomingEvent(name="a/b", data={"n": n}) for n in range(count)])
        return [answer.runs[0].id for answer in answers]

    @contextmanager
    def worker(
        self, *functions: Callable[..., Any], threads: int = 2, lease_ms: int = 300, grace_ms: int = 30_000
    ) -> Iterator[WorkerProcess]:
        """A process with these handlers, or those of the world."""
        process = self.process(*functions, threads=threads, lease_ms=lease_ms, grace_ms=grace_ms)
        process.start()
        for _ in range(threads):
            self._start(process, "default")
        try:
            yield process
        finally:
            process.stop_claiming()
            process.close()
            for thread in self.threads:
                thread.join(PATIENCE)

    def process(self, *functions: Callable[..., Any], **more: Any) -> WorkerProcess:
        """One that has not been started."""
        process = WorkerProcess(
            self.store,
            Active(self.store, self.service.catalogs, PlainSealer()),
            PlainSealer(),
            Registry.of(*functions) if functions else self.registry,
            ring=lambda queue: self._start(process, queue),
            fire_crons=lambda: None,
            send_delayed=lambda: None,
            queues=lambda: ("default",),
            **more,
        )
        return process

    def _start(self, process: WorkerProcess, queue: str) -> None:
        thread = threading.Thread(target=process.work, args=(queue,))
        self.threads.append(thread)
        thread.start()

    def ended(self, run: str) -> RunDetail:
        detail = self.service.run(run)
        waited = threading.Event()
        for _ in range(int(PATIENCE / 0.01)):
            if detail.run.status in {"succeeded", "failed", "cancelled"}:
                return detail
            waited.wait(0.01)
            detail = self.service.run(run)
        raise AssertionError(f"the run did not end: {msgspec.to_builtins(detail)}")


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    waited = threading.Event()
    for _ in range(int(PATIENCE / 0.01)):
        if holds():
            return
        waited.wait(0.01)
    raise AssertionError("it did not come to that")


def attempts(detail: RunDetail, step: str) -> int:
    return next(state.attempts for state in detail.steps if state.step == step)


def test_threads_share_the_work_and_each_step_runs_once() -> None:
    called: list[tuple[str, str]] = []

    @handler("t.echo", effect="pure")
    def echo(n: int, ctx: Context) -> int:
        called.append((ctx.run.id, ctx.step))
        return n + 1

    world = World(echo)
    world.deploy(
        Step(0, "a", Uses("t.echo", {"n": "${{ event.data.n }}"})),
        Step(1, "b", Uses("t.echo", {"n": "${{ steps.a.output }}"})),
        Step(2, "c", SetValues({"n": "${{ steps.b.output }}"})),
    )
    runs = world.send(40)
    with world.worker(threads=4):
        details = [world.ended(run) for run in runs]
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert sorted(called) == sorted((run, step) for run in runs for step in ("a", "b"))


def test_sync_and_async_handlers_fail_snooze_and_succeed_alike() -> None:
    tries: dict[str, int] = {}

    def behave(ctx: Context) -> str:
        count = tries[ctx.step] = tries.get(ctx.step, 0) + 1
        if count == 1:
            raise Transient("not yet")
        if count == 2:
            raise Snooze(0.001)
        return f"attempt {ctx.attempt}"

    @handler("t.sync", effect="pure")
    def plain(ctx: Context) -> str:
        return behave(ctx)

    @handler("t.async", effect="pure")
    async def coroutine(ctx: Context) -> str:
        await asyncio.sleep(0)
        return behave(ctx)

    world = World(plain, coroutine)
    world.deploy(
        Step(0, "a", Uses("t.sync"), retry=((SOON,),)),
        Step(1, "b", Uses("t.async"), retry=((SOON,),)),
    )
    with world.worker():
        detail = world.ended(world.send()[0])
    assert detail.run.status == "succeeded"
    assert [(state.output, state.attempts) for state in detail.steps] == [("attempt 2", 2), ("attempt 2", 2)]
    assert tries == {"a": 3, "b": 3}


@pytest.mark.parametrize("listens", [True, False], ids=["that listens", "that does not come back"])
def test_a_sync_handler_beyond_its_time(listens: bool) -> None:
    go_on = threading.Event()
    told: list[bool] = []

    @handler("t.slow", effect="pure")
    def slow(ctx: Context) -> str:
        if ctx.attempt == 1:
            if listens:
                while not ctx.cancelled:
                    go_on.wait(0.01)
            else:
                go_on.wait(PATIENCE)
            told.append(ctx.cancelled)
            return "too late"
        return "in time"

    world = World(slow)
    world.deploy(Step(0, "a", Uses("t.slow", timeout_ms=50), retry=((SOON,),)))
    with world.worker(threads=3, grace_ms=30_000 if listens else 50):
        detail = world.ended(world.send()[0])
        go_on.set()
    assert detail.run.status == "succeeded"
    assert [(state.output, state.attempts) for state in detail.steps] == [("in time", 2)]
    errors = [entry["error"] for entry in detail.journal if entry["kind"] == "attempt.failed"]
    assert [(error["class"], error["code"]) for error in errors] == [("transient", "timeout")]
    assert told == [True]


def test_async_handlers_hold_no_thread_and_a_sync_one_runs_beside_them() -> None:
    many = 30
    started: list[str] = []
    all_there = asyncio.Event()

    @handler("t.together", effect="pure")
    async def together(ctx: Context) -> None:
        started.append(ctx.run.id)
        if len(started) == many:
            all_there.set()
        await all_there.wait()

    @handler("t.sync", effect="pure")
    def plain() -> str:
        return "done"

    world = World(together, plain)
    world.deploy(Step(0, "a", Uses("t.together")), Step(1, "b", Uses("t.sync")))
    runs = world.send(many)
    with world.worker(threads=1, lease_ms=3_000):
        details = [world.ended(run) for run in runs]
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert sorted(started) == sorted(runs)


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_what_waits_behind_handlers_that_have_become_slow_goes_to_another_process(is_async: bool) -> None:
    slow, finish = threading.Event(), threading.Event()
    held: set[str] = set()

    def behave(ctx: Context, process: str) -> None:
        if slow.is_set() and process == "first":
            held.add(ctx.run.id)
            finish.wait(PATIENCE)

    @handler("t.turns_slow", effect="pure")
    def first(ctx: Context) -> None:
        behave(ctx, "first")

    @handler("t.turns_slow", effect="pure")
    def second(ctx: Context) -> None:
        behave(ctx, "second")

    @handler("t.turns_slow", effect="pure")
    async def second_async(ctx: Context) -> None:
        behave(ctx, "second")

    world = World()
    world.deploy(Step(0, "a", Uses("t.turns_slow")), Step(1, "b", Uses("t.turns_slow")))
    with world.worker(first, threads=1, lease_ms=3_600_000):
        for run in world.send(200):  # until it has seen that they are quick
            world.ended(run)
        slow.set()
        runs = world.send(20)
        until(lambda: bool(held))
        with world.worker(second_async if is_async else second, threads=2):
            until(lambda: {run for run in runs if world.service.run(run).run.status != "succeeded"} == held)
            assert len(held) < len(runs)
            finish.set()
            assert {world.ended(run).run.status for run in runs} == {"succeeded"}


def test_a_cancel_reaches_a_running_handler_and_its_result_is_recorded_first() -> None:
    started = threading.Event()

    @handler("t.waits", effect="pure")
    def waits(ctx: Context) -> str:
        started.set()
        while not ctx.cancelled:
            threading.Event().wait(0.01)
        return "what I had"

    world = World(waits)
    world.deploy(Step(0, "a", Uses("t.waits")), Step(1, "b", Uses("t.waits")))
    with world.worker():
        run = world.send()[0]
        assert started.wait(PATIENCE)
        assert world.service.cancel(run, "not needed any more")
        detail = world.ended(run)
    assert detail.run.status == "cancelled"
    assert [(state.step, state.status, state.output) for state in detail.steps] == [("a", "succeeded", "what I had")]


def test_a_stopping_process_lets_its_attempt_end_and_begins_nothing_new() -> None:
    started, finish = threading.Event(), threading.Event()
    called: list[str] = []

    @handler("t.work", effect="pure")
    def work(ctx: Context) -> None:
        called.append(ctx.step)
        started.set()
        finish.wait(PATIENCE)

    world = World(work)
    world.deploy(Step(0, "a", Uses("t.work")))
    first, second = world.send(2)
    with world.worker(threads=1) as process:
        assert started.wait(PATIENCE)
        process.stop_claiming()
        finish.set()
        until(lambda: sorted(world.service.run(run).run.status for run in (first, second)) == ["pending", "succeeded"])
    with world.worker(threads=1):
        assert {world.ended(first).run.status, world.ended(second).run.status} == {"succeeded"}
    assert called == ["a", "a"]


def test_what_a_stopping_process_cannot_finish_is_handed_back_without_using_an_attempt() -> None:
    started, finish = threading.Event(), threading.Event()
    numbers: list[int] = []

    @handler("t.work", effect="pure")
    def work(ctx: Context) -> None:
        numbers.append(ctx.attempt)
        if len(numbers) == 1:
            started.set()
            finish.wait(PATIENCE)

    world = World(work)
    world.deploy(Step(0, "a", Uses("t.work")))
    run = world.send()[0]
    with world.worker(threads=1, lease_ms=3_600_000) as process:
        assert started.wait(PATIENCE)
        process.stop_claiming()
        process.hand_back()
        finish.set()
    with world.worker(threads=1):
        detail = world.ended(run)
    assert numbers == [1, 1]
    assert attempts(detail, "a") == 1


def test_an_output_beyond_the_limit_fails_the_step_for_good() -> None:
    @handler("t.big", effect="pure")
    def big() -> str:
        return "x" * 5_000

    world = World(big)
    world.deploy(Step(0, "a", Uses("t.big")), step_output=5_001)
    with world.worker():
        detail = world.ended(world.send()[0])
    assert detail.run.status == "failed"
    assert detail.error is not None
    assert detail.error["code"] == "output.too_large"


def test_a_fault_of_our_own_is_tried_elsewhere_and_then_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []

    def breaks(held: Held, *_: object, **__: object) -> None:
        turns.append(held.row.rescues)
        raise ZeroDivisionError("as bugs do")

    @handler("t.echo", effect="pure")
    def echo() -> None: ...

    world = World(echo)
    world.deploy(Step(0, "a", Uses("t.echo")))
    monkeypatch.setattr(Held, "turn", breaks)
    with world.worker(threads=1, lease_ms=50):
        detail = world.ended(world.send()[0])
    assert turns == [0, 1, 2, 3]
    assert detail.run.status == "failed"
    assert detail.error is not None
    assert (detail.error["code"], "ZeroDivisionError" in detail.error["message"]) == ("internal", True)
    assert [letter.id for letter in world.service.dead_letters()] == [detail.run.id]


def test_rows_that_could_not_be_begun_take_no_place_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    @handler("t.echo", effect="pure")
    def echo() -> None: ...

    world = World(echo)
    world.deploy(Step(0, "a", Uses("t.echo")))
    made, faults = Held.__init__, iter(range(6))

    def breaks(held: Held, *args: Any, **how: Any) -> None:
        if next(faults, None) is not None:
            raise ZeroDivisionError("as bugs do")
        made(held, *args, **how)

    monkeypatch.setattr(Held, "__init__", breaks)
    with world.worker(threads=2, lease_ms=50):
        details = [world.ended(run) for run in world.send(2)]
    assert next(faults, None) is None, "more faults than there are threads"
    assert {detail.run.status for detail in details} <= {"succeeded", "failed"}


def two_releases(called: list[str]) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """The handler `t.count` of an old release; that of a new one; and one that only the new release has."""

    @handler("t.count", effect="pure")
    def old(n: int) -> int:
        called.append("old")
        return n + 1

    @handler("t.count", effect="pure")
    def new(n: int, by: int = 1) -> int:
        called.append("new")
        return n + by

    @handler("t.more", effect="pure")
    def more(n: int) -> int:
        called.append("more")
        return n + 10

    return old, new, more


def test_a_process_leaves_versions_with_handlers_that_it_does_not_have_to_others() -> None:
    called: list[str] = []
    old, new, more = two_releases(called)
    world = World()
    count, extra = Uses("t.count", {"n": "${{ event.data.n }}"}), Uses("t.more", {"n": "${{ event.data.n }}"})
    world.deploy(Step(0, "a", count))
    with world.worker(old, threads=4):
        before = world.send(5)
        for run in before:
            world.ended(run)
        world.deploy(Step(0, "a", count), Step(1, "b", extra))
        after = world.send(20)
        until(lambda: sum(world.service.stats().unserved.values()) == 20)
        assert called == ["old"] * 5
        with world.worker(new, more, threads=4):
            details = [world.ended(run) for run in after]
    assert {detail.run.status for detail in details} == {"succeeded"}
    assert sorted(called) == sorted(["old"] * 5 + ["new", "more"] * 20)
    assert [attempts(detail, "b") for detail in details] == [1] * 20


def test_a_version_goes_to_the_process_that_has_its_handlers_as_they_were_and_to_another_when_that_has_gone() -> None:
    called: list[str] = []
    old, new, _ = two_releases(called)
    world = World()
    handlers = {"t.count": Registry.of(old)["t.count"].signature().digest}
    world.deploy(Step(0, "a", Uses("t.count", {"n": "${{ event.data.n }}"})), handlers=handlers)
    with world.worker(new, threads=4):
        with world.worker(old, threads=1):
            for run in world.send(10):
                world.ended(run)
        beside = list(called)
        for run in world.send(5):
            world.ended(run)
    assert beside == ["old"] * 10
    assert called[10:] == ["new"] * 5
