"""The supervisor of `flowlang worker`: keeps N child processes alive, and ends them all in order.

Dramatiq's own master ends every child when one dies. Here a child that dies is replaced and its siblings do not notice;
one that dies again and again at once is replaced more and more slowly, and one that asks for it (`REPLACE_ME`) at once.
A stop is asked for with SIGTERM and enforced with SIGKILL after a grace time. No child outlives the supervisor: on
Linux each is tied to it (`tether`), and what a child itself has started lies in its process group and goes with it.

Owns processes and signals only. What the children do, and what is printed about them, is the caller's.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from flowlang.crashpoints import crashpoint
from flowlang.worker.tether import tethered

#: A child that lived this long (seconds) is replaced at once when it dies; its earlier deaths are forgotten.
STABLE_S = 10.0

#: Wait before the second replacement in a row (seconds); it doubles with each further one.
FIRST_DELAY_S = 0.5

#: Longest wait before a replacement (seconds).
LONGEST_DELAY_S = 30.0

#: Exit status of a child that cannot go on and is to be replaced at once, however short it has lived.
REPLACE_ME = 75

#: How often children are looked at where the system cannot report their end (seconds).
_LOOK_S = 0.2

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

EventKind = Literal["started", "exited", "delayed", "stopping", "killed", "failed"]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to keep running.

    Args:
        name: Unique name, for events and `pids`.
        argv: Program and arguments.
        env: The whole environment; None passes on ours.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ChildEvent:
    """Something that happened to a child.

    Args:
        kind: `started`; `exited` by itself or as asked; `delayed`: dies too often, so its replacement waits;
            `stopping`: was asked to end; `killed`: did not end in time; `failed`: could not be started at all.
        name: The child's name.
        pid: Its process id; None when it has none.
        returncode: For `exited`: exit status, or minus the number of the signal that ended it.
        delay_s: For `delayed` and `failed`: seconds until the next start.
    """

    kind: EventKind
    name: str
    pid: int | None = None
    returncode: int | None = None
    delay_s: float = 0.0


def restart_delay(failures: int) -> float:
    """Say how long to wait before a replacement.

    Args:
        failures: Deaths in a row of children that had not lived `STABLE_S`.

    Returns:
        Seconds; nothing for the first one.
    """
    if failures <= 1:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 2, 16), LONGEST_DELAY_S)


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes] | None = None
    pidfd: int | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0


class Supervisor:
    """Keeps one process running for each command.

    Call `start`, `poll` and `stop` from one thread, which must live as long as the children. `request_stop` may be
    called from any thread and from a signal handler.

    Args:
        commands: What to run; names are unique.
        grace: Seconds that children have to end after they were asked to; then they are killed.
        on_event: Called in the supervisor's thread for each thing that happens.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        commands: Sequence[ChildSpec],
        grace: float = 30.0,
        on_event: Callable[[ChildEvent], None] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if len({spec.name for spec in commands}) != len(commands):
            raise ValueError("children need different names")
        self._children = [_Child(spec) for spec in commands]
        self._grace = grace
        self._on_event = on_event
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = _pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._asked = 0
        self._deadline: float | None = None
        self._enforced = False
        self._closed = False

    def start(self) -> None:
        """Start all children."""
        for child in self._children:
            self._spawn(child)

    def poll(self, timeout: float | None = None) -> bool:
        """Wait until something happens, and do what it asks for: replace, stop, kill.

        Args:
            timeout: Longest wait in seconds; None waits as long as nothing happens.

        Returns:
            Whether there is still something to look after; False once a requested stop is complete.
        """
        self._obey()
        if self._is_complete():
            return False
        for key, _ in self._selector.select(self._wait_time(timeout)):
            if key.fd == self._wake_read:
                self._read_wakes()
        self._obey()
        self._reap()
        self._replace()
        self._enforce()
        return not self._is_complete()

    def stop(self) -> bool:
        """Ask all children to end, wait for them, kill those that are late; afterwards the supervisor is closed.

        Returns:
            Whether all ended without being killed.
        """
        if not self._closed:
            if not self._asked:  # asking again would mean: at once
                self.request_stop()
            while self.poll():
                pass
            self._close()
        return not self._enforced

    def request_stop(self) -> None:
        """Ask for the end: the first time in order, the second time at once. `poll` carries it out."""
        self._asked += 1
        self._wake(0)

    def pids(self) -> dict[str, int]:
        """Tell the process ids of the children that run, by name."""
        return {child.spec.name: child.process.pid for child in self._children if child.process}

    def run(self) -> int:
        """Start, look after the children until SIGTERM or SIGINT, stop. Main thread only; a second signal kills.

        Returns:
            Exit status: 0 when all children ended by themselves when they were asked to, 1 when one had to be killed.
        """
        with self._listening():
            self.start()
            while self.poll():
                pass
            self._close()
        return int(self._enforced)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Turn stop signals into bytes on our pipe, so that no code runs in a handler."""

        def heard(_signum: int, _frame: FrameType | None) -> None:
            """Let the interpreter write the signal's number to the pipe; that is all."""

        before = {signum: signal.signal(signum, heard) for signum in _STOP_SIGNALS}
        wakeup_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def _spawn(self, child: _Child) -> None:
        try:
            child.process = subprocess.Popen(  # noqa: S603 - the caller's own command line
                tethered(child.spec.argv, signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                env=child.spec.env,
                process_group=0,  # Ctrl-C is for us, and what the child starts can be ended with it
            )
        except OSError:
            child.failures += 1
            delay = max(restart_delay(child.failures), FIRST_DELAY_S)
            child.due = self._clock() + delay
            self._tell("failed", child, delay_s=delay)
            return
        crashpoint("supervisor.spawned")
        child.started = self._clock()
        child.pidfd = _open_pidfd(child.process.pid)
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ)
        self._tell("started", child)

    def _wait_time(self, timeout: float | None) -> float | None:
        now = self._clock()
        times = [] if timeout is None else [timeout]
        if self._deadline is not None:
            if not self._enforced:
                times.append(self._deadline - now)
        else:
            times += [child.due - now for child in self._children if child.process is None]
        if any(child.process and child.pidfd is None for child in self._children):
            times.append(_LOOK_S)
        return max(0.0, min(times)) if times else None

    def _read_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            # Zeros come from `request_stop`, which has counted itself; the rest are the numbers of signals.
            self._asked += sum(1 for byte in os.read(self._wake_read, 4096) if byte in _STOP_SIGNALS)

    def _is_complete(self) -> bool:
        return self._deadline is not None and not any(child.process for child in self._children)

    def _obey(self) -> None:
        """Begin what was asked for since the last look."""
        if self._asked and self._deadline is None:
            crashpoint("supervisor.stopping")
            self._deadline = self._clock() + self._grace
            for child in self._children:
                if child.process:
                    self._tell("stopping", child)
                    # Popen.send_signal would collect a child that has just ended, and its end would not be seen.
                    os.kill(child.process.pid, signal.SIGTERM)
        if self._asked > 1 and self._deadline is not None:
            self._deadline = min(self._deadline, self._clock())

    def _reap(self) -> None:
        for child in self._children:
            if child.process and _has_ended(child.process):
                self._bury(child, child.process)

    def _bury(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        crashpoint("supervisor.died")
        # The group is ended before the child is waited for: until then nobody else can get its number.
        _kill_group(process.pid)
        returncode = process.wait()
        if child.pidfd is not None:
            self._selector.unregister(child.pidfd)
            os.close(child.pidfd)
        child.process, child.pidfd = None, None
        crashpoint("supervisor.buried")
        now = self._clock()
        short = now - child.started < STABLE_S and returncode != REPLACE_ME
        child.failures = child.failures + 1 if short else 0
        delay = restart_delay(child.failures)
        child.due = now + delay
        self._on_event(ChildEvent("exited", child.spec.name, process.pid, returncode))
        if delay and self._deadline is None:
            self._tell("delayed", child, delay_s=delay)

    def _replace(self) -> None:
        if self._deadline is None:
            for child in self._children:
                if child.process is None and child.due <= self._clock():
                    self._spawn(child)

    def _enforce(self) -> None:
        if self._deadline is None or self._enforced or self._clock() < self._deadline:
            return
        for child in self._children:
            if child.process:
                self._enforced = True
                self._tell("killed", child)
                _kill_group(child.process.pid)

    def _tell(self, kind: EventKind, child: _Child, *, delay_s: float = 0.0) -> None:
        self._on_event(ChildEvent(kind, child.spec.name, child.process.pid if child.process else None, None, delay_s))

    def _wake(self, byte: int) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._wake_write, bytes([byte]))

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Look whether a child has ended, leaving its number taken where the system can do that."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else in this process collected it
        return True


def _kill_group(pid: int) -> None:
    # macOS refuses to signal a group of which only the dead child is left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _open_pidfd(pid: int) -> int | None:
    """Open a descriptor that becomes readable when the process ends, where the system has that."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or a sandbox that forbids it
        return None


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
