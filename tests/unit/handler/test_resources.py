"""Shared resources: made once, when used; closed once, the last made first."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from flowlang import Context, Env, resource
from flowlang.errors import DefinitionError, Permanent
from flowlang.handler.resources import Resources

EVENTS: list[str] = []


@pytest.fixture(autouse=True)
def _empty_events() -> None:
    EVENTS.clear()


@resource
def first(env: Env) -> Iterator[str]:
    EVENTS.append("open first")
    yield env["FIRST"]
    EVENTS.append("close first")


@resource
def second(env: Env) -> Iterator[str]:
    EVENTS.append("open second")
    try:
        yield "2"
    finally:
        EVENTS.append("close second")


@resource
async def third(env: Env) -> AsyncIterator[asyncio.Task[Any] | None]:
    task = asyncio.current_task()
    EVENTS.append("open third")
    await asyncio.sleep(0)
    yield task
    EVENTS.append(f"close third in the task that opened it: {task is asyncio.current_task()}")


def test_a_resource_is_made_on_first_use_and_shared() -> None:
    resources = Resources(Env({"FIRST": "1"}))
    assert EVENTS == []
    assert [resources.get(first), resources.get(first)] == ["1", "1"]
    assert EVENTS == ["open first"]
    resources.close()


def test_resources_close_in_reverse_order_and_only_once() -> None:
    resources = Resources(Env({"FIRST": "1"}))
    assert resources.get(second) + resources.get(first) == "21"
    resources.close()
    resources.close()
    assert EVENTS == ["open second", "open first", "close first", "close second"]


def test_nothing_is_made_after_the_end() -> None:
    resources = Resources(Env({"FIRST": "1"}))
    resources.close()
    with pytest.raises(RuntimeError, match="after the end of the process's work"):
        resources.get(first)
    assert EVENTS == []


def test_threads_that_ask_at_once_get_one_value() -> None:
    started = threading.Barrier(5)
    making = threading.Event()
    made: list[object] = []

    @resource
    def slow(env: Env) -> Iterator[object]:
        assert making.wait(30)
        value = object()
        made.append(value)
        yield value

    resources = Resources(Env({}))
    got: list[object] = []

    def use() -> None:
        started.wait(30)
        got.append(resources.get(slow))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait(30)
    making.set()
    for thread in threads:
        thread.join(30)
    resources.close()
    assert len(made) == 1
    assert got == made * 4


def test_a_resource_that_could_not_be_made_is_tried_again() -> None:
    variables: dict[str, str] = {}
    resources = Resources(Env(variables))
    with pytest.raises(Permanent, match="FIRST"):
        resources.get(first)
    variables["FIRST"] = "now"
    assert resources.get(first) == "now"
    resources.close()
    assert EVENTS == ["open first", "open first", "close first"]


def test_one_that_fails_to_close_is_logged_and_does_not_keep_others_open(caplog: pytest.LogCaptureFixture) -> None:
    @resource
    def broken(env: Env) -> Iterator[int]:
        yield 1
        raise OSError("stuck")

    resources = Resources(Env({"FIRST": "1"}))
    assert (resources.get(first), resources.get(broken)) == ("1", 1)
    with caplog.at_level(logging.ERROR):
        resources.close()
    assert EVENTS[-1] == "close first"
    assert [record.getMessage() for record in caplog.records] == [f"the resource {broken.name} failed to close"]


def in_loop(use: Callable[[Resources], Any]) -> Any:
    """Run an async use of resources on a loop of this thread, and close them from another thread as the worker does."""

    async def main() -> Any:
        loop = asyncio.get_running_loop()
        resources = Resources(Env({"FIRST": "1"}), loop)
        try:
            return await use(resources)
        finally:
            await loop.run_in_executor(None, resources.close)

    return asyncio.run(main())


def test_an_async_resource_is_shared_and_lives_in_one_task() -> None:
    async def use(resources: Resources) -> bool:
        got = await asyncio.gather(*(resources.get_async(third) for _ in range(3)))
        return len(set(got)) == 1 and got[0] is not asyncio.current_task()

    assert in_loop(use) is True
    assert EVENTS == ["open third", "close third in the task that opened it: True"]


def test_sync_and_async_resources_close_in_one_reverse_order() -> None:
    async def use(resources: Resources) -> None:
        resources.get(second)
        await resources.get_async(third)
        resources.get(first)

    in_loop(use)
    assert [event.split()[1] for event in EVENTS[3:]] == ["first", "third", "second"]


def test_a_user_that_is_cancelled_meanwhile_does_not_break_it_for_others() -> None:
    async def use(resources: Resources) -> bool:
        hasty = asyncio.create_task(resources.get_async(third))
        patient = asyncio.create_task(resources.get_async(third))
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.wait([hasty, patient])
        return hasty.cancelled() and patient.result() is not None

    assert in_loop(use) is True
    assert EVENTS.count("open third") == 1


def test_an_async_resource_that_could_not_be_made_is_tried_again() -> None:
    tries: list[int] = []

    @resource
    async def flaky(env: Env) -> AsyncIterator[int]:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("refused")
        yield len(tries)

    async def use(resources: Resources) -> int:
        with pytest.raises(OSError, match="refused"):
            await resources.get_async(flaky)
        return await resources.get_async(flaky)

    assert in_loop(use) == 2


def test_an_async_resource_is_refused_away_from_the_loop_of_the_process() -> None:
    async def use() -> None:
        await Resources(Env({})).get_async(third)

    with pytest.raises(DefinitionError, match="a sync one needs a sync resource"):
        asyncio.run(use())


def test_a_test_of_an_async_handler_gives_its_own_resource() -> None:
    async def use() -> object:
        return await Context.for_test(resources={third: None}).resource(third)

    assert asyncio.run(use()) is None


def plain(env: Env) -> int:
    return 1


def without_env() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "message"), [(plain, "must stand on a generator function"), (without_env, "must take one parameter")]
)
def test_what_is_no_generator_of_one_parameter_is_refused(function: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        resource(function)
