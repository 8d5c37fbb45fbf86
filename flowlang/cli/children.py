"""The child processes of `worker` and `dev`: their command lines, and what is said about them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import IO

from flowlang.cli.console import Console
from flowlang.settings import Settings
from flowlang.worker.supervisor import REPLACE_ME, ChildEvent, ChildSpec


def environment(settings: Settings) -> dict[str, str]:
    """Variables of a child: ours, with the settings as they were found."""
    return {**os.environ, **settings.environ()}


def workers(settings: Settings) -> list[ChildSpec]:
    """The processes that run steps."""
    flags = ["--threads", str(settings.threads)]
    if settings.queues:
        flags += ["--queues", ",".join(settings.queues)]
    argv = (sys.executable, "-m", "flowlang.app", *flags)
    settings = replace(settings, dev_token=None)  # steps have no use for it
    return [ChildSpec(f"worker-{number}", argv, environment(settings)) for number in range(1, settings.processes + 1)]


def http(settings: Settings) -> ChildSpec:
    """The process that serves HTTP."""
    return ChildSpec("http", (sys.executable, "-m", "flowlang", "serve"), environment(settings))


def told(console: Console) -> Callable[[ChildEvent], None]:
    """A listener that says what happens to children, to people or to programs."""
    stopping: set[str] = set()

    def tell(event: ChildEvent) -> None:
        if event.kind == "stopping":
            stopping.add(event.name)
        if console.as_json:
            content = {"event": event.kind, "child": event.name, "pid": event.pid, "exit": event.returncode}
            console.document({key: value for key, value in content.items() if value is not None})
        elif event.kind == "exited" and event.returncode == 0 and event.name in stopping:
            return  # as it was told to
        elif event.kind in {"exited", "delayed", "failed", "killed"}:
            console.say(sentence(event))

    return tell


def sentence(event: ChildEvent) -> str:
    """What happened to a child, in words."""
    match event.kind:
        case "started":
            return f"{event.name} runs (process {event.pid})"
        case "exited":
            how = "to be replaced" if event.returncode == REPLACE_ME else _how(event.returncode)
            return f"{event.name} (process {event.pid}) has ended {how}"
        case "delayed":
            return f"{event.name} ends again and again; the next start is in {event.delay_s:g} s"
        case "stopping":
            return f"{event.name} is told to stop"
        case "killed":
            return f"{event.name} (process {event.pid}) did not stop in time and is killed"
        case "failed":
            return f"{event.name} cannot be started; the next try is in {event.delay_s:g} s"


def _how(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        try:
            return f"by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"by signal {-returncode}"
    return f"with status {returncode}"


def claim_stdout() -> IO[str]:
    """Keep stdout for our own data: what children print goes to stderr from now on.

    Returns:
        The stream for data, which is `sys.stdout` as well.
    """
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = own
    return own
