"""Worker processes under the real supervisor, which a test may kill."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from flowlang.worker.supervisor import ChildEvent, ChildSpec, Supervisor
from tests.e2e import launch
from tests.e2e.waiting import PATIENCE_S, until

#: The supervisor's clock runs so many times faster, so that a child that a test has killed is replaced at once.
HASTE = 50


class Crew:
    """Processes of a kind, workers mostly; a context manager that starts and stops them.

    Args:
        environ: Their environment. With a variable of `launch` they are changed as it says.
        count: How many.
        grace_s: Seconds that they have to end.
        module: What they run, with its arguments: `python -m` this.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        count: int = 2,
        *,
        grace_s: float = 40.0,
        module: Sequence[str] = ("flowlang.app",),
    ) -> None:
        self.events: list[ChildEvent] = []
        self._pids: dict[str, int] = {}
        changed = any(name in environ for name in launch.VARIABLES)
        argv = (sys.executable, launch.__file__) if changed else (sys.executable, "-m", *module)
        self._supervisor = Supervisor(
            [ChildSpec(f"{module[0]}-{number}", argv, environ) for number in range(count)],
            grace_s * HASTE,
            self._happened,
            clock=lambda: time.monotonic() * HASTE,
        )
        self._thread = threading.Thread(target=self._run, name="crew")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> list[int]:
        """Process ids of those that run."""
        return list(self._pids.values())

    def ends(self) -> list[int | None]:
        """Exit statuses of those that have ended so far."""
        return [event.returncode for event in self.events if event.kind == "exited"]

    def stop(self) -> list[int | None]:
        """Ask all to end in order, wait for it, and return their exit statuses."""
        already = len(self.events)
        if self._thread.is_alive():
            self._supervisor.request_stop()
            self._thread.join(PATIENCE_S)
            if self._thread.is_alive():
                for pid in self.pids:
                    os.kill(pid, signal.SIGABRT)  # it says on its way out where its threads stand
                self._thread.join()
                raise AssertionError("a process did not stop; where its threads stood is in what was printed")
        return [event.returncode for event in self.events[already:] if event.kind == "exited"]

    def freeze(self, pid: int) -> bool:
        """Hold a process still; False when it has ended."""
        try:
            os.kill(pid, signal.SIGSTOP)
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        except (ProcessLookupError, ChildProcessError):
            return False
        return ended is not None and ended.si_code == os.CLD_STOPPED

    def thaw(self, pid: int) -> None:
        """Let it go on."""
        os.kill(pid, signal.SIGCONT)

    def kill(self, pid: int) -> None:
        """Kill a process as a crash would, and wait until it has been replaced."""
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in self.pids, f"the end of process {pid}")

    def _run(self) -> None:
        # Children are tied to the thread that starts them, so this one does it and lives as long as they do.
        self._supervisor.start()
        while self._supervisor.poll():
            pass
        self._supervisor.stop()

    def _happened(self, event: ChildEvent) -> None:
        self.events.append(event)
        if event.kind == "started" and event.pid is not None:
            self._pids[event.name] = event.pid
        elif event.kind == "exited":
            with contextlib.suppress(KeyError):
                del self._pids[event.name]
