"""The client of programs with threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from flowlang.client.operations import Operation, Operations, Patience, Pause, Trace
from flowlang.client.requests import Event, ListRuns, ReplayRun
from flowlang.client.results import Replayed, Run, RunSummary, Sent, Started
from flowlang.client.transport import TIMEOUT_S, Transport, transport_for

T = TypeVar("T")


class Client:
    """Sends events to FlowLang, calls pipelines and steers runs; safe for any number of threads.

    What is not answered, or is answered by 429 or 503, is asked for again, with the same ids: it does nothing twice.
    Make one for the whole process. `with Client(…) as client:` closes it.

    Args:
        url: Of a `flowlang serve`: `https://jobs.example.com`; or of the store: `redis://127.0.0.1:6379/0`.
        api_key: For a server that asks for one.
        timeout: Seconds for one try over HTTP.
        patience: How often something is asked for again.
        trace: Tells `traceparent` and `tracestate` of where the program is, as OpenTelemetry's `inject` does.
        transport: What carries requests, in place of what the URL means.
        operations: How calls are made, in place of `patience`; for tests.
        pause: Waits so many seconds.

    Raises:
        ConfigError: when the URL cannot be used.
        StoreUnavailableError: when it is the store's, and the store does not answer.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = TIMEOUT_S,
        patience: Patience | None = None,
        trace: Trace | None = None,
        transport: Transport | None = None,
        operations: Operations | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._transport = transport or transport_for(url, api_key, timeout)
        self._operations = operations or Operations(patience or Patience(), trace=trace)
        self._pause = pause or threading.Event().wait

    def send(self, name: str, data: Any = None, *, id: str | None = None, user: Any = None) -> Sent:  # noqa: A002 - the event's own word
        """Send an event; returns when it is stored.

        Args:
            name: Of the event, such as `shop/order-placed`.
            data: Its data; None is `{}`.
            id: Your own id of it: the same one within 7 days is the same event. Drawn when there is none.
            user: Whom it is about, where that matters.

        Raises:
            InvalidError: when the data does not fit the event's schema; `failures` say where.
            RefusedError: when it is somebody else's event, or the key does not allow it.
            BusyError, UnreachableError: when it could not be sent; send it again with the same id.
        """
        return self._made(self._operations.send(Event(name, {} if data is None else data, id, user)))

    def send_many(self, events: Iterable[Event | Mapping[str, Any]]) -> list[Sent]:
        """Send events, up to 1000 and 4 MB in a request.

        Args:
            events: Each an `Event`, or a map with its fields.

        Returns:
            An answer to each, in order. Look at `stored`: no exception is raised for one that was not taken.

        Raises:
            BusyError, UnreachableError: when a request failed as a whole. Give events ids of your own to be able to
                send all of them again.
        """
        return self._made(self._operations.send_many(events))

    def call(self, pipeline: str, data: Any = None, *, key: str | None = None) -> Started:
        """Start a pipeline.

        Args:
            pipeline: Its name.
            data: Its input; None is `{}`.
            key: For a day, the same key gives the same run. Drawn when there is none.

        Raises:
            MissingError, InvalidError, RefusedError, BusyError, UnreachableError: saying why not.
        """
        return self._made(self._operations.call(pipeline, {} if data is None else data, key))

    def call_and_wait(
        self,
        pipeline: str,
        data: Any = None,
        *,
        key: str | None = None,
        timeout: float = 60.0,
        reveal: bool = False,
    ) -> Run:
        """Start a pipeline and wait until its run has succeeded.

        Args:
            pipeline: Its name.
            data: Its input; None is `{}`.
            key: As for `call`.
            timeout: Seconds to wait.
            reveal: Show what is marked as sensitive; over HTTP with a key that grants it.

        Raises:
            RunNotSucceededError: when the run has ended otherwise.
            WaitTimeoutError: when it has not ended in time; it goes on.
        """
        data = {} if data is None else data
        return self._made(self._operations.call_and_wait(pipeline, data, key, timeout, reveal=reveal))

    def wait(self, run: str, *, timeout: float = 60.0, reveal: bool = False) -> Run:
        """Wait until a run has succeeded. Raises: as `call_and_wait`, and MissingError."""
        return self._made(self._operations.wait(run, timeout, reveal=reveal))

    def run(self, run: str, *, reveal: bool = False) -> Run:
        """All that is known of a run.

        Args:
            run: Its id.
            reveal: Show what is marked as sensitive, too; over HTTP with a key that grants it. Each time is recorded.

        Raises:
            MissingError: when there is none that may be looked at.
            RefusedError: when the key does not grant `reveal` for its pipeline.
        """
        return self._made(self._operations.run(run, reveal=reveal))

    def runs(self, *, pipeline: str | None = None, status: str | None = None, page: int = 50) -> Iterator[RunSummary]:
        """Runs, newest first; read page by page, as far as you look.

        Args:
            pipeline: Only of this one.
            status: Only in this one.
            page: Runs of one request, up to 200.
        """
        before: str | None = None
        while True:
            found = self._made(self._operations.page(ListRuns(pipeline, status, before, page)))
            yield from found.runs
            if found.next is None:
                return
            before = found.next

    def cancel(self, run: str) -> bool:
        """Cancel a run; its clean-up still runs.

        Returns:
            False when it had ended.

        Raises:
            MissingError, RefusedError: saying why not.
        """
        return self._made(self._operations.cancel(run))

    def delete(self, run: str) -> None:
        """Delete an ended run for good: with all runs that it invoked, their dead letters, and its event.

        Raises:
            ConflictError: when it, or one that it invoked, has not ended, or another run invoked it.
            MissingError, RefusedError: saying why not.
        """
        self._made(self._operations.delete(run))

    def replay(
        self,
        run: str,
        *,
        start: str | None = None,
        data: Any = msgspec.UNSET,
        same_version: bool = False,
        new_keys: bool = False,
        dry_run: bool = False,
        key: str | None = None,
    ) -> Replayed:
        """Run an ended run again.

        Args:
            run: That is replayed.
            start: The step where it starts; None: whole.
            data: In place of the data of its event.
            same_version: Of the pipeline, in place of the active one.
            new_keys: With new idempotency keys for all steps.
            dry_run: Only tell what it would be and do.
            key: The same for the same run gives the same replay. Drawn when there is none.

        Raises:
            ConflictError: when it has not ended, or was replayed already.
            MissingError, InvalidError, RefusedError: saying why not.
        """
        key = key or self._operations.token()
        return self._made(self._operations.replay(ReplayRun(run, key, start, data, same_version, new_keys, dry_run)))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _made(self, operation: Operation[T]) -> T:
        try:
            asked = next(operation)
            while True:
                if isinstance(asked, Pause):
                    self._pause(asked.seconds)
                    asked = operation.send(None)
                else:
                    asked = operation.send(self._transport.answer(asked))
        except StopIteration as end:
            result: T = end.value
            return result
