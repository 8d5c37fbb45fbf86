"""The project's own handlers in a test: called as a worker calls them, with the settings and secrets of the test."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

from flowlang.clock import Clock
from flowlang.engine.ops import Claimed
from flowlang.engine.turn import Call
from flowlang.handler.classify import ErrorClass, Failure
from flowlang.handler.context import RunInfo
from flowlang.handler.env import Env
from flowlang.handler.registry import Registry
from flowlang.redaction import Mask
from flowlang.simulate import SimulatedError, SimulatedSnooze
from flowlang.worker.completion import Attempt, AttemptFailed, Snoozed, Succeeded
from flowlang.worker.runner import Runner


class RealHandlers:
    """Calls handlers of a registry; a context manager that closes their resources.

    Args:
        registry: The handlers.
        env: Settings by name.
        secrets: Secrets by name.
        errors: The project's `errors:`.
        clock: The virtual clock, by which deadlines are told.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        env: Mapping[str, str],
        secrets: Mapping[str, str],
        errors: Mapping[str, ErrorClass],
        clock: Clock,
    ) -> None:
        self._hidden = partial(Mask, tuple(secrets.values()))
        self._runner = Runner(registry, env=Env(env, secrets=secrets), errors=errors, clock=clock)

    def call(self, call: Call, row: Claimed) -> Any:
        """Call a handler.

        Args:
            call: What the interpreter asks for.
            row: The scope that asks.

        Returns:
            JSON data; None for no output.

        Raises:
            SimulatedError: as the worker would record the failure.
            SimulatedSnooze: when it asked to be called later.
        """
        seconds = call.timeout_ms / 1000
        attempt = Attempt(
            call.handler,
            call.arguments,
            RunInfo(row.run, row.pipeline, row.version),
            call.instance,
            call.attempt,
            call.idempotency_key,
            seconds,
            hidden=self._hidden,
        )
        outcome = self._runner.start(attempt).result(seconds + 1)
        match outcome:
            case Succeeded(output=output):
                return output
            case Snoozed(seconds=later):
                raise SimulatedSnooze(round(later * 1000))
            case AttemptFailed(failure=failure):
                raise simulated(failure)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()


def simulated(failure: Failure) -> SimulatedError:
    """A classified failure as a simulation takes it."""
    after = failure.retry_after_seconds
    after_ms = None if after is None else round(after * 1000)
    return SimulatedError(failure.error_class, failure.code, failure.message, retry_after_ms=after_ms)
