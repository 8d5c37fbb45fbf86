"""Requests that wait for a run's end: answered when it has ended, one look for all of them, and never held for ever."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx
import pytest

from flowlang import Client
from flowlang.client import WaitTimeoutError
from flowlang.client import http as http_client
from flowlang.client.http import HttpTransport
from flowlang.engine.ports import RunHead
from flowlang.errors import StoreUnavailableError
from flowlang.server.app import App, create_app
from flowlang.server.bodies import ClientGoneError
from flowlang.server.problems import HttpProblem
from flowlang.server.run import HttpServer
from flowlang.server.waiting import Waiting
from tests.access import DEV_TOKEN, audited, bearer, developing, made
from tests.unit.service.test_service import finish
from tests.unit.service.world import World

MOST = 3


class Site:
    """A served project in which few may wait, and what its store was asked."""

    def __init__(self) -> None:
        self.world = World()
        self.asked: list[list[str]] = []
        self.broken = False
        heads = self.world.store.heads

        def watched(runs: Sequence[str]) -> dict[str, RunHead]:
            self.asked.append(list(runs))
            if self.broken:
                raise StoreUnavailableError("away")
            return heads(runs)

        self.world.store.heads = watched  # type: ignore[method-assign]
        self.app: App = create_app(
            self.world.service, secrets={}, keys=developing(self.world.store), clock=self.world.clock, waits=MOST
        )
        self.server = HttpServer(self.app, port=0)
        self.server.start()
        self.http = httpx.Client(base_url=self.server.url, headers=bearer(), trust_env=False, timeout=60)
        self.pool = ThreadPoolExecutor(8)

    def run(self) -> str:
        return self.world.service.call("report", {}).id

    def get(self, run: str, query: str = "wait=60", key: str = DEV_TOKEN) -> httpx.Response:
        return self.http.get(f"/runs/{run}?{query}", headers=bearer(key))

    def waiting(self, *runs: str, query: str = "wait=60") -> list[Future[httpx.Response]]:
        """Have requests wait, and come back when all of them do."""
        before = self.app.waiting.count
        begun = [self.pool.submit(self.get, run, query) for run in runs]
        self.until(lambda: self.app.waiting.count == before + len(runs))
        return begun

    def until(self, is_so: Callable[[], bool]) -> None:
        """Do something else until it is so."""
        for _ in range(20_000):
            if is_so():
                return
            self.http.get("/livez")
        raise AssertionError("it never was")

    def close(self) -> None:
        self.server.stop()
        self.pool.shutdown()
        self.http.close()


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["run"]["status"]


def test_a_request_is_answered_when_the_run_has_ended_and_not_before(site: Site) -> None:
    (answer,) = site.waiting(site.run())
    looked = len(site.asked)
    site.until(lambda: len(site.asked) > looked + 1)
    assert not answer.done()
    finish(site.world, "failed")
    assert told(answer.result()) == (200, "failed")
    assert answer.result().json()["error"]["code"] == "card.declined"
    assert site.app.waiting.count == 0


def test_a_run_that_has_ended_is_answered_at_once_and_so_is_one_that_nobody_waits_for(site: Site) -> None:
    run = site.run()
    for query in ("", "wait=0"):
        assert told(site.get(run, query)) == (200, "pending")
    assert site.asked == []
    finish(site.world, "succeeded")
    assert told(site.get(run)) == (200, "succeeded")
    assert site.asked == [[run]]


def test_a_run_that_goes_on_is_answered_when_the_time_is_over(site: Site) -> None:
    assert told(site.get(site.run(), "wait=0.2")) == (200, "pending")
    assert len(site.asked) > 1


def test_all_who_wait_for_a_run_are_answered(site: Site) -> None:
    run = site.run()
    answers = site.waiting(run, run, run)
    assert [*site.asked[-1]] == [run]
    finish(site.world, "succeeded")
    assert [told(answer.result()) for answer in answers] == [(200, "succeeded")] * 3


def test_a_run_that_is_deleted_meanwhile_is_not_found(site: Site) -> None:
    (answer,) = site.waiting(site.run())
    finish(site.world, "succeeded")
    for run in site.world.service.runs():
        site.world.service.delete(run.id)
    assert answer.result().status_code in {200, 404}  # as it was when it was read
    assert site.get("r00-none").status_code == 404


def test_no_more_may_wait_than_the_server_has_room_for_and_a_client_goes_on_without(site: Site) -> None:
    run = site.run()
    answers = site.waiting(*[run] * MOST)
    refused = site.get(run)
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "waiting.full", "1")
    assert told(site.get(run, "")) == (200, "pending")
    paused: list[float] = []

    def end(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            finish(site.world, "succeeded")
            assert [told(answer.result()) for answer in answers] == [(200, "succeeded")] * MOST

    with Client(site.server.url, api_key=DEV_TOKEN, pause=end) as client:
        assert client.wait(run).status == "succeeded"
    assert len(paused) == 3


def test_a_client_waits_by_one_request(site: Site) -> None:
    run = site.run()
    sent: list[str] = []

    def noted(request: httpx.Request) -> None:
        sent.append(f"{request.method} {request.url.raw_path.decode()}")

    with httpx.Client(event_hooks={"request": [noted]}) as http:
        client = Client(site.server.url, transport=HttpTransport(site.server.url, DEV_TOKEN, 10.0, http))
        ended = site.pool.submit(client.wait, run)
        site.until(lambda: site.app.waiting.count == 1)
        finish(site.world, "succeeded")
        assert ended.result().output == {"n": 2}
        assert sent == [f"GET /runs/{run}?wait=30.000"]
        with pytest.raises(WaitTimeoutError, match="is pending after 1 s"):
            client.wait(site.run(), timeout=1)
        assert len(sent[1:]) <= 3  # one that waits; where it comes back a little early, another one or two


def test_a_client_lets_some_requests_wait_and_keeps_connections_for_the_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "_Room", partial(http_client._Room, 2))
    run = site.run()
    looks = threading.Semaphore(0)

    def look(seconds: float) -> None:
        del seconds
        looks.release()

    with Client(site.server.url, api_key=DEV_TOKEN, pause=look) as client:
        ended = [site.pool.submit(client.wait, run) for _ in range(4)]
        for _ in range(20):
            looks.acquire()  # two of them look again and again
        assert site.app.waiting.count == 2
        assert client.send("shop/other").stored
        finish(site.world, "succeeded")
        assert [each.result().status for each in ended] == ["succeeded"] * 4


def test_who_may_not_look_does_not_wait(site: Site) -> None:
    run = site.run()
    other, plain = (
        made(site.world.store, name, read=(what,)) for name, what in (("other", "paid"), ("plain", "report"))
    )
    statuses = [site.get(run, key=other), site.get(run, "wait=60&reveal=true", plain), site.get("r00-none")]
    assert [answer.status_code for answer in statuses] == [404, 403, 404]
    assert site.app.waiting.count == 0


def test_what_is_revealed_to_one_who_waits_is_recorded_once(site: Site) -> None:
    run = site.run()
    with audited() as trail:
        (answer,) = site.waiting(run, query="wait=60&reveal=true")
        assert trail == []
        finish(site.world, "succeeded")
        assert answer.result().status_code == 200
        assert [each["run"] for each in trail] == [run]


@pytest.mark.parametrize("value", ["-1", "61", "60.1", "1.", ".5", "", "x", "%C2%B2", "1e1", "inf", "nan", "1_0"])
def test_a_time_that_is_none_is_refused(site: Site, value: str) -> None:
    answer = site.get(site.run(), f"wait={value}")
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "query.wait")


def test_a_client_that_hangs_up_makes_room(site: Site) -> None:
    run = site.run()
    site.waiting(run, run)
    with httpx.Client(headers=bearer(), trust_env=False) as gone:
        begun = threading.Thread(target=_until_closed, args=(gone, f"{site.server.url}/runs/{run}?wait=60"))
        begun.start()
        site.until(lambda: site.app.waiting.count == 3)
        for connection in list(gone._transport._pool.connections):  # type: ignore[attr-defined]
            connection._connection._network_stream.get_extra_info("socket").shutdown(2)
        begun.join()
    site.until(lambda: site.app.waiting.count == 2)
    finish(site.world, "succeeded")


def _until_closed(client: httpx.Client, url: str) -> None:
    with pytest.raises(httpx.TransportError):
        client.get(url, timeout=60)


def test_while_the_store_is_away_requests_go_on_waiting(site: Site) -> None:
    (answer,) = site.waiting(site.run())
    site.broken = True
    looked = len(site.asked)
    site.until(lambda: len(site.asked) > looked + 2)
    assert not answer.done()
    finish(site.world, "succeeded")
    site.broken = False
    assert told(answer.result()) == (200, "succeeded")


def test_a_server_that_stops_answers_those_who_wait(site: Site) -> None:
    answers = site.waiting(site.run(), site.run())
    site.server.stop()
    assert [told(answer.result()) for answer in answers] == [(200, "pending")] * 2


def test_a_server_that_drains_answers_at_once(site: Site) -> None:
    (answer,) = site.waiting(site.run())
    site.app.drain()
    assert told(answer.result()) == (200, "pending")
    assert told(site.get(site.run())) == (200, "pending")
    assert site.app.waiting.count == 0


# Without a server ------------------------------------------------------------------------------------------------------


async def _connected() -> Mapping[str, Any]:
    """A client that does not hang up."""
    await asyncio.Event().wait()
    return {}


def test_many_runs_are_looked_at_in_one_call() -> None:
    runs = [f"r{number}" for number in range(200)]
    calls: list[list[str]] = []

    def heads(asked: Sequence[str]) -> dict[str, RunHead]:
        seen = {run for call in calls for run in call}
        calls.append(list(asked))
        return {run: RunHead("p", "succeeded" if run in seen else "running") for run in asked}

    async def wait() -> None:
        waiting = Waiting(heads)
        await asyncio.gather(*(waiting.until_ended(run, 60, _connected) for run in runs for _ in range(2)))
        assert waiting.count == 0

    asyncio.run(wait())
    assert Counter(run for call in calls for run in call) == dict.fromkeys(runs, 2)
    assert len(calls) < len(runs) / 4


def test_one_who_waits_no_more_leaves_nothing_behind() -> None:
    async def wait() -> None:
        waiting = Waiting(lambda asked: {run: RunHead("p", "running") for run in asked}, most=1)
        gone = asyncio.Event()

        async def receive() -> Mapping[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        begun = asyncio.ensure_future(waiting.until_ended("r", 60, receive))
        await asyncio.sleep(0)  # it begins
        assert waiting.count == 1
        with pytest.raises(HttpProblem, match="too many"):
            await waiting.until_ended("s", 60, _connected)
        gone.set()
        with pytest.raises(ClientGoneError):
            await begun
        cancelled = asyncio.ensure_future(waiting.until_ended("s", 60, _connected))
        await asyncio.sleep(0)
        assert waiting.count == 1
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert waiting.count == 0
        waiting.stop()
        await waiting.until_ended("t", 60, _connected)  # at once

    asyncio.run(wait())
