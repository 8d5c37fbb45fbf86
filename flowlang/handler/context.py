"""What a handler is told about the attempt that it makes.

Owns the `Context`. It leaves leases and time-outs to the worker, which sets `cancelled`, and the clock to whoever makes
the context.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, overload

from flowlang.errors import Cancelled
from flowlang.handler.env import Env, Secrets
from flowlang.handler.resources import AsyncResource, Resources, SyncResource

T = TypeVar("T")

_TEST_TIME = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The run that an attempt belongs to."""

    id: str
    pipeline: str
    version: str


class Context:
    """One attempt at one step, as its handler sees it. Take it by a parameter with this type.

    Args:
        run: The run.
        step: Path of the step's instance, such as `pages[3].notify[17]`.
        attempt: Number of the attempt, from 1.
        idempotency_key: The same for all attempts at this instance; pass it on to services that take one.
        deadline: When the attempt times out, with a time zone.
        now: Clock that `remaining` compares with.
        env: Settings and secrets.
        resources: Shared resources, by mark; a mapping in tests.
        handler: Name of the handler; names its logger.
        trace_headers: `traceparent` and `tracestate` for requests that the handler makes; empty outside a trace.
    """

    __slots__ = (
        "_cancelled",
        "_handler",
        "_logger",
        "_now",
        "_resources",
        "attempt",
        "deadline",
        "env",
        "idempotency_key",
        "run",
        "step",
        "trace_headers",
    )

    def __init__(
        self,
        *,
        run: RunInfo,
        step: str,
        attempt: int,
        idempotency_key: str,
        deadline: datetime,
        now: Callable[[], datetime],
        env: Env,
        resources: Resources | Mapping[Any, Any],
        handler: str = "handler",
        trace_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.run = run
        self.step = step
        self.attempt = attempt
        self.idempotency_key = idempotency_key
        self.deadline = deadline
        self.env = env
        self._now = now
        self._resources = resources
        self._handler = handler
        self.trace_headers: Mapping[str, str] = trace_headers or {}
        self._cancelled = False
        self._logger: logging.LoggerAdapter[logging.Logger] | None = None

    @classmethod
    def for_test(
        cls,
        *,
        run: RunInfo | None = None,
        step: str = "step",
        attempt: int = 1,
        idempotency_key: str = "test-key",
        timeout: float = 600.0,
        now: Callable[[], datetime] | None = None,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        resources: Mapping[Any, Any] | None = None,
        trace_headers: Mapping[str, str] | None = None,
    ) -> Context:
        """Make a context for the test of a handler; nothing is read from the process.

        Args:
            run: The run; an invented one by default.
            step: Path of the step's instance.
            attempt: Number of the attempt, from 1.
            idempotency_key: Any text.
            timeout: Seconds until the deadline.
            now: Clock; one that stands still by default.
            env: Settings by name.
            secrets: Secrets by name.
            resources: Values by the mark that `@resource` made.
            trace_headers: `traceparent` and `tracestate`.
        """
        clock = now or (lambda: _TEST_TIME)
        return cls(
            run=run or RunInfo("test-run", "test-pipeline", "test-version"),
            step=step,
            attempt=attempt,
            idempotency_key=idempotency_key,
            deadline=clock() + timedelta(seconds=timeout),
            now=clock,
            env=Env(env or {}, secrets=secrets or {}),
            resources=resources or {},
            trace_headers=trace_headers,
        )

    @property
    def secrets(self) -> Secrets:
        """Secrets by name: `ctx.secrets["MUX_TOKEN"]`."""
        return self.env.secrets

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """Logger of the handler; its records carry run, pipeline, step, attempt, and the trace where there is one."""
        if self._logger is None:
            fields = {"run": self.run.id, "pipeline": self.run.pipeline, "step": self.step, "attempt": self.attempt}
            _, _, place = self.trace_headers.get("traceparent", "").partition("-")
            if place:
                fields["trace"] = place.partition("-")[0]
            self._logger = logging.LoggerAdapter(logging.getLogger(f"flowlang.handlers.{self._handler}"), fields)
        return self._logger

    def remaining(self) -> float:
        """Return the seconds until the attempt times out, 0 when it has."""
        return max(0.0, (self.deadline - self._now()).total_seconds())

    @property
    def cancelled(self) -> bool:
        """Whether the attempt should stop: run or container cancelled, race lost, or timed out."""
        return self._cancelled

    def raise_if_cancelled(self) -> None:
        """Stop here when the attempt should; long sync handlers call it between pieces of work.

        Raises:
            Cancelled: when `cancelled` is set.
        """
        if self.cancelled:
            raise Cancelled("the attempt was told to stop")

    def cancel(self) -> None:
        """Set `cancelled`; the worker does it, and tests may."""
        self._cancelled = True

    @overload
    def resource(self, mark: SyncResource[T]) -> T: ...
    @overload
    def resource(self, mark: AsyncResource[T]) -> Awaitable[T]: ...
    def resource(self, mark: SyncResource[Any] | AsyncResource[Any]) -> Any:
        """Return a shared resource of this process, made on its first use; an async one must be awaited."""
        if isinstance(self._resources, Resources):
            if isinstance(mark, AsyncResource):
                return self._resources.get_async(mark)
            return self._resources.get(mark)
        try:
            value = self._resources[mark]
        except KeyError:
            raise LookupError(f"Context.for_test(resources=…) has no value for {mark.name}") from None
        return _ready(value) if isinstance(mark, AsyncResource) else value

    def __repr__(self) -> str:
        return f"<Context {self.run.pipeline} {self.run.id} {self.step} attempt {self.attempt}>"


async def _ready(value: T) -> T:
    return value
