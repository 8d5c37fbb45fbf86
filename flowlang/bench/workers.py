"""Worker processes for as long as something is measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from flowlang.clock import monotonic_ms
from flowlang.errors import FlowError
from flowlang.settings import PREFIX, Settings
from flowlang.worker.tether import tethered

#: How long processes may take to end before they are killed, ms: what they leave behind is thrown away.
_GRACE_MS = 5_000.0


class WorkerDiedError(FlowError):
    """A worker process has ended while it was needed."""


class Workers:
    """Worker processes; a context manager that starts and ends them. Nothing replaces one that dies.

    Args:
        settings: Of each process; what the environment says of FlowLang is not passed on.
        count: How many.
        extra: Further variables.
    """

    def __init__(self, settings: Settings, count: int, extra: Mapping[str, str] | None = None) -> None:
        foreign = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._environ = {**foreign, **settings.environ(), **(extra or {})}
        self._count = count
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        argv = tethered([sys.executable, "-m", "flowlang.app"], signal.SIGKILL)
        try:
            for _ in range(self._count):
                self._processes.append(
                    subprocess.Popen(  # noqa: S603 - our own program
                        argv,
                        env=self._environ,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        process_group=0,  # Ctrl-C in the terminal is for us
                    )
                )
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        """Process ids."""
        return [process.pid for process in self._processes]

    def check(self) -> None:
        """Look whether all are there. Raises: WorkerDiedError."""
        for process in self._processes:
            if (status := process.poll()) is not None:
                raise WorkerDiedError(f"a worker process has ended with status {status}; what it said is above")

    def stop(self) -> None:
        """End all of them; those that do not end in time are killed."""
        for process in self._processes:
            process.terminate()
        deadline_ms = monotonic_ms() + _GRACE_MS
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline_ms - monotonic_ms()) / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
