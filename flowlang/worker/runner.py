"""Runs one attempt: from rendered arguments to an outcome.

Owns the call, sync or async, the async time-out, and the lifetime of shared resources and of the event loop. It leaves
leases, commits and the deadlines of sync handlers to the holder of the scope: a thread cannot be stopped from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flowlang.clock import Clock, SystemClock, monotonic_ms
from flowlang.crashpoints import crashpoint
from flowlang.errors import DefinitionError, Snooze
from flowlang.handler.classify import ErrorClass, Failure, bounded_seconds, classify
from flowlang.handler.context import Context
from flowlang.handler.definition import HandlerDefinition
from flowlang.handler.env import Env
from flowlang.handler.registry import Registry
from flowlang.handler.resources import Resources
from flowlang.worker.completion import Attempt, AttemptFailed, Completion, Outcome, Snoozed, Succeeded
from flowlang.worker.logfields import bind
from flowlang.worker.loop import LoopThread

ASYNC_LIMIT = 200  #: async handlers that run at once in a process; more wait for a place

_CANCELLED = Failure("cancelled", "cancelled", "the attempt was cancelled")


class Runner:
    """Runs attempts of one process. Thread-safe.

    Args:
        registry: Handlers that this process serves.
        env: Settings and secrets; the process's own by default.
        errors: The project's `errors:`, from exception names to classes.
        clock: For deadlines as handlers see them and for dates in `Retry-After`.
        async_limit: Async handlers that run at once.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        env: Env | None = None,
        errors: Mapping[str, ErrorClass] | None = None,
        clock: Clock | None = None,
        async_limit: int = ASYNC_LIMIT,
    ) -> None:
        self._registry = registry
        self._env = env or Env()
        self._errors: Mapping[str, ErrorClass] = {} if errors is None else errors
        self._clock = clock or SystemClock()
        self._places = asyncio.Semaphore(async_limit)
        self._loop = LoopThread() if any(definition.is_async for definition in registry.values()) else None
        self._resources = Resources(self._env, self._loop.loop if self._loop else None)
        self._lock = threading.Lock()
        self._running: set[Completion] = set()
        self._closed = False

    def start(self, attempt: Attempt) -> Completion:
        """Begin an attempt; never blocks on the handler.

        Args:
            attempt: What to call, with what.

        Returns:
            The completion. Call its `run` on the thread that is to carry a sync handler.

        Raises:
            RuntimeError: when the runner has been closed.
        """
        if self._closed:
            raise RuntimeError("the runner has been closed; no attempt can be started")
        context = self._context(attempt)
        try:
            definition = self._registry.resolve(attempt.handler)
        except DefinitionError as error:  # another worker may serve it: a later release, or an earlier one
            completion = Completion(context)
            completion.end(AttemptFailed(Failure("resource", "handler.unknown", str(error))))
            return completion
        if definition.is_async:
            completion = self._start_async(definition, attempt, context)
        else:
            completion = Completion(
                context, call=lambda: contextvars.copy_context().run(self._call, definition, attempt, completion)
            )
        self._keep(completion)
        return completion

    def close(self, timeout: float = 5.0) -> None:
        """End the work of the process: cancel what still runs, close resources in reverse order, stop the loop.

        Args:
            timeout: Seconds to wait for async handlers to end after they were cancelled.
        """
        with self._lock:
            self._closed = True
            running = list(self._running)
        for completion in running:
            completion.cancel()
        until_ms = monotonic_ms() + timeout * 1000
        for completion in running:
            if not completion.needs_thread:
                completion.wait(max(0.0, until_ms - monotonic_ms()) / 1000)
        self._resources.close()
        if self._loop is not None:
            self._loop.close(timeout)

    def _keep(self, completion: Completion) -> None:
        with self._lock:
            late = self._closed
            self._running.add(completion)
        completion.add_done_callback(lambda _: self._forget(completion))
        if late:
            completion.cancel()
            raise RuntimeError("the runner has been closed; no attempt can be started")

    def _forget(self, completion: Completion) -> None:
        with self._lock:
            self._running.discard(completion)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)

    def _context(self, attempt: Attempt) -> Context:
        return Context(
            run=attempt.run,
            step=attempt.step,
            attempt=attempt.number,
            idempotency_key=attempt.idempotency_key,
            deadline=self._now() + timedelta(seconds=attempt.timeout_seconds),
            now=self._now,
            env=self._env,
            resources=self._resources,
            handler=attempt.handler,
            trace_headers={} if attempt.trace is None else attempt.trace.headers(),
        )

    def _call(self, definition: HandlerDefinition, attempt: Attempt, completion: Completion) -> Outcome:
        """Call a sync handler on this thread, in a copy of its context variables."""
        crashpoint("attempt.begun")
        bind(log_fields(attempt), attempt.hidden)
        context = completion.context
        try:
            if context.cancelled:
                return AttemptFailed(_CANCELLED)
            context.deadline = self._now() + timedelta(seconds=attempt.timeout_seconds)
            value = definition.function(**self._arguments(definition, attempt, context))
            return Succeeded(definition.contract.result(value))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
            return self._failed(error, context, attempt)
        except BaseException as error:  # an interrupt of this thread goes on to whoever sent it
            completion.end(self._failed(error, context, attempt))
            raise

    def _start_async(self, definition: HandlerDefinition, attempt: Attempt, context: Context) -> Completion:
        assert self._loop is not None, "a registry with async handlers has a loop"
        loop = self._loop.loop
        tasks: list[asyncio.Task[Outcome]] = []

        def finish(task: asyncio.Task[Outcome]) -> None:
            completion.end(AttemptFailed(_CANCELLED) if task.cancelled() else task.result())

        def begin() -> None:
            task = loop.create_task(self._call_async(definition, attempt, context), name=attempt.step)
            task.add_done_callback(finish)
            tasks.append(task)

        def cancel() -> None:
            tasks[0].cancel()

        def stop() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and the outcome is there
                loop.call_soon_threadsafe(cancel)  # after `begin`, which was asked for first

        completion = Completion(context, stop=stop)
        loop.call_soon_threadsafe(begin)
        return completion

    async def _call_async(self, definition: HandlerDefinition, attempt: Attempt, context: Context) -> Outcome:
        """Call an async handler on the event loop, within its time."""
        bind(log_fields(attempt), attempt.hidden)  # a task has context variables of its own
        async with self._places:
            context.deadline = self._now() + timedelta(seconds=attempt.timeout_seconds)
            limit = asyncio.timeout(attempt.timeout_seconds)
            try:
                async with limit:
                    value = await definition.function(**self._arguments(definition, attempt, context))
                    return Succeeded(definition.contract.result(value))
            except asyncio.CancelledError as error:
                if _was_cancelled():
                    raise
                return self._failed(error, context, attempt)  # of something that the handler itself had cancelled
            except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
                if limit.expired():  # what a handler raises while it is being stopped says nothing else
                    context.cancel()
                    return AttemptFailed(timed_out(attempt))
                return self._failed(error, context, attempt)

    @staticmethod
    def _arguments(definition: HandlerDefinition, attempt: Attempt, context: Context) -> dict[str, Any]:
        arguments = definition.contract.convert(attempt.arguments)
        if definition.context_param is not None:
            arguments[definition.context_param] = context
        return arguments

    def _failed(self, error: BaseException, context: Context, attempt: Attempt) -> Outcome:
        if isinstance(error, Snooze):
            return Snoozed(bounded_seconds(error.seconds))
        mask = self._env.secrets.mask | attempt.hidden()
        failure = classify(error, now=self._now(), table=self._errors, mask=mask)
        if failure.error_class == "bug":
            trace = mask.text("".join(traceback.format_exception(error)))
            context.logger.error("%s: %s\n%s", failure.code, failure.message, trace)
        else:
            context.logger.log(logging.INFO, "%s %s: %s", failure.error_class, failure.code, failure.message)
        return AttemptFailed(failure)


def timed_out(attempt: Attempt) -> Failure:
    """Return the failure of an attempt that used up its time, for whoever finds out."""
    return Failure("transient", "timeout", f"the attempt did not end within {attempt.timeout_seconds:g} s")


def _was_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def log_fields(attempt: Attempt) -> dict[str, str | int]:
    """Return what log records say of an attempt."""
    fields: dict[str, str | int] = {
        "run": attempt.run.id,
        "pipeline": attempt.run.pipeline,
        "step": attempt.step,
        "attempt": attempt.number,
        "handler": attempt.handler,
    }
    if attempt.trace is not None:
        fields["trace"] = attempt.trace.trace
    return fields
