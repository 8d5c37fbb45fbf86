"""Sends and calls over a lossy network, and counts what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from flowlang import AsyncClient, Client, bootstrap
from flowlang.client import Event, Patience
from flowlang.clock import seeded_rng
from flowlang.plan import EventTrigger
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from flowlang.settings import Settings
from tests.access import DEV_TOKEN, developing
from tests.delivery.lossy import Lossy
from tests.unit.service.world import manifest, plan

#: Never gives up in a trial, and does not wait long.
PATIENT = Patience(tries=200, first=0.001, longest=0.05)
THREADS = 4
LIST = 20

PLANS = (plan("sent", triggers=(EventTrigger(("trial/sent",)),)), plan("called"))


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a trial.

    Attributes:
        sent: Events that clients were told to be stored.
        called: Calls that were answered.
        stored: Events with a run, counted in the store.
        started: Runs of calls, counted in the store.
        requests_lost: Connections that ended before a request had come through.
        answers_lost: Connections that ended before an answer had.
        repeats: Requests that had been carried out, and were sent again.
    """

    sent: int
    called: int
    stored: int
    started: int
    requests_lost: int
    answers_lost: int
    repeats: int

    @property
    def exact(self) -> bool:
        """Whether each event and call was taken exactly once."""
        return (self.sent, self.called) == (self.stored, self.started)


def tried(redis_url: str, count: int, *, seed: int, lost: int = 25) -> Figures:
    """Send `count` events one by one, as many in lists, and make as many calls; a half of each in coroutines."""
    with bootstrap.open_service(Settings.from_env({"FLOWLANG_REDIS_URL": redis_url})) as service:
        service.deploy(manifest(*PLANS), PLANS)
        server = HttpServer(create_app(service, secrets={}, keys=developing(service.store)), port=0)
        server.start()
        try:
            with Lossy(server.port, seeded_rng(seed), lost) as network:
                with Client(network.url, api_key=DEV_TOKEN, patience=PATIENT) as client:
                    in_threads = _threads(client, count - count // 2)
                answers = in_threads + asyncio.run(_coroutines(network.url, count // 2))
        finally:
            server.stop()
        runs = [run.pipeline for run in service.find_runs()]
    events = [answer for answer in answers if hasattr(answer, "stored")]
    calls = [answer for answer in answers if not hasattr(answer, "stored")]
    repeats = sum(event.status == "duplicate" for event in events) + sum(not call.new for call in calls)
    return Figures(
        sent=sum(event.stored for event in events),
        called=len(calls),
        stored=runs.count("sent"),
        started=runs.count("called"),
        requests_lost=network.requests_lost,
        answers_lost=network.answers_lost,
        repeats=repeats,
    )


def _lists(count: int) -> list[Sequence[Event]]:
    return [[Event("trial/sent")] * min(LIST, count - at) for at in range(0, count, LIST)]


def _threads(client: Client, count: int) -> list[Any]:
    with ThreadPoolExecutor(THREADS) as pool:
        single = pool.map(lambda _: client.send("trial/sent"), range(count))
        lists = pool.map(client.send_many, _lists(count))
        calls = pool.map(lambda _: client.call("called"), range(count))
        return [*single, *(one for answers in lists for one in answers), *calls]


async def _coroutines(url: str, count: int) -> list[Any]:
    places = asyncio.Semaphore(THREADS)
    async with AsyncClient(url, api_key=DEV_TOKEN, patience=PATIENT) as client:

        async def placed(call: Any) -> Any:
            async with places:
                return await call

        single = await asyncio.gather(*(placed(client.send("trial/sent")) for _ in range(count)))
        lists = await asyncio.gather(*(placed(client.send_many(events)) for events in _lists(count)))
        calls = await asyncio.gather(*(placed(client.call("called")) for _ in range(count)))
        return [*single, *(one for answers in lists for one in answers), *calls]
