"""Who runs a step next: without hints, after a stop, after a thread that did not come back, and when nobody can."""

from __future__ import annotations

import copy
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
from tests.unit.worker.test_process import PATIENCE, World, until


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
        until(
            lambda: (
                [(state.step, state.status) for state in world.service.run(run).steps]
                == [("a", "succeeded"), ("b", "pending")]
            )
        )
        assert called == ["a"]
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
    with world.worker(threads=3, grace_ms=20):
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


def test_a_process_with_half_of_its_threads_gone_says_so_and_waits_for_the_others_only() -> None:
    come_back, finish, working, worn = (threading.Event() for _ in range(4))
    said: list[str] = []

    @handler("t.deaf", effect="pure")
    def deaf() -> None:
        come_back.wait(PATIENCE)

    @handler("t.work", effect="pure")
    def work() -> str:
        working.set()
        finish.wait(PATIENCE)
        return "done"

    def on_worn(why: str) -> None:
        said.append(why)
        worn.set()

    world = World(deaf, work)
    once = ((RetryRule(attempts=1),),)
    world.deploy(
        Step(0, "stuck", Uses("t.deaf", timeout_ms=20), condition="event.data.n > 0", retry=once),
        Step(1, "sound", Uses("t.work"), condition="event.data.n == 0"),
    )
    process = world.process(threads=4, grace_ms=20, lease_ms=3_600_000, on_worn=on_worn)
    process.start()
    sound, *stuck = world.send(3)
    assert worn.wait(PATIENCE)
    assert working.wait(PATIENCE)
    assert [world.ended(run).run.status for run in stuck] == ["failed", "failed"]
    (later,) = world.send()

    retired = threading.Thread(target=process.retire)
    retired.start()
    retired.join(0.1)
    assert retired.is_alive(), "a handler that may still come back is waited for"
    finish.set()
    retired.join(PATIENCE)
    process.close()
    assert not come_back.is_set(), "the others are not"
    come_back.set()
    assert world.service.run(sound).run.status == "succeeded"
    assert world.service.run(later).run.status == "pending", "a worn process begins nothing"
    assert said == ["overrun"]


def test_what_a_process_knows_of_a_history_that_is_gone_is_never_written(caplog: pytest.LogCaptureFixture) -> None:
    called: list[str] = []
    begun = {step: threading.Event() for step in "ab"}
    go_on = {step: threading.Event() for step in "ab"}

    @handler("t.work", effect="pure")
    def work(ctx: Context) -> None:
        called.append(ctx.step)
        begun[ctx.step].set()
        go_on[ctx.step].wait(PATIENCE)

    said: list[str] = []
    world = World(work)
    world.deploy(Step(0, "a", Uses("t.work")), Step(1, "b", Uses("t.work")))
    process = world.process(threads=2, lease_ms=600, on_worn=said.append)
    process.start()
    (run,) = world.send()
    assert begun["a"].wait(PATIENCE)
    before = copy.deepcopy(world.store._partition)  # which a lagging replica has, or a file whose end was lost
    go_on["a"].set()
    assert begun["b"].wait(PATIENCE)
    world.store._partition = before
    go_on["b"].set()  # the commit of `b` would be taken: its holder has the fence of then
    until(lambda: said == ["history"])
    process.retire()
    process.close()
    assert "knows what never was" in caplog.text
    assert [entry["kind"] for entry in world.service.run(run).journal if entry["kind"] == "step.ended"] == []
    with world.worker(threads=2, lease_ms=600):
        detail = world.ended(run)
    assert detail.run.status == "succeeded"
    assert called == ["a", "b", "a", "b"]
    assert [entry["step"] for entry in detail.journal if entry["kind"] == "step.ended"] == ["a", "b"]
