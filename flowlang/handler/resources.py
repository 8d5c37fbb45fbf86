"""Shared resources: one client, pool or connection a process, made when first used and closed at the end.

Owns their declaration (`@resource`) and their lifetime. An async resource lives in a task of its own on the worker's
event loop: what it opens and closes happens in one task, and a handler that is cancelled while it is being made does
not break it for the others.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast, overload

from flowlang.errors import DefinitionError
from flowlang.handler.env import Env

T = TypeVar("T")
_log = logging.getLogger("flowlang.resources")


@dataclass(frozen=True, slots=True, eq=False)
class SyncResource(Generic[T]):
    """What `@resource` makes of a generator function; `ctx.resource(it)` gives the value."""

    name: str
    make: Callable[[Env], Iterator[T]] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class AsyncResource(Generic[T]):
    """What `@resource` makes of an async generator function; `await ctx.resource(it)` gives the value."""

    name: str
    make: Callable[[Env], AsyncIterator[T]] = field(repr=False)


@overload
def resource(function: Callable[[Env], AsyncIterator[T]], /) -> AsyncResource[T]: ...
@overload
def resource(function: Callable[[Env], Iterator[T]], /) -> SyncResource[T]: ...
def resource(function: Callable[[Env], Any], /) -> SyncResource[Any] | AsyncResource[Any]:
    """Declare a resource that all handlers of a process share.

    The function is a generator that makes the value from the settings and secrets of its `env`, yields it once, and
    closes it after the `yield`. Do not use it for state that belongs to one run.

    Returns:
        A mark to give to `ctx.resource(…)`; in tests, `Context.for_test(resources={mark: value})` replaces the value.

    Raises:
        DefinitionError: when it is no generator function of one parameter.
    """
    name = f"{function.__module__}.{function.__qualname__}"
    if inspect.isasyncgenfunction(function):
        made: SyncResource[Any] | AsyncResource[Any] = AsyncResource(name, function)
    elif inspect.isgeneratorfunction(function):
        made = SyncResource(name, function)
    else:
        raise DefinitionError(
            f"@resource must stand on a generator function that yields the value once: {name} is none"
        )
    if len(inspect.signature(function).parameters) != 1:
        raise DefinitionError(f"the resource {name} must take one parameter, the Env it reads its settings from")
    return made


class Resources:
    """The living resources of a process. Thread-safe.

    Args:
        env: Given to each resource's function.
        loop: Event loop of async resources; without one only sync resources can be made.
    """

    def __init__(self, env: Env, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._env = env
        self._loop = loop
        self._lock = threading.Lock()
        self._sync: dict[SyncResource[Any], _SyncSlot] = {}
        self._async: dict[AsyncResource[Any], _AsyncSlot] = {}
        self._order: list[tuple[str, Callable[[], None]]] = []
        self._closed = False

    def get(self, mark: SyncResource[T]) -> T:
        """Return the value, made now if this is its first use; other threads wait for it meanwhile."""
        with self._lock:
            slot = self._sync.setdefault(mark, _SyncSlot())
        with slot.lock:
            if slot.manager is None:
                self._check_open(mark.name)
                manager = contextmanager(cast("Callable[[Env], Generator[T]]", mark.make))(self._env)
                slot.value = manager.__enter__()
                slot.manager = manager
                self._opened(mark.name, lambda: _leave(manager))
            return cast("T", slot.value)

    async def get_async(self, mark: AsyncResource[T]) -> T:
        """Return the value, made now if this is its first use; must be called on the event loop of this process."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            raise DefinitionError(
                f"the async resource {mark.name} is for async handlers; a sync one needs a sync resource"
            )
        slot = self._async.get(mark)
        if slot is None:
            self._check_open(mark.name)
            slot = self._async[mark] = _AsyncSlot(loop)
            slot.task = loop.create_task(
                self._live(mark, slot), name=f"resource {mark.name}", context=contextvars.Context()
            )
        return cast("T", await asyncio.shield(slot.ready))

    async def _live(self, mark: AsyncResource[Any], slot: _AsyncSlot) -> None:
        """Hold an async resource open from its first use to the end of the process."""
        manager = asynccontextmanager(mark.make)(self._env)
        try:
            value = await manager.__aenter__()
        except BaseException as error:  # noqa: BLE001 - it belongs to those who wait; the next use tries again
            del self._async[mark]
            slot.ready.set_exception(error if isinstance(error, Exception) else RuntimeError(f"{error!r}"))
            slot.ready.exception()  # seen, even when the only handler that waited has been cancelled
            return
        with self._lock:
            self._order.append((mark.name, lambda: asyncio.run_coroutine_threadsafe(slot.end(), slot.loop).result()))
        slot.ready.set_result(value)
        await slot.closing.wait()
        await manager.__aexit__(None, None, None)

    def _check_open(self, name: str) -> None:
        if self._closed:
            raise RuntimeError(f"the resource {name} was asked for after the end of the process's work")

    def _opened(self, name: str, close: Callable[[], None]) -> None:
        with self._lock:
            self._order.append((name, close))
            late = self._closed
        if late:  # made by a thread that outlived the process's work
            self._close_all()

    def close(self) -> None:
        """Close all, the last made first; one that fails to close is logged and does not keep the others open.

        Must not be called on the event loop.
        """
        with self._lock:
            self._closed = True
        self._close_all()

    def _close_all(self) -> None:
        with self._lock:
            order, self._order = self._order[::-1], []
        for name, close in order:
            try:
                close()
            except Exception:  # noqa: BLE001 - logged with its traceback; the others must be closed too
                _log.exception("the resource %s failed to close", name)


class _SyncSlot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.manager: AbstractContextManager[Any] | None = None
        self.value: Any = None


class _AsyncSlot:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.ready: asyncio.Future[Any] = loop.create_future()
        self.closing = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def end(self) -> None:
        """Let the owning task close the resource, and wait until it has."""
        self.closing.set()
        if self.task is not None:
            await self.task


def _leave(manager: AbstractContextManager[Any]) -> None:
    manager.__exit__(None, None, None)
