"""An attempt and how it ends: the data that the runner takes and gives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from flowlang.handler.classify import Failure
from flowlang.handler.context import Context, RunInfo
from flowlang.redaction import LazyMask, Mask
from flowlang.telemetry import Trace


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a handler that is to be made.

    `arguments` are the rendered values of `with`; `number` counts from 1; `timeout_seconds` bounds the call itself;
    `hidden` makes what hides sensitive data of the run in whatever is told of the attempt.
    """

    handler: str
    arguments: dict[str, Any]
    run: RunInfo
    step: str
    number: int
    idempotency_key: str
    timeout_seconds: float
    trace: Trace | None = None  #: what the handler asks for belongs below this place
    hidden: LazyMask = Mask


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned; `output` is JSON data, None for no output."""

    output: Any


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The handler raised, timed out or was cancelled."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The handler asked to be called again after `seconds`, without using an attempt."""

    seconds: float


Outcome: TypeAlias = Succeeded | AttemptFailed | Snoozed


class Completion:
    """An attempt under way.

    An async one runs by itself. A sync one waits for `run`, which makes the call on the thread that calls it, so that
    the holder can keep the completion where lease renewal and deadlines find it before the call begins.

    Args:
        context: What the handler sees.
        call: Makes the call of a sync handler and returns its outcome; None for an async one, and for what has ended.
        stop: Cancels the coroutine of an async handler.
    """

    __slots__ = ("_call", "_callbacks", "_lock", "_outcome", "_over", "_stop", "context")

    def __init__(
        self,
        context: Context,
        *,
        call: Callable[[], Outcome] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.context = context
        self._call = call
        self._stop = stop
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._callbacks: list[Callable[[Outcome], None]] = []
        self._over: threading.Event | None = None  #: made by who waits first: most attempts are not waited for

    @property
    def needs_thread(self) -> bool:
        """Whether a sync handler still waits for `run`."""
        return self._call is not None

    def run(self) -> None:
        """Make the call of a sync handler on this thread, and come back when it has ended; else do nothing."""
        call, self._call = self._call, None
        if call is not None:
            self.end(call())

    def end(self, outcome: Outcome) -> None:
        """Give it its outcome; called once, by whoever makes the call."""
        with self._lock:
            self._outcome = outcome
            callbacks, self._callbacks = self._callbacks, []
            if self._over is not None:
                self._over.set()
        for callback in callbacks:
            callback(outcome)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the outcome is there; False when it is not after `timeout` seconds."""
        with self._lock:
            if self._outcome is not None:
                return True
            over = self._over = self._over or threading.Event()
        return over.wait(timeout)

    def result(self, timeout: float | None = None) -> Outcome:
        """Wait for the outcome, making the call of a sync handler first.

        Raises:
            TimeoutError: when an async handler has not ended after `timeout` seconds.
        """
        self.run()
        if not self.wait(timeout):
            raise TimeoutError(f"the attempt did not end within {timeout:g} s")
        assert self._outcome is not None
        return self._outcome

    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._outcome is not None

    def add_done_callback(self, callback: Callable[[Outcome], None]) -> None:
        """Call back with the outcome, on the thread that produced it, or at once when it is there."""
        with self._lock:
            outcome = self._outcome
            if outcome is None:
                self._callbacks.append(callback)
        if outcome is not None:
            callback(outcome)

    def cancel(self) -> None:
        """Tell the handler to stop: set `ctx.cancelled`, and cancel a coroutine. A result that still comes counts."""
        self.context.cancel()
        if self._stop is not None:
            self._stop()
