"""One attempt: from arguments to an outcome, sync and async."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowlang import Context, Env, Permanent, RetryAfter, Snooze, handler, resource
from flowlang.clock import ManualClock
from flowlang.handler.classify import MAX_RETRY_AFTER, Failure
from flowlang.handler.context import RunInfo
from flowlang.handler.registry import Registry
from flowlang.worker.completion import Attempt, AttemptFailed, Completion, Outcome, Snoozed, Succeeded
from flowlang.worker.logfields import NAMES, AttemptFields
from flowlang.worker.runner import Runner

WAIT = 30  #: seconds after which a test has failed; none waits so long

EVENTS: list[str] = []


@resource
def pool(env: Env) -> Iterator[str]:
    EVENTS.append("open pool")
    yield env["POOL"]
    EVENTS.append("close pool")


@resource
async def search(env: Env) -> AsyncIterator[str]:
    EVENTS.append("open search")
    yield "search"
    EVENTS.append("close search")


class Gate:
    """Lets a test hold handlers and see that they have started."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.open = asyncio.Event()
        self.running = 0
        self.most = 0

    async def hold(self) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        self.started.release()
        try:
            await self.open.wait()
        finally:
            self.running -= 1


@pytest.fixture
def gate() -> Gate:
    return Gate()


@handler("sync.add", effect="pure")
def add(first: int, ctx: Context, second: int = 1) -> dict[str, Any]:
    return {"sum": first + second, "attempt": ctx.attempt, "key": ctx.idempotency_key, "step": ctx.step}


@handler("async.add", effect="pure")
async def async_add(first: int, *, ctx: Context) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"sum": first + 1, "run": ctx.run.id}


@handler("sync.raise")
def raise_(kind: str, ctx: Context) -> Any:
    raise {
        "declined": Permanent("no", code="card.declined"),
        "later": RetryAfter(7.0, "busy"),
        "snooze": Snooze(5),
        "snooze_never": Snooze(float("inf")),
        "exit": SystemExit(3),
        "value": ValueError(f"wrong {ctx.secrets.get('KEY', '')}"),
        "acme": ConnectionError("acme"),
    }[kind]


@handler("async.raise")
async def async_raise(kind: str, ctx: Context) -> Any:
    if kind == "cancelled":
        raise asyncio.CancelledError
    raise_(kind, ctx)


@handler("sync.wrong_result")
def wrong_result() -> int:
    return "x"  # type: ignore[return-value]  # the point


@handler("sync.nothing")
def nothing() -> None:
    return None


@handler("sync.uses_pool")
def uses_pool(ctx: Context) -> str:
    return ctx.resource(pool)


@handler("async.uses_both")
async def uses_both(ctx: Context) -> str:
    return ctx.resource(pool) + await ctx.resource(search)


HANDLERS = (add, async_add, raise_, async_raise, wrong_result, nothing, uses_pool, uses_both)
CLOCK = ManualClock()
NOW = datetime.fromtimestamp(CLOCK.now_ms() / 1000, UTC)


def attempt(name: str, timeout: float = WAIT, **arguments: Any) -> Attempt:
    return Attempt(
        handler=name, arguments=arguments, run=RunInfo("r1", "demo", "v1"), step="pages[3].notify", number=2,
        idempotency_key="key-1", timeout_seconds=timeout,
    )  # fmt: skip


RunnerWith = Callable[..., Runner]


@pytest.fixture
def runner_with() -> Iterator[RunnerWith]:
    """Makes runners, and checks that they leave no thread behind."""
    EVENTS.clear()
    before = set(threading.enumerate())
    made: list[Runner] = []

    def make(*functions: Callable[..., Any], **options: Any) -> Runner:
        env = Env({"POOL": "pool", "KEY": "sk_live_1"})
        runner = Runner(Registry.of(*HANDLERS, *functions), env=env, clock=CLOCK, **options)
        made.append(runner)
        return runner

    yield make
    for runner in made:
        runner.close(WAIT)
    assert set(threading.enumerate()) <= before


def test_a_sync_handler_runs_on_the_thread_that_says_so(runner_with: RunnerWith) -> None:
    threads: list[threading.Thread] = []

    @handler("sync.where")
    def where() -> None:
        threads.append(threading.current_thread())

    completion = runner_with(where).start(attempt("sync.where"))
    assert (completion.needs_thread, completion.done(), threads) == (True, False, [])
    completion.run()
    completion.run()
    assert (completion.needs_thread, completion.done(), threads) == (False, True, [threading.current_thread()])
    assert completion.result() == Succeeded(None)


def test_arguments_are_converted_and_the_context_is_given(runner_with: RunnerWith) -> None:
    outcome = runner_with().start(attempt("sync.add", first="2", second=5)).result()
    assert outcome == Succeeded({"sum": 7, "attempt": 2, "key": "key-1", "step": "pages[3].notify"})


def test_an_async_handler_runs_by_itself(runner_with: RunnerWith) -> None:
    completion = runner_with().start(attempt("async.add", first=2))
    assert not completion.needs_thread
    assert completion.result(WAIT) == Succeeded({"sum": 3, "run": "r1"})


@pytest.mark.parametrize("name", ["sync.raise", "async.raise"])
@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("declined", AttemptFailed(Failure("permanent", "card.declined", "no"))),
        ("later", AttemptFailed(Failure("transient", "handler.retry_after", "busy", 7.0))),
        ("snooze", Snoozed(5)),
        ("snooze_never", Snoozed(MAX_RETRY_AFTER)),
        ("exit", AttemptFailed(Failure("bug", "bug.system_exit", "SystemExit: 3"))),
        ("value", AttemptFailed(Failure("bug", "bug.value_error", "ValueError: wrong ***"))),
        ("acme", AttemptFailed(Failure("resource", "resource.connection_error", "ConnectionError: acme"))),
    ],
)
def test_what_a_handler_raises_becomes_an_outcome(
    runner_with: RunnerWith, name: str, kind: str, outcome: Outcome
) -> None:
    runner = runner_with(errors={"builtins.ConnectionError": "resource"})
    assert runner.start(attempt(name, kind=kind)).result(WAIT) == outcome


@pytest.mark.parametrize(
    ("made", "error_class", "code"),
    [
        (attempt("sync.add"), "permanent", "handler.arguments"),
        (attempt("async.add", first="x"), "permanent", "handler.arguments"),
        (attempt("sync.wrong_result"), "bug", "handler.result"),
        (attempt("sync.unknown"), "resource", "handler.unknown"),
        (attempt("async.raise", kind="cancelled"), "bug", "bug.cancelled_error"),
    ],
)
def test_a_call_that_cannot_be_made_is_a_failure(
    runner_with: RunnerWith, made: Attempt, error_class: str, code: str
) -> None:
    outcome = runner_with().start(made).result(WAIT)
    assert isinstance(outcome, AttemptFailed)
    assert (outcome.failure.error_class, outcome.failure.code) == (error_class, code)


def test_an_unexpected_error_is_logged_with_its_trace_and_without_secrets(
    runner_with: RunnerWith, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        runner_with().start(attempt("sync.raise", kind="value")).result()
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "in raise_" in record.getMessage()
    assert "sk_live_1" not in record.getMessage()


def test_the_deadline_counts_from_the_call(runner_with: RunnerWith) -> None:
    completion = runner_with().start(attempt("sync.nothing", timeout=90))
    completion.run()
    assert completion.context.deadline == NOW + timedelta(seconds=90)
    assert completion.context.remaining() == 90


def test_a_coroutine_is_cancelled_at_its_time_out(runner_with: RunnerWith, gate: Gate) -> None:
    @handler("async.hold")
    async def hold() -> None:
        await gate.hold()

    completion = runner_with(hold).start(attempt("async.hold", timeout=0.01))
    assert completion.result(WAIT) == AttemptFailed(
        Failure("transient", "timeout", "the attempt did not end within 0.01 s")
    )
    assert (completion.context.cancelled, gate.running) == (True, 0)


def test_a_time_out_of_something_inside_is_not_the_attempts(runner_with: RunnerWith) -> None:
    @handler("async.inner")
    async def inner() -> None:
        raise TimeoutError("inner")

    outcome = runner_with(inner).start(attempt("async.inner")).result(WAIT)
    assert outcome == AttemptFailed(Failure("transient", "os.timeout", "TimeoutError: inner"))


def test_an_error_while_being_stopped_is_still_a_time_out(runner_with: RunnerWith, gate: Gate) -> None:
    @handler("async.clumsy")
    async def clumsy() -> None:
        try:
            await gate.hold()
        except asyncio.CancelledError:
            raise ValueError("in the middle") from None

    outcome = runner_with(clumsy).start(attempt("async.clumsy", timeout=0.01)).result(WAIT)
    assert isinstance(outcome, AttemptFailed)
    assert outcome.failure.code == "timeout"


def test_cancelling_stops_a_coroutine_and_says_so(runner_with: RunnerWith, gate: Gate) -> None:
    @handler("async.hold")
    async def hold() -> None:
        await gate.hold()

    completion = runner_with(hold).start(attempt("async.hold"))
    assert gate.started.acquire(timeout=WAIT)
    completion.cancel()
    assert completion.result(WAIT) == AttemptFailed(Failure("cancelled", "cancelled", "the attempt was cancelled"))
    assert (completion.context.cancelled, gate.running) == (True, 0)


def test_a_result_that_still_comes_after_cancelling_counts(runner_with: RunnerWith, gate: Gate) -> None:
    @handler("async.stubborn")
    async def stubborn() -> str:
        try:
            await gate.hold()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "charged"

    completion = runner_with(stubborn).start(attempt("async.stubborn"))
    assert gate.started.acquire(timeout=WAIT)
    completion.cancel()
    assert completion.result(WAIT) == Succeeded("charged")


def test_a_sync_handler_sees_that_it_was_cancelled(runner_with: RunnerWith) -> None:
    started, go_on = threading.Event(), threading.Event()

    @handler("sync.patient")
    def patient(ctx: Context) -> None:
        started.set()
        assert go_on.wait(WAIT)
        ctx.raise_if_cancelled()

    completion = runner_with(patient).start(attempt("sync.patient"))
    thread = threading.Thread(target=completion.run)
    thread.start()
    assert started.wait(WAIT)
    completion.cancel()
    go_on.set()
    thread.join(WAIT)
    outcome = completion.result()
    assert isinstance(outcome, AttemptFailed)
    assert outcome.failure.error_class == "cancelled"


@pytest.mark.parametrize("name", ["sync.add", "async.add"])
def test_what_is_cancelled_before_it_begins_is_not_called(runner_with: RunnerWith, name: str) -> None:
    runner = runner_with(async_limit=0)
    completion = runner.start(attempt(name, first=1))
    completion.cancel()
    assert completion.result(WAIT) == AttemptFailed(Failure("cancelled", "cancelled", "the attempt was cancelled"))


def test_no_more_async_handlers_run_at_once_than_the_limit(runner_with: RunnerWith, gate: Gate) -> None:
    @handler("async.hold")
    async def hold() -> None:
        await gate.hold()

    runner = runner_with(hold, async_limit=3)
    completions = [runner.start(attempt("async.hold")) for _ in range(7)]
    for _ in range(3):
        assert gate.started.acquire(timeout=WAIT)
    assert [completion.done() for completion in completions] == [False] * 7
    runner._loop.loop.call_soon_threadsafe(gate.open.set)  # type: ignore[union-attr]
    assert [completion.result(WAIT) for completion in completions] == [Succeeded(None)] * 7
    assert gate.most == 3


def test_a_callback_gets_the_outcome(runner_with: RunnerWith) -> None:
    got: Future[Outcome] = Future()
    runner_with().start(attempt("async.add", first=1)).add_done_callback(got.set_result)
    assert got.result(WAIT) == Succeeded({"sum": 2, "run": "r1"})


def test_resources_are_shared_and_closed_in_reverse_order_at_the_end(runner_with: RunnerWith) -> None:
    runner = runner_with()
    assert runner.start(attempt("sync.uses_pool")).result() == Succeeded("pool")
    assert runner.start(attempt("async.uses_both")).result(WAIT) == Succeeded("poolsearch")
    assert runner.start(attempt("sync.uses_pool")).result() == Succeeded("pool")
    runner.close(WAIT)
    assert EVENTS == ["open pool", "open search", "close search", "close pool"]


def test_closing_cancels_what_still_runs_before_its_resources_close(runner_with: RunnerWith, gate: Gate) -> None:
    @handler("async.hold")
    async def hold(ctx: Context) -> None:
        await ctx.resource(search)
        try:
            await gate.hold()
        finally:
            EVENTS.append("handler ended")

    runner = runner_with(hold)
    completion = runner.start(attempt("async.hold"))
    assert gate.started.acquire(timeout=WAIT)
    runner.close(WAIT)
    assert EVENTS == ["open search", "handler ended", "close search"]
    assert completion.done()
    with pytest.raises(RuntimeError, match="has been closed"):
        runner.start(attempt("sync.nothing"))


def test_an_interrupt_of_the_thread_goes_on_to_its_sender(runner_with: RunnerWith) -> None:
    @handler("sync.interrupted")
    def interrupted() -> None:
        raise KeyboardInterrupt

    completion = runner_with(interrupted).start(attempt("sync.interrupted"))
    with pytest.raises(KeyboardInterrupt):
        completion.run()
    assert isinstance(completion.result(), AttemptFailed)


@pytest.mark.parametrize("is_async", [False, True])
def test_log_records_of_libraries_say_which_attempt_they_belong_to(runner_with: RunnerWith, is_async: bool) -> None:
    records: list[logging.LogRecord] = []
    library = logging.getLogger("some.library")
    sink = logging.Handler()
    sink.addFilter(AttemptFields())
    sink.emit = records.append  # type: ignore[method-assign, assignment]

    @handler("sync.logs")
    def logs() -> None:
        library.warning("sent")

    @handler("async.logs")
    async def async_logs() -> None:
        await asyncio.sleep(0)
        library.warning("sent")

    library.addHandler(sink)
    try:
        completion: Completion = runner_with(logs, async_logs).start(attempt("async.logs" if is_async else "sync.logs"))
        completion.result(WAIT)
        library.warning("outside")
    finally:
        library.removeHandler(sink)
    inside, outside = records
    name = "async.logs" if is_async else "sync.logs"
    assert [vars(inside)[field] for field in NAMES] == ["r1", "demo", "pages[3].notify", 2, name]
    assert [field for field in NAMES if field in vars(outside)] == []
