"""One request directly to the store, answered as HTTP would answer it: the same bodies, statuses and problems.

Whoever has the store in their hands needs no key, and is asked for none.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from flowlang.client.requests import (
    CallPipeline,
    CancelRun,
    DeleteRun,
    GetRun,
    ListRuns,
    Lost,
    ReplayRun,
    Reply,
    Request,
    SendEvents,
)
from flowlang.errors import StoreUnavailableError
from flowlang.telemetry import read_trace

if TYPE_CHECKING:
    from flowlang.server.problems import Reply as Answer
    from flowlang.service import Service


class DirectTransport:
    """Carries requests to the store; safe for any number of threads.

    What the settings of this process (`FLOWLANG_*`) say besides, such as the broker and the namespace, is as they say.

    Args:
        url: Of the store.
        service: The use cases, where they are made elsewhere; they are not closed by `close`.

    Raises:
        ConfigError: when the URL or the settings cannot be used.
        StoreUnavailableError: when the store does not answer.
    """

    def __init__(self, url: str, service: Service | None = None) -> None:
        self._stack = ExitStack()
        self._service = self._opened(url) if service is None else service

    def _opened(self, url: str) -> Service:
        from flowlang import bootstrap  # noqa: PLC0415 - a client over HTTP needs neither the store nor Dramatiq
        from flowlang.settings import Settings  # noqa: PLC0415 - the same

        return self._stack.enter_context(bootstrap.open_service(Settings.from_env(os.environ, {"redis_url": url})))

    def answer(self, request: Request) -> Reply | Lost:
        """Ask once."""
        from flowlang.server.problems import as_problem, problem_reply  # noqa: PLC0415 - see `_opened`

        try:
            answer = answered(self._service, request)
        except StoreUnavailableError as error:
            return Lost(str(error))
        except Exception as error:
            problem = as_problem(error)
            if problem.status == 500:
                raise  # a fault of ours is told to whoever has the process in their hands
            answer = problem_reply(problem)
        return Reply(answer.status, answer.body, answer.headers.get("retry-after", ""))

    def close(self) -> None:
        """Close the connections."""
        self._stack.close()


class AsyncDirectTransport:
    """The same for coroutines, on threads.

    Args:
        url: Of the store.
        service: The use cases, where they are made elsewhere.
    """

    def __init__(self, url: str, service: Service | None = None) -> None:
        self._url = url
        self._service = service
        self._made: DirectTransport | None = None
        self._lock = asyncio.Lock()

    async def answer(self, request: Request) -> Reply | Lost:
        """Ask once; the first time it connects."""
        async with self._lock:
            if self._made is None:
                self._made = await asyncio.to_thread(DirectTransport, self._url, self._service)
        return await asyncio.to_thread(self._made.answer, request)

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await asyncio.to_thread(self._made.close)


def answered(service: Service, request: Request) -> Answer:
    """Have a request carried out.

    Args:
        service: The use cases.
        request: What is asked for.

    Raises:
        FlowError: that `as_problem` makes a problem of.
    """
    from flowlang.engine.replay import Wish  # noqa: PLC0415 - see `DirectTransport`
    from flowlang.server import sending  # noqa: PLC0415 - the same
    from flowlang.server.problems import HttpProblem, empty_reply, json_reply  # noqa: PLC0415 - the same
    from flowlang.service import OPERATOR, IncomingEvent  # noqa: PLC0415 - the same

    match request:
        case SendEvents(events, headers):
            trace = read_trace(headers)
            items = [IncomingEvent(event.name, event.data, event.id, event.user, trace=trace) for event in events]
            posted = sending.Posted(tuple(items), is_list=True)
            return sending.reply_to(posted, sending.taken(service, items, OPERATOR))
        case CallPipeline(pipeline, data, key, headers):
            return json_reply(202, service.call(pipeline, data, key=key, trace=read_trace(headers)))
        case ReplayRun(run, key):
            wish = Wish(request.start, request.data, request.same_version, request.new_keys)
            if request.dry_run:
                return json_reply(200, service.dry_run(run, wish))
            return json_reply(202, service.replay(run, wish, key=key))
        case CancelRun(run):
            if not service.cancel(run):
                raise HttpProblem(409, "run.ended", "the run has ended")
            return json_reply(202, {"id": run})
        case DeleteRun(run):
            service.delete(run)
            return empty_reply(204)
        case GetRun(run, reveal, _):  # whoever waits looks again
            return json_reply(200, service.run(run, reveal=reveal))
        case ListRuns(pipeline, status, before, limit):
            return json_reply(200, service.page_of_runs(pipeline=pipeline, status=status, before=before, limit=limit))
