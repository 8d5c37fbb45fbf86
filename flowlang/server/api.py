"""The HTTP API: events, runs and probes, as routes over the use cases.

Bodies are read by `bodies`: bounded, strict and wholly. What is written in them as events, and how those are answered,
`sending` and `protocols` know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool

from flowlang.crashpoints import crashpoint
from flowlang.engine.ports import Grants
from flowlang.engine.replay import Wish
from flowlang.engine.schemas import Failure
from flowlang.server import descriptions, sending
from flowlang.server.bodies import BODY_BYTES, check_type, read_body, read_json
from flowlang.server.descriptions import PAGE, STATUSES, CallBody, Holder, ReplayBody
from flowlang.server.gathering import Gathering
from flowlang.server.limits import Limits
from flowlang.server.openapi import document
from flowlang.server.problems import HttpProblem, Reply, empty_reply, json_reply
from flowlang.server.protocols import cloudevents, inngest
from flowlang.server.routes import Need, Request, Route, Routes
from flowlang.server.waiting import LONGEST_S, Waiting
from flowlang.service import Answer, Service
from flowlang.telemetry import read_trace

LIST_BYTES = 4 * BODY_BYTES  #: of a list of events

_DECIMAL: Final = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?")

T = TypeVar("T")


def add_api(
    routes: Routes,
    service: Service,
    gathering: Gathering,
    *,
    waiting: Waiting,
    limits: Limits,
    draining: Callable[[], bool],
) -> None:
    """Add the API's routes.

    Args:
        routes: To which.
        service: The use cases.
        gathering: Takes events.
        waiting: Lets requests wait for runs.
        limits: Say how much a key may do.
        draining: Whether the process is about to stop and wants no new work.
    """
    _add_events(routes, service, gathering)
    _add_handshakes(routes, limits)
    _add_runs(routes, service, waiting)
    _add_dead_letters(routes, service)
    _add_probes(routes, service, draining)
    _add_descriptions(routes)


def _add_events(routes: Routes, service: Service, gathering: Gathering) -> None:
    async def post_events(request: Request) -> Reply:
        sending.check_headers(request.headers)
        body = await read_body(request.receive, request.headers, LIST_BYTES)
        posted = sending.read_posted(request.headers, body)
        answers = await taken(request, posted)
        if posted.key is not None:
            await run_in_threadpool(sending.check_repeats, service, posted, answers)
        return sending.reply_to(posted, answers)

    async def post_by_path(request: Request) -> Reply:
        if cloudevents.mode_of(request.headers) is not None:
            return await post_events(request)
        check_type(request.headers)
        body = await read_body(request.receive, request.headers, LIST_BYTES)
        items = sending.bounded(inngest.read_events(request.headers, sending.read_tree(body)), body)
        return inngest.reply_to(await taken(request, sending.Posted(tuple(items), is_list=True)))

    async def taken(request: Request, posted: sending.Posted) -> list[Answer]:
        if len(posted.items) > 1:
            await request.spend(len(posted.items) - 1)
        answers = await sending.gathered(service, gathering, posted.items, request.caller)
        if posted.is_list:
            crashpoint("http.list_stored")
        else:
            crashpoint("http.event_stored")
        return answers

    async def get_event(request: Request) -> Reply:
        reveal = _flag(_known(request.query, "reveal"), "reveal")
        event = request.params["event"]
        return json_reply(200, await run_in_threadpool(service.event, event, caller=request.caller, reveal=reveal))

    routes.add(Route("POST", "/events", Need.SEND, post_events, descriptions.POST_EVENTS))
    routes.add(Route("POST", "/e/{key}", Need.SEND, post_by_path, descriptions.POST_BY_PATH, key_param="key"))
    routes.add(Route("GET", "/events/{event}", Need.READ, get_event, descriptions.GET_EVENT))


def _add_handshakes(routes: Routes, limits: Limits) -> None:
    async def allow_events(request: Request) -> Reply:
        headers = cloudevents.permission(request.headers, limits.rate_of(request.caller))
        return empty_reply(200, {"allow": "POST", **headers})

    given, about = cloudevents.REQUEST_ORIGIN, descriptions.ALLOW_EVENTS
    routes.add(Route("OPTIONS", "/events", Need.SEND, allow_events, about, given=given))
    routes.add(Route("OPTIONS", "/e/{key}", Need.SEND, allow_events, about, key_param="key", given=given))


def _add_runs(routes: Routes, service: Service, waiting: Waiting) -> None:
    async def post_run(request: Request) -> Reply:
        body = await _optional(request, CallBody)
        key = request.headers.get("idempotency-key")
        trace = read_trace(request.headers)
        run = await run_in_threadpool(
            service.call, request.params["pipeline"], body.data, key=key, caller=request.caller, trace=trace
        )
        crashpoint("http.call_stored")
        return json_reply(202, run, {"location": f"/runs/{run.id}"})

    async def get_runs(request: Request) -> Reply:
        query = _known(request.query, "pipeline", "status", "before", "limit")
        limit = _whole(query.get("limit", "50"), "limit", 1, PAGE)
        if query.get("status", STATUSES[0]) not in STATUSES:
            raise _unfit("status", f"is one of {', '.join(STATUSES)}")
        wanted: dict[str, Any] = {name: query.get(name) for name in ("pipeline", "status", "before")}
        page = await run_in_threadpool(service.page_of_runs, **wanted, limit=limit, caller=request.caller)
        return json_reply(200, page, _next_page("/runs", query, page.next))

    async def get_run(request: Request) -> Reply:
        query, run = _known(request.query, "reveal", "wait"), request.params["run"]
        who: dict[str, Any] = {"caller": request.caller, "reveal": _flag(query, "reveal")}
        seconds = _seconds(query.get("wait", "0"), "wait", LONGEST_S)
        if seconds and await run_in_threadpool(service.is_live, run, **who):
            await waiting.until_ended(run, seconds, request.receive)
        return json_reply(200, await run_in_threadpool(service.run, run, **who))

    async def replay_run(request: Request) -> Reply:
        body, run = await _optional(request, ReplayBody), request.params["run"]
        wish = Wish(body.start, body.data, body.same_version, body.new_keys)
        if body.dry_run:
            return json_reply(200, await run_in_threadpool(service.dry_run, run, wish, caller=request.caller))
        key = request.headers.get("idempotency-key")
        replay = await run_in_threadpool(service.replay, run, wish, key=key, caller=request.caller)
        assert replay.run is not None
        crashpoint("http.replay_made")
        return json_reply(202, replay, {"location": f"/runs/{replay.run.id}"})

    async def cancel_run(request: Request) -> Reply:
        await read_body(request.receive, request.headers, 1024)  # it has none; a long one is refused
        run = request.params["run"]
        if not await run_in_threadpool(service.cancel, run, caller=request.caller):
            raise HttpProblem(409, "run.ended", "the run has ended")
        crashpoint("http.cancel_written")
        return json_reply(202, {"id": run}, {"location": f"/runs/{run}"})

    async def delete_run(request: Request) -> Reply:
        await read_body(request.receive, request.headers, 1024)
        await run_in_threadpool(service.delete, request.params["run"], caller=request.caller)
        return empty_reply(204)

    routes.add(Route("POST", "/pipelines/{pipeline}/runs", Need.CALL, post_run, descriptions.POST_RUN))
    routes.add(Route("GET", "/runs", Need.READ, get_runs, descriptions.GET_RUNS))
    routes.add(Route("GET", "/runs/{run}", Need.READ, get_run, descriptions.GET_RUN))
    routes.add(Route("DELETE", "/runs/{run}", Need.DELETE, delete_run, descriptions.DELETE_RUN))
    routes.add(Route("POST", "/runs/{run}/replay", Need.CONTROL, replay_run, descriptions.REPLAY_RUN))
    routes.add(Route("POST", "/runs/{run}/cancel", Need.CONTROL, cancel_run, descriptions.CANCEL_RUN))


def _add_dead_letters(routes: Routes, service: Service) -> None:
    async def get_letters(request: Request) -> Reply:
        query = _known(request.query, "name", "before", "limit")
        limit = _whole(query.get("limit", "50"), "limit", 1, PAGE)
        wanted: dict[str, Any] = {name: query.get(name) for name in ("name", "before")}
        page = await run_in_threadpool(service.page_of_dead_letters, **wanted, limit=limit, caller=request.caller)
        return json_reply(200, page, _next_page("/dead-letters", query, page.next))

    async def get_letter(request: Request) -> Reply:
        reveal = _flag(_known(request.query, "reveal"), "reveal")
        letter = request.params["letter"]
        found = await run_in_threadpool(service.dead_letter, letter, caller=request.caller, reveal=reveal)
        return json_reply(200, found)

    routes.add(Route("GET", "/dead-letters", Need.READ, get_letters, descriptions.GET_LETTERS))
    routes.add(Route("GET", "/dead-letters/{letter}", Need.READ, get_letter, descriptions.GET_LETTER))


def _add_probes(routes: Routes, service: Service, draining: Callable[[], bool]) -> None:
    async def livez(_: Request) -> Reply:
        return json_reply(200, {"status": "ok"})

    async def readyz(_: Request) -> Reply:
        if draining():
            raise HttpProblem(503, "draining", "this process is stopping", headers={"retry-after": "5"})
        await run_in_threadpool(service.refresh)
        return json_reply(200, {"status": "ready", "epoch": service.catalog.epoch})

    routes.add(Route("GET", "/livez", Need.PUBLIC, livez, descriptions.LIVEZ))
    routes.add(Route("GET", "/readyz", Need.PUBLIC, readyz, descriptions.READYZ))


def _add_descriptions(routes: Routes) -> None:
    async def get_key(request: Request) -> Reply:
        caller = request.caller
        groups = tuple(sorted(set(caller.names or ()) - {caller.name}))
        grants = Grants(admin=True, reveal=("*",)) if caller.names is None else caller.grants
        return json_reply(200, Holder(caller.name, groups, grants))

    async def get_openapi(_: Request) -> Reply:
        return json_reply(200, document(routes.all))

    routes.add(Route("GET", "/key", Need.KEY, get_key, descriptions.GET_KEY))
    routes.add(Route("GET", "/openapi.json", Need.KEY, get_openapi, descriptions.GET_OPENAPI))


async def _optional(request: Request, shape: type[T]) -> T:
    """A body that may be left out."""
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return shape()
    return sending.converted(await read_json(request.receive, headers), shape)


def _known(query: dict[str, str], *names: str) -> dict[str, str]:
    for name in query:
        if name not in names:
            raise _unfit(name[:64], f"is no parameter here; there are {', '.join(names)}")
    return query


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in {"true", "false"}:
        raise _unfit(name, "is true or false")
    return text == "true"


def _whole(text: str, name: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise _unfit(name, f"is a whole number from {low} to {high}")
    return int(text)


def _seconds(text: str, name: str, high: int) -> float:
    if _DECIMAL.fullmatch(text) is None or float(text) > high:
        raise _unfit(name, f"is a number of seconds from 0 to {high}, such as 30 or 1.5")
    return float(text)


def _unfit(name: str, message: str) -> HttpProblem:
    return HttpProblem(422, "parameters", "parameters do not fit", failures=[Failure(f"query.{name}", message)])


def _next_page(path: str, query: Mapping[str, str], before: str | None) -> dict[str, str]:
    """The header that has the address of the next page, where there is one."""
    return {} if before is None else {"link": f'<{path}?{urlencode({**query, "before": before})}>; rel="next"'}
