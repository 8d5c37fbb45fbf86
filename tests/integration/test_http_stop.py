"""Stopping a served process by signals: first it says so, then it ends, by itself and with success."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.access import bearer

SERVED = """
from tests.access import developing
from tests.unit.service.world import World
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
import sys
world = World()
app = create_app(world.service, secrets={}, keys=developing(world.store))
server = HttpServer(app, port=0, drain_s=float(sys.argv[1]))
print(server.url, flush=True)
server.run()
print("ended", flush=True)
"""


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVED, str(request.param)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            with httpx.Client(base_url=url, headers=bearer(), trust_env=False) as client:
                assert client.get("/readyz").status_code == 200  # the socket listens, so this waits for the server
                yield process, client
        finally:
            process.kill()


@pytest.mark.parametrize("served", [0.0], indirect=True)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_success(
    served: tuple[subprocess.Popen[str], httpx.Client], sent: signal.Signals
) -> None:
    process, _ = served
    process.send_signal(sent)
    assert process.wait(60) == 0
    assert process.stdout is not None
    assert process.stdout.read() == "ended\n"


@pytest.mark.parametrize("served", [600.0], indirect=True)
def test_while_draining_it_serves_but_is_not_ready_and_a_second_signal_ends_it(
    served: tuple[subprocess.Popen[str], httpx.Client],
) -> None:
    process, client = served
    process.send_signal(signal.SIGTERM)
    for _ in range(10_000):  # until the signal has arrived
        if client.get("/readyz").status_code == 503:
            break
    assert client.get("/readyz").json()["code"] == "draining"
    assert client.post("/events", json={"name": "a/b"}).status_code == 202
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
