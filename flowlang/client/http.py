"""One request over HTTP, from threads and from coroutines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from flowlang import jsondata
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

#: Requests that wait for a run at a time, of a client: half of the connections that httpx opens.
MOST_WAITING: Final = 50


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as it goes over HTTP."""

    method: str
    path: str
    body: bytes | None = None
    params: dict[str, str | int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    waits: float = 0.0  #: seconds that the answer may take besides


def wired(request: Request) -> Wire:
    """Write a request for HTTP."""
    match request:
        case SendEvents(events, trace):
            return Wire("POST", "/events", jsondata.dumps(events), headers=dict(trace))
        case CallPipeline(pipeline, data, key, trace):
            path, body = f"/pipelines/{_part(pipeline)}/runs", jsondata.dumps({"data": data})
            return Wire("POST", path, body, headers={**trace, "idempotency-key": key})
        case ReplayRun(run, key):
            path, body = f"/runs/{_part(run)}/replay", jsondata.dumps(_wish(request))
            return Wire("POST", path, body, headers={"idempotency-key": key})
        case CancelRun(run):
            return Wire("POST", f"/runs/{_part(run)}/cancel")
        case DeleteRun(run):
            return Wire("DELETE", f"/runs/{_part(run)}")
        case GetRun(run, reveal, wait):
            params: dict[str, str | int] = {"reveal": "true"} if reveal else {}
            return Wire(
                "GET", f"/runs/{_part(run)}", params=params | ({"wait": f"{wait:.3f}"} if wait else {}), waits=wait
            )
        case ListRuns(pipeline, status, before, limit):
            asked = {"pipeline": pipeline, "status": status, "before": before, "limit": limit}
            return Wire("GET", "/runs", params={name: value for name, value in asked.items() if value is not None})


def _wish(request: ReplayRun) -> dict[str, Any]:
    """The body of a replay: what is not as it is by default."""
    wish: dict[str, Any] = {} if request.start is None else {"from": request.start}
    if request.data is not msgspec.UNSET:
        wish["data"] = request.data
    flags = ("same_version", "new_keys", "dry_run")
    return wish | {name: True for name in flags if getattr(request, name)}


class _Room:
    """So many requests may wait at a time; a further one is answered at once. The other connections are for the rest.

    Args:
        most: Requests that wait at a time.
    """

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def wired(self, request: Request) -> Iterator[Wire]:
        """A request as it goes over HTTP, while it is under way."""
        wire = wired(request)
        if not (isinstance(request, GetRun) and wire.waits):
            yield wire
        elif not self._free.acquire(blocking=False):
            yield wired(replace(request, wait=0.0))
        else:
            try:
                yield wire
            finally:
                self._free.release()


class HttpTransport:
    """Carries requests over HTTP; safe for any number of threads.

    Args:
        url: Of the server.
        api_key: Sent with each request.
        timeout: Seconds for one try.
        http: What sends, where it is made elsewhere; it is not closed by `close`.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, http: httpx.Client | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = _headers(api_key)
        self._timeout = timeout
        self._ours = http is None
        self._http = http or httpx.Client()
        self._room = _Room()

    def answer(self, request: Request) -> Reply | Lost:
        """Ask once."""
        try:
            with self._room.wired(request) as wire:
                response = self._http.request(
                    wire.method,
                    f"{self._url}{wire.path}",
                    content=wire.body,
                    params=wire.params,
                    headers=self._headers | wire.headers,
                    timeout=self._timeout + wire.waits,
                )
        except httpx.TransportError as error:
            return _lost(error)
        return _reply(response)

    def close(self) -> None:
        """Close the connections."""
        if self._ours:
            self._http.close()


class AsyncHttpTransport:
    """The same for coroutines.

    Args:
        url: Of the server.
        api_key: Sent with each request.
        timeout: Seconds for one try.
        http: What sends, where it is made elsewhere; it is not closed by `close`.
    """

    def __init__(self, url: str, api_key: str | None, timeout: float, http: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = _headers(api_key)
        self._timeout = timeout
        self._ours = http is None
        self._http = http or httpx.AsyncClient()
        self._room = _Room()

    async def answer(self, request: Request) -> Reply | Lost:
        """Ask once."""
        try:
            with self._room.wired(request) as wire:
                response = await self._http.request(
                    wire.method,
                    f"{self._url}{wire.path}",
                    content=wire.body,
                    params=wire.params,
                    headers=self._headers | wire.headers,
                    timeout=self._timeout + wire.waits,
                )
        except httpx.TransportError as error:
            return _lost(error)
        return _reply(response)

    async def close(self) -> None:
        """Close the connections."""
        if self._ours:
            await self._http.aclose()


def _headers(api_key: str | None) -> dict[str, str]:
    headers = {"content-type": "application/json", "accept": "application/json"}
    return headers if api_key is None else headers | {"authorization": f"Bearer {api_key}"}


def _part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _lost(error: httpx.TransportError) -> Lost:
    return Lost(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.content, response.headers.get("retry-after", ""))
