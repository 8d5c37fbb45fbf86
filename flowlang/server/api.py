"""The HTTP API: events, runs and probes, as FastAPI routes over the use cases.

Bodies are read by `bodies`, not by the framework: bounded, strict and wholly. A list of events is answered item by
item: 202 when all of them are stored, 207 when some are not; a single one has the status of its own answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

import flowlang
from flowlang.crashpoints import crashpoint
from flowlang.engine.replay import Wish
from flowlang.engine.schemas import Failure
from flowlang.errors import FlowError
from flowlang.server.bodies import BODY_BYTES, ClientGoneError, header_map, read_body, read_json
from flowlang.server.problems import HttpProblem, Reply, as_problem, json_reply, problem_reply
from flowlang.service import ANYBODY, Answer, DataError, IncomingEvent, NotFoundError, Service

LIST_BYTES = 4 * BODY_BYTES  #: of a list of events
LIST_ITEMS = 1000

_IDENT = re.compile(r"[a-z0-9_-]{1,64}")
_REFUSED = {"invalid": (400, "data.invalid"), "refused": (403, "event.refused"), "too_large": (413, "body.too-large")}

T = TypeVar("T")


class CallBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a call."""

    data: Any = {}


class ReplayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a replay."""

    start: str | None = msgspec.field(name="from", default=None)
    data: Any = msgspec.UNSET
    same_version: bool = False
    new_keys: bool = False
    dry_run: bool = False

    @property
    def wish(self) -> Wish:
        """How the run is to be replayed."""
        return Wish(self.start, self.data, self.same_version, self.new_keys)


def create_api(service: Service, draining: Callable[[], bool]) -> FastAPI:
    """Make the API.

    Args:
        service: The use cases.
        draining: Whether the process is about to stop and wants no new work.
    """
    api = FastAPI(title="FlowLang", version=flowlang.__version__, docs_url=None, redoc_url=None, redirect_slashes=False)
    api.add_exception_handler(HTTPException, _http_exception)
    for kind in (FlowError, ClientGoneError, Exception):
        api.add_exception_handler(kind, _flow_error)
    api.add_exception_handler(RequestValidationError, _bad_parameters)
    _add_events(api, service)
    _add_runs(api, service)
    _add_probes(api, service, draining)
    return api


def _add_events(api: FastAPI, service: Service) -> None:
    @api.post("/events", status_code=202, summary="Send one event, or a list that is answered one by one")
    async def post_events(request: Request) -> Response:
        tree = await read_json(request.receive, header_map(request.headers.raw), LIST_BYTES)
        if not isinstance(tree, list):
            answer = (await run_in_threadpool(service.ingest, [_converted(tree, IncomingEvent)]))[0]
            crashpoint("http.event_stored")
            return _answered(answer)
        if not 1 <= len(tree) <= LIST_ITEMS:
            raise DataError(f"a list has 1 to {LIST_ITEMS} events, this one has {len(tree)}")
        answers = await run_in_threadpool(_ingest_list, service, tree)
        crashpoint("http.list_stored")
        status = 202 if all(answer.stored for answer in answers) else 207
        return _response(json_reply(status, {"events": answers}))

    @api.get("/events/{event}", summary="A kept event: what it started, and why not more")
    def get_event(event: str) -> Response:
        return _response(json_reply(200, service.event(_ident(event))))


def _add_runs(api: FastAPI, service: Service) -> None:
    @api.post("/pipelines/{pipeline}/runs", status_code=202, summary="Start a pipeline")
    async def post_run(pipeline: str, request: Request) -> Response:
        headers = header_map(request.headers.raw)
        empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        body = CallBody() if empty else _converted(await read_json(request.receive, headers), CallBody)
        key = headers.get("idempotency-key")
        run = await run_in_threadpool(service.call, _ident(pipeline), body.data, key=key, caller=ANYBODY)
        crashpoint("http.call_stored")
        return _response(json_reply(202, run, {"location": f"/runs/{run.id}"}))

    @api.get("/runs", summary="Runs, newest first")
    def get_runs(
        pipeline: str | None = None,
        status: str | None = None,
        before: Annotated[str | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        found = service.runs(pipeline=pipeline, status=status, before=before, limit=limit)
        following = found[-1].id if len(found) == limit else None
        return _response(json_reply(200, {"runs": found, "next": following}))

    @api.get("/runs/{run}", summary="All that is known of a run")
    def get_run(run: str) -> Response:
        return _response(json_reply(200, service.run(_ident(run))))

    @api.post("/runs/{run}/replay", status_code=202, summary="Run an ended run again: whole, or from a step on")
    async def replay_run(run: str, request: Request) -> Response:
        headers = header_map(request.headers.raw)
        empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        body = ReplayBody() if empty else _converted(await read_json(request.receive, headers), ReplayBody)
        if body.dry_run:
            looked = await run_in_threadpool(service.dry_run, _ident(run), body.wish, caller=ANYBODY)
            return _response(json_reply(200, looked))
        key = headers.get("idempotency-key")
        replay = await run_in_threadpool(service.replay, _ident(run), body.wish, key=key, caller=ANYBODY)
        assert replay.run is not None
        crashpoint("http.replay_made")
        return _response(json_reply(202, replay, {"location": f"/runs/{replay.run.id}"}))

    @api.post("/runs/{run}/cancel", status_code=202, summary="Cancel a run; its clean-up still runs")
    async def cancel_run(run: str, request: Request) -> Response:
        await read_body(request.receive, header_map(request.headers.raw), 1024)  # it has none; a long one is refused
        if not await run_in_threadpool(service.cancel, _ident(run), caller=ANYBODY):
            raise HttpProblem(409, "run.ended", "the run has ended")
        crashpoint("http.cancel_written")
        return _response(json_reply(202, {"id": run}, {"location": f"/runs/{run}"}))


def _add_probes(api: FastAPI, service: Service, draining: Callable[[], bool]) -> None:
    @api.get("/livez", summary="The process answers")
    async def livez() -> Response:
        return _response(json_reply(200, {"status": "ok"}))

    @api.get("/readyz", summary="The store answers, something is deployed, and the process is not about to stop")
    def readyz() -> Response:
        if draining():
            raise HttpProblem(503, "draining", "this process is stopping", headers={"retry-after": "5"})
        service.refresh()
        return _response(json_reply(200, {"status": "ready", "epoch": service.catalog.epoch}))


def _ingest_list(service: Service, items: list[Any]) -> list[Answer]:
    """Answer a list: those that are no events at all by themselves, the others together."""
    answers: dict[int, Answer] = {}
    events: dict[int, IncomingEvent] = {}
    for at, item in enumerate(items):
        try:
            events[at] = _converted(item, IncomingEvent)
        except DataError as error:
            answers[at] = Answer("invalid", message=str(error), failures=error.failures)
    if events:
        answers.update(zip(events, service.ingest(list(events.values())), strict=True))
    return [answers[at] for at in range(len(items))]


def _converted(tree: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        where = path.rstrip("`").lstrip(".") or "(root)"
        raise DataError(f"{where}: {message}", (Failure(where, message),)) from error


def _ident(text: str) -> str:
    if _IDENT.fullmatch(text) is None:
        raise NotFoundError("no such id")
    return text


def _answered(answer: Answer) -> Response:
    if answer.status in _REFUSED:
        status, code = _REFUSED[answer.status]
        raise HttpProblem(status, code, answer.message, failures=answer.failures)
    return _response(json_reply(202, answer))


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, reply.headers)


def _flow_error(_: Request, error: Exception) -> Response:
    """What we refuse; and what went wrong, of which a stranger learns nothing and the log all."""
    return _response(problem_reply(as_problem(error)))


def _http_exception(_: Request, error: Exception) -> Response:
    """What the router refuses: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    codes = {404: "not-found", 405: "method"}
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    code = codes.get(error.status_code, "http")
    return _response(problem_reply(HttpProblem(error.status_code, code, str(error.detail), headers=headers)))


def _bad_parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    failures = [Failure(".".join(map(str, each["loc"])), str(each["msg"])) for each in error.errors()]
    return _response(problem_reply(HttpProblem(422, "parameters", "parameters do not fit", failures=failures)))
