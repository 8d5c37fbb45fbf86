"""All that has to run for the demo, in a temporary folder; nothing of it is left when it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

from flowlang.clock import random_token
from flowlang.worker.embedded import EmbeddedServer
from flowlang.worker.supervisor import ChildEvent, ChildSpec, Supervisor
from tests.standin import Fault, Standin

ROOT = Path(__file__).parents[2]
PROCESSES = 2

#: So much of what processes said is shown when something went wrong.
LINES = 30

#: A process that dies so often is not worth more patience.
DEATHS = 3

T = TypeVar("T")


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


class Stage:
    """What runs; made by `staged`.

    Args:
        standin: Plays the services.
        environ: Environment of all processes.
        supervisor: Keeps them running.
        client: Talks to the HTTP process.
        log: What the processes say.
    """

    def __init__(
        self, standin: Standin, environ: dict[str, str], supervisor: Supervisor, client: httpx.Client, log: Path
    ) -> None:
        self.standin = standin
        self.client = client
        self._environ = environ
        self._supervisor = supervisor
        self._log = log

    def said(self) -> list[str]:
        """What the processes have said, the last lines of it."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]

    def deploy(self) -> str:
        """Deploy the shipped project, and return what the command said.

        Raises:
            DemoError: when it was refused.
        """
        argv = [sys.executable, "-m", "flowlang", "deploy"]
        done = subprocess.run(argv, env=self._environ, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"`flowlang deploy` ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def wait(self, look: Callable[[], T | None], seconds: float) -> T | None:
        """Look after the processes until a look finds something, or the time is over.

        Returns:
            What was found; None when the time was over.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            self._supervisor.poll(0.05)
        return look()

    def is_ready(self) -> bool:
        """Whether HTTP answers that it is ready."""
        try:
            return self.client.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@contextmanager
def staged(faults: Iterable[Fault]) -> Iterator[Stage]:
    """Start the server, the stand-in, HTTP and the workers; end them, and remove what they wrote.

    Args:
        faults: Trouble that the services will make.

    Raises:
        DemoError: when a process does not stay alive.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flowlang-demo-")))
        server = stack.enter_context(EmbeddedServer(folder / "valkey"))
        standin = stack.enter_context(Standin(faults=faults))
        port, token = _free_port(), f"flk_dev_{random_token(32)}"
        environ = _environ(
            standin.environment(),
            REDIS_URL=server.url,
            PROJECT=str(ROOT),
            HTTP_PORT=str(port),
            LOG_LEVEL="error",
            DEV_TOKEN=token,
            SHUTDOWN="5s",
        )
        log = folder / "processes.log"
        log.touch()
        supervisor = Supervisor(list(_children(environ, log)), grace=10.0, on_event=_watcher(log))
        supervisor.start()
        stack.callback(supervisor.stop)
        headers = {"authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{port}"
        client = stack.enter_context(httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=10.0))
        yield Stage(standin, environ, supervisor, client, log)


def _environ(services: dict[str, str], **settings: str) -> dict[str, str]:
    """Our own environment without settings that are meant for something else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
    return {**kept, **services, **{f"FLOWLANG_{name}": value for name, value in settings.items()}}


def _children(environ: dict[str, str], log: Path) -> Iterator[ChildSpec]:
    def spec(name: str, *module: str) -> ChildSpec:
        logged = ("/bin/sh", "-c", 'exec "$@" 2>>"$0"', str(log))
        return ChildSpec(name, (*logged, sys.executable, "-m", *module), environ)

    yield spec("http", "flowlang", "serve")
    for number in range(1, PROCESSES + 1):
        yield spec(f"worker-{number}", "flowlang.app")


def _watcher(log: Path) -> Callable[[ChildEvent], None]:
    deaths: list[str] = []
    stopping: list[str] = []

    def happened(event: ChildEvent) -> None:
        if event.kind == "stopping":
            stopping.append(event.name)
        if event.kind in {"exited", "failed"} and not stopping:
            deaths.append(event.name)
            if len(deaths) >= DEATHS:
                said = log.read_text(encoding="utf-8", errors="replace")
                raise DemoError(f"processes do not stay alive: {', '.join(deaths)}; they said:\n{said}")

    return happened


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
