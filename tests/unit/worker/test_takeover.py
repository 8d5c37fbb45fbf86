"""Who runs a step next: without hints, after a stop, after a thread that did not come back, and when nobody can."""

from __future__ import annotations

import threading

import pytest

from flowlang import Context, handler
from flowlang.engine.ops import Claimed
from flowlang.engine.program import Program
from flowlang.plan import RetryRule, Step, Tolerate, Uses
from flowlang.service.active import Active
from flowlang.store.codec import PlainSealer
from flowlang.worker.executor import Executor
from flowlang.worker.process import WorkerProcess
from flowlang.worker.runqueue import Task
from tests.unit.worker.test_process import PATIENCE, World


def test_a_process_that_hears_no_hint_finds_the_work_by_itself() -> None:
    @handler("t.echo", effect="pure")
    def echo(n: int) -> int:
        return n + 1

    world = World(echo)
    world.deploy(Step(0, "a", Uses("t.echo", {"n": "${{ event.data.n }}"})))
    runs = world.send(10)
    process = WorkerProcess(
        world.store,
        Active(world.store, world.service.catalogs, PlainSealer()),
        PlainSealer(),
        world.registry,
        ring=lambda _: None,
        fire_crons=lambda: None,
        send_delayed=lambda: None,
        queues=lambda: ("default",),
        threads=2,
        lease_ms=300,
    )
    process.start()
    try:
        assert {world.ended(run).run.status for run in runs} == {"succeeded"}
    finally:
        process.close()


def test_a_stopping_process_leaves_the_next_step_of_its_run_to_others() -> None:
    started, finish = threading.Event(), threading.Event()
    called: list[str] = []

    @handler("t.work", effect="pure")
    def work(ctx: Context) -> None:
        called.append(ctx.step)
        started.set()
        finish.wait(PATIENCE)

    world = World(work)
    world.deploy(Step(0, "a", Uses("t.work")), Step(1, "b", Uses("t.work")))
    (run,) = world.send()
    with world.worker(threads=1, lease_ms=3_600_000) as process:
        assert started.wait(PATIENCE)
        process.stop_claiming()
        finish.set()
        world.threads[0].join(PATIENCE)
        assert called == ["a"]
        assert [(state.step, state.status) for state in world.service.run(run).steps] == [
            ("a", "succeeded"),
            ("b", "pending"),
        ]
    with world.worker(threads=1):
        detail = world.ended(run)
    assert detail.run.status == "succeeded"
    assert called == ["a", "b"]
    assert {state.attempts for state in detail.steps} == {1}


def test_a_step_that_may_run_once_is_not_lost_behind_a_thread_that_does_not_come_back() -> None:
    finish = threading.Event()
    called: list[str] = []

    @handler("t.deaf", effect="pure")
    def deaf() -> None:
        finish.wait(PATIENCE)

    @handler("t.once", effect="once")
    def once(ctx: Context) -> str:
        called.append(ctx.step)
        return "done"

    world = World(deaf, once)
    world.deploy(
        Step(0, "a", Uses("t.deaf", timeout_ms=20), tolerate=Tolerate(), retry=((RetryRule(attempts=1),),)),
        Step(1, "b", Uses("t.once", effect="once")),
    )
    with world.worker(grace_ms=20):
        detail = world.ended(world.send()[0])
        finish.set()
    assert [(state.step, state.status) for state in detail.steps] == [("a", "failed"), ("b", "succeeded")]
    assert called == ["b"]


def test_a_row_that_a_process_cannot_run_is_given_back_and_counts_as_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    @handler("t.echo", effect="pure")
    def echo() -> None:
        """Do nothing."""

    world = World(echo)
    world.deploy(Step(0, "a", Uses("t.echo")))
    known, refusals = Active.program, iter(range(4))  # one at the start of the process, three for the row
    rescues: list[int] = []

    def program(active: Active, version: str) -> Program:
        if next(refusals, None) is not None:
            raise LookupError("a plan of another release")
        return known(active, version)

    task_of = Executor.task_of

    def noted(executor: Executor, row: Claimed) -> Task:
        rescues.append(row.rescues)
        return task_of(executor, row)

    monkeypatch.setattr(Active, "program", program)
    monkeypatch.setattr(Executor, "task_of", noted)
    with world.worker():
        detail = world.ended(world.send()[0])
    assert detail.run.status == "succeeded"
    assert rescues == [0, 0, 0, 0]
