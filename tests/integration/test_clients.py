"""The clients against a real store: each call over HTTP and directly, in threads and in coroutines, with one outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowlang import AsyncClient, Client, bootstrap
from flowlang.client import (
    ConflictError,
    Event,
    InvalidError,
    MissingError,
    Patience,
    RefusedError,
    RunNotSucceededError,
    UnreachableError,
    WaitTimeoutError,
)
from flowlang.client.http import HttpTransport
from flowlang.clock import SystemClock
from flowlang.errors import ConfigError
from flowlang.server.app import App, Message, Receive, Scope, Send, create_app
from flowlang.server.run import HttpServer
from flowlang.service import Service
from flowlang.settings import Settings
from tests.access import DEV_TOKEN, developing, made
from tests.unit.service.test_service import finish
from tests.unit.service.world import ORDER, PLANS, World, manifest

WAYS = ("http", "direct", "http in coroutines", "direct in coroutines")


class Edge:
    """The application, behind a proxy that loses answers: what was asked is done, and 503 is answered.

    It stands before the application of one test after the other: to end a server takes longer than most of them.
    """

    app: App

    def __init__(self) -> None:
        self.lose = 0
        self.draining = False

    def lead_to(self, service: Service) -> None:
        """Be the edge of this project from now on."""
        self.app = create_app(service, secrets={}, keys=developing(service.store))
        self.lose = 0

    def drain(self) -> None:
        self.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def nowhere(_: Message) -> None:
            return

        if not self.lose:
            await self.app(scope, receive, send)
            return
        self.lose -= 1
        await self.app(scope, receive, nowhere)
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"0")]})
        await send({"type": "http.response.body", "body": b"upstream is away"})


class Site:
    """A served project."""

    def __init__(self, service: Service, store_url: str, edge: Edge, server: HttpServer) -> None:
        service.deploy(manifest(*PLANS), PLANS)
        edge.lead_to(service)
        self.service = service
        self.store_url = store_url
        self.edge = edge
        self.server = server
        self.store, self.clock, self._ended = service.store, SystemClock(), 0

    def end(self, status: str) -> str:
        """Bring the run that is next to an end, as a worker would."""
        self._ended += 2
        return finish(cast("World", self), status, self._ended - 1)


class Awaited:
    """An `AsyncClient` whose calls are run to their end, one by one."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._runner = asyncio.Runner()
        self._client = self._runner.run(_made(url, key))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *values, **named: self._runner.run(method(*values, **named))

    def runs(self, **named: Any) -> Iterator[Any]:
        async def read() -> list[Any]:
            return [run async for run in self._client.runs(**named)]

        return iter(self._runner.run(read()))

    def close(self) -> None:
        self._runner.run(self._client.close())
        self._runner.close()


async def _made(url: str, key: str | None) -> AsyncClient:
    return AsyncClient(url, api_key=key, patience=Patience(first=0.01))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Edge, HttpServer]]:
    edge = Edge()
    server = HttpServer(cast("Any", edge), port=0)
    server.start()
    yield edge, server
    server.stop()


@pytest.fixture
def site(redis_url: str, served: tuple[Edge, HttpServer]) -> Iterator[Site]:
    with bootstrap.open_service(Settings.from_env({"FLOWLANG_REDIS_URL": redis_url})) as service:
        yield Site(service, redis_url, *served)


@pytest.fixture(params=WAYS)
def client(request: pytest.FixtureRequest, site: Site) -> Iterator[Client]:
    """A client; one with coroutines is called as if it had none."""
    way: str = request.param
    url, key = (site.server.url, DEV_TOKEN) if way.startswith("http") else (site.store_url, None)
    made = Awaited(url, key) if way.endswith("coroutines") else Client(url, api_key=key, patience=Patience(first=0.01))
    yield cast("Client", made)
    made.close()


def test_an_event_is_sent_and_once_more_is_the_same_event(site: Site, client: Client) -> None:
    first = client.send("shop/order", ORDER, id="mine")
    assert (first.status, first.stored, [run.new for run in first.runs]) == ("accepted", True, [True])
    again = client.send("shop/order", ORDER, id="mine")
    assert (again.status, again.event) == ("duplicate", first.event)
    other = client.send("shop/other")
    assert other.event != client.send("shop/other").event
    assert site.service.event(other.event).event.data == {}


def test_each_key_has_ids_of_its_own_and_so_has_whoever_holds_the_store(site: Site) -> None:
    other = made(site.service.store, send=("*",))
    for url, key in [(site.server.url, DEV_TOKEN), (site.server.url, other), (site.store_url, None)]:
        with Client(url, api_key=key) as client:
            answers = [client.send("shop/order", ORDER, id="mine").status for _ in range(2)]
            assert answers == ["accepted", "duplicate"]


NOT_TAKEN: tuple[tuple[str, Any, type[Any], str, list[str]], ...] = (
    ("shop/order", {"items": []}, InvalidError, "data.invalid", ["data.order_id"]),
    ("pipeline/x.failed", {}, RefusedError, "event.refused", []),
    ("Not A Name", {}, RefusedError, "event.refused", []),
    ("shop/big", {"text": "x" * 600_000}, InvalidError, "body.too-large", []),
)


def test_an_event_that_is_not_taken_says_why(client: Client) -> None:
    for name, data, error, code, paths in NOT_TAKEN:
        with pytest.raises(error) as raised:
            client.send(name, data)
        assert (raised.value.code, [failure.path for failure in raised.value.failures]) == (code, paths)


def test_many_events_are_answered_one_by_one(site: Site, client: Client) -> None:
    events: list[Event | dict[str, Any]] = [
        Event("shop/order", ORDER, id="a"),
        {"name": "shop/order"},
        {"name": "stripe/x"},
        Event("shop/other"),
    ]
    answers = client.send_many(events)
    assert [answer.status for answer in answers] == ["accepted", "invalid", "refused", "accepted"]
    assert client.send_many(events)[0].status == "duplicate"
    assert client.send_many([]) == []


def test_more_events_than_a_request_may_hold_are_sent(site: Site, client: Client) -> None:
    answers = client.send_many(Event("shop/other", {"n": number}) for number in range(1001))
    assert {answer.status for answer in answers} == {"accepted"}
    assert len({answer.event for answer in answers}) == 1001


def test_a_pipeline_is_called_and_its_run_can_be_looked_at(site: Site, client: Client) -> None:
    started = client.call("by-hand", {"name": "Ada"}, key="k1")
    assert started.new
    assert client.call("by-hand", {"name": "Ada"}, key="k1") == type(started)(started.id, new=False)
    run = client.run(started.id)
    assert (run.id, run.status, run.event["data"], run.output) == (started.id, "pending", {"name": "Ada"}, None)
    assert run.run.created_at.tzinfo is not None
    assert [(step.step, step.status) for step in run.steps] == [("total", "pending")]
    assert client.call("by-hand", {"name": "Ada"}).id != client.call("by-hand", {"name": "Ada"}).id


NOT_THERE: tuple[tuple[Callable[[Client], object], type[Any], str], ...] = (
    (lambda client: client.call("nobody"), MissingError, "not-found"),
    (lambda client: client.call("by-hand"), InvalidError, "data.invalid"),
    (lambda client: client.run("r00-none"), MissingError, "not-found"),
    (lambda client: client.wait("r00-none"), MissingError, "not-found"),
    (lambda client: client.cancel("r00-none"), MissingError, "not-found"),
    (lambda client: client.delete("r00-none"), MissingError, "not-found"),
    (lambda client: client.replay("r00-none"), MissingError, "not-found"),
)


def test_what_is_not_there_or_does_not_fit_is_an_error_of_its_kind(client: Client) -> None:
    for ask, error, code in NOT_THERE:
        with pytest.raises(error) as raised:
            ask(client)
        assert raised.value.code == code


def test_a_run_is_waited_for(site: Site, client: Client) -> None:
    started = client.call("by-hand", {"name": "Ada"})
    with pytest.raises(WaitTimeoutError, match="is pending after 0 s"):
        client.wait(started.id, timeout=0)
    assert site.end("succeeded") == started.id
    assert client.wait(started.id).output == {"n": 2}
    failing = client.call("by-hand", {"name": "Bob"})
    assert site.end("failed") == failing.id
    with pytest.raises(RunNotSucceededError, match=r"has ended as failed: card\.declined no money") as raised:
        client.wait(failing.id)
    assert raised.value.run.error is not None


def test_a_call_whose_key_has_a_run_already_waits_for_that(site: Site, client: Client) -> None:
    started = client.call("by-hand", {"name": "Ada"}, key="k")
    site.end("succeeded")
    run = client.call_and_wait("by-hand", {"name": "Ada"}, key="k")
    assert (run.id, run.output) == (started.id, {"n": 2})


def test_runs_are_read_page_by_page(site: Site, client: Client) -> None:
    made = [client.call("report").id for _ in range(5)]
    found = [run.id for run in client.runs(pipeline="report", page=2)]
    assert sorted(found) == sorted(made)
    assert list(client.runs(pipeline="report", status="failed")) == []
    assert next(iter(client.runs(page=1))).pipeline == "report"


def test_a_run_is_cancelled(site: Site, client: Client) -> None:
    started = client.call("report")
    assert client.cancel(started.id) is True
    ended = client.call("by-hand", {"name": "Ada"})
    while site.end("succeeded") != ended.id:
        pass
    assert client.cancel(ended.id) is False


def test_an_ended_run_is_deleted_for_good(site: Site, client: Client) -> None:
    started = client.call("by-hand", {"name": "Ada"})
    event = client.run(started.id).run.event
    with pytest.raises(ConflictError, match="has not ended: cancel it first") as kept:
        client.delete(started.id)
    assert kept.value.code == "run.kept"
    assert site.end("succeeded") == started.id
    client.delete(started.id)
    for ask in (client.run, client.delete):
        with pytest.raises(MissingError):
            ask(started.id)
    assert (site.service.store.event(event), site.service.runs()) == (None, [])


def test_a_deletion_whose_answer_is_lost_has_been_done(site: Site) -> None:
    with Client(site.server.url, api_key=DEV_TOKEN, patience=Patience(first=0.001)) as client:
        started = client.call("by-hand", {"name": "Ada"})
        site.end("succeeded")
        site.edge.lose = 1
        client.delete(started.id)
        assert site.edge.lose == 0
        assert site.service.runs() == []


def test_a_run_is_replayed(site: Site, client: Client) -> None:
    started = client.call("by-hand", {"name": "Ada"})
    with pytest.raises(ConflictError, match="has not ended"):
        client.replay(started.id)
    site.end("succeeded")
    looked = client.replay(started.id, start="total", dry_run=True)
    assert (looked.of, looked.start, looked.run) == (started.id, "total", None)
    assert looked.forecast is not None
    replay = client.replay(started.id, data={"name": "Bob"}, key="k")
    assert replay.run is not None
    assert replay.run.new
    again = client.replay(started.id, data={"name": "Bob"}, key="k").run
    assert again is not None
    assert (again.id, again.new) == (replay.run.id, False)
    assert client.run(replay.run.id).event["data"] == {"name": "Bob"}


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6), seed=st.uuids())
def test_events_with_the_same_id_are_one_event_however_often_they_are_sent(
    site: Site, client: Client, ids: list[str], seed: object
) -> None:
    named = [f"{seed}{ident}" for ident in ids]
    kept = [client.send("shop/other", id=ident).event for ident in named]
    many = client.send_many([Event("shop/other", id=ident) for ident in named])
    assert [answer.status for answer in many] == ["duplicate"] * len(ids)
    assert [answer.event for answer in many] == kept
    assert len(set(kept)) == len(set(ids))


@pytest.mark.parametrize("way", ["http", "http in coroutines"])
def test_an_answer_that_is_lost_costs_no_second_event_or_run(site: Site, way: str) -> None:
    kind: Any = Awaited if way.endswith("coroutines") else Client
    client = kind(site.server.url, DEV_TOKEN) if kind is Awaited else Client(site.server.url, api_key=DEV_TOKEN)
    site.edge.lose = 3
    sent = client.send("shop/order", ORDER)
    assert sent.status == "duplicate"
    site.edge.lose = 2
    assert client.call("report").new is False
    client.close()
    assert sorted(run.pipeline for run in site.service.runs()) == ["place-order", "report"]


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    with (
        Client("http://127.0.0.1:9", patience=Patience(2, 0.001)) as client,
        pytest.raises(UnreachableError, match="no answer after 2 tries: ConnectError"),
    ):
        client.send("a")


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("ftp://x", None, "not with ftp URL"),
        ("localhost:8787", None, "not with localhost URL"),
        ("", None, "not with no URL"),
        ("redis://127.0.0.1:1", "flk_x", "whoever has the store's URL needs none"),
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str, key: str | None, said: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ConfigError, match=said):
            kind(url, api_key=key)


def test_the_key_is_sent_and_a_connection_of_ones_own_is_left_open(site: Site) -> None:
    seen: list[str] = []
    with httpx.Client(event_hooks={"request": [lambda request: seen.append(request.headers["authorization"])]}) as http:
        with Client(site.server.url, transport=HttpTransport(site.server.url, DEV_TOKEN, 5.0, http)) as client:
            client.send("shop/other")
        assert not http.is_closed
    assert seen == [f"Bearer {DEV_TOKEN}"]


@pytest.mark.parametrize("way", ["http", "direct"])
def test_the_place_of_the_program_in_a_trace_goes_with_what_it_sends(site: Site, way: str) -> None:
    place = {"Traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "v=1", "baggage": "secret=1"}
    url, key = (site.server.url, DEV_TOKEN) if way == "http" else (site.store_url, None)
    with Client(url, api_key=key, trace=lambda: place) as client:
        runs = [client.send("shop/order", ORDER).runs[0].id, client.call("report").id]
    for run in runs:
        trace = site.service.run(run).event.trace
        assert trace is not None
        assert trace.headers() == {"traceparent": place["Traceparent"], "tracestate": "v=1"}


def test_a_key_that_is_missing_or_does_not_grant_it_is_a_refusal(site: Site) -> None:
    key = made(site.service.store, send=("other/*",))
    for api_key, code in [(None, "key.missing"), ("flk_x", "key.invalid"), (key, "event.refused")]:
        with Client(site.server.url, api_key=api_key) as client, pytest.raises(RefusedError) as refused:
            client.send("shop/order", ORDER)
        assert refused.value.code == code
    assert site.service.runs() == []
