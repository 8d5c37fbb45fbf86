"""The server is killed and started again on its data while runs are under way: workers and HTTP ride it through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from tests.e2e.edge import served
from tests.e2e.pipelines import CALLS, CHECKPOINTS, chain, fan
from tests.e2e.waiting import until
from tests.e2e.world import World, checkpoints

KILLS = 3
BATCH = 30


def post(client: httpx.Client, name: str, n: int, refused: list[int]) -> str:
    """Send an event as a sender does who repeats what was not taken, and return its run."""

    def sent() -> httpx.Response | None:
        response = client.post("/events", json={"name": name, "id": f"{name}-{n}", "data": {"n": n}})
        if response.status_code == 503:
            refused.append(n)
            return None
        return response

    response = until(sent, "an answer that is not 503")
    assert response.status_code == 202, response.text
    answer = client.get(f"/events/{response.json()['event']}") if not response.json().get("runs") else response
    runs = answer.json()["runs"]
    return str(runs[0]["id"] if isinstance(runs[0], dict) else runs[0])


def test_workers_and_http_ride_through_a_server_that_is_killed(tmp_path: Path, figure: Callable[[str], None]) -> None:
    refused: list[int] = []
    runs: list[str] = []
    # With `always` the server has on its disk what it has answered, so that a crash may lose nothing at all.
    with World(tmp_path, appendfsync="always", LEASE="30s") as world, served(world) as client:
        world.deploy(chain(), fan())
        with world.crew(2) as crew:
            world.idle(2)
            for kill in range(KILLS):
                numbers = range(kill * BATCH, (kill + 1) * BATCH)
                runs += [post(client, "e2e/fan" if n % 5 == 0 else "e2e/chain", n, refused) for n in numbers]
                world.under_way(len(runs))
                world.server.kill()
                down = client.post("/events", json={"name": "e2e/chain", "id": "while down", "data": {"n": 0}})
                assert down.status_code == 503
                world.server.restart()
            details = world.ended(runs)
            assert len(crew.events) == 2, "no worker had to be replaced"

    assert [detail.run.id for detail in details if detail.run.status != "succeeded"] == []
    assert len({detail.run.id for detail in details}) == KILLS * BATCH
    expected = {(detail.run.id, step) for detail in details for step in CHECKPOINTS[detail.run.pipeline]}
    assert checkpoints(details) == dict.fromkeys(expected, 1)
    # Leases outlive the outages and a flush without an answer is sent again, so not even a call is repeated.
    called = {(detail.run.id, step) for detail in details for step in CALLS[detail.run.pipeline]}
    assert world.ledger.calls() == dict.fromkeys(called, 1)
    figure(f"{KILLS} kills of the server, {len(called)} calls, none repeated")
