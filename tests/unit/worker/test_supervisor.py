"""The supervisor replaces what dies, leaves the rest alone, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from flowlang.worker import supervisor as module
from flowlang.worker.supervisor import ChildEvent, ChildSpec, Supervisor, restart_delay

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the tests watch processes as only Linux can")

#: Longest wait for a process to do what it must; reached only by a failure.
PATIENCE = 30.0

#: A child that says when it listens and ends in order at SIGTERM.
POLITE = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
os.write(os.open(sys.argv[1], os.O_WRONLY), b"r")
while True:
    signal.pause()
"""

#: A child that hears SIGTERM and goes on.
STUBBORN = POLITE.replace("sys.exit(0)", "None")

#: A child with a child of its own, whose pid it tells.
PARENT = """
import os, signal, subprocess, sys
inner = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
os.write(os.open(sys.argv[1], os.O_WRONLY), b"%d\\n" % inner.pid)
signal.pause()
"""


class Make(Protocol):
    """Makes a supervisor of (name, code) pairs."""

    def __call__(
        self, *children: tuple[str, str], grace: float = ..., clock: Callable[[], float] = ...
    ) -> Supervisor: ...


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """Keeps events, and tells how many of a kind there were."""

    def __init__(self) -> None:
        self.events: list[ChildEvent] = []

    def __call__(self, event: ChildEvent) -> None:
        self.events.append(event)

    def of(self, kind: str, name: str | None = None) -> list[ChildEvent]:
        return [event for event in self.events if event.kind == kind and name in (None, event.name)]

    def delayed_by(self, seconds: float) -> bool:
        return any(event.delay_s == seconds for event in self.of("delayed"))

    def has_started(self, times: int) -> bool:
        return len(self.of("started")) == times


@dataclass(frozen=True)
class Ready:
    """A named pipe on which children say that they are ready, and our end of it."""

    path: Path
    fd: int

    def wait_for(self, count: int) -> None:
        _read(self.fd, count)


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Ready]:
    os.mkfifo(tmp_path / "ready")
    # Open for both directions, so that it neither blocks without a child nor ends with one.
    fd = os.open(tmp_path / "ready", os.O_RDWR)
    yield Ready(tmp_path / "ready", fd)
    os.close(fd)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def supervise(ready: Ready, recorder: Recorder) -> Iterator[Make]:
    """Make supervisors of Python children and see to it that none is left."""
    made: list[Supervisor] = []

    def make(
        *children: tuple[str, str], grace: float = PATIENCE, clock: Callable[[], float] = time.monotonic
    ) -> Supervisor:
        specs = [ChildSpec(name, (sys.executable, "-c", code, str(ready.path))) for name, code in children]
        made.append(Supervisor(specs, grace, recorder, clock=clock))
        return made[-1]

    yield make
    for supervisor in made:
        for pid in supervisor.pids().values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        supervisor.stop()


def _read(fd: int, count: int) -> bytes:
    got = b""
    while len(got) < count:
        assert select.select([fd], [], [], PATIENCE)[0], f"children did not get ready: {got!r}"
        got += os.read(fd, count - len(got))
    return got


def _poll_until(supervisor: Supervisor, done: Callable[[], object]) -> None:
    waiter = iter(range(200))
    while not done():
        assert next(waiter, None) is not None, "the supervisor did not get there"
        supervisor.poll(PATIENCE)


def _wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended, also when nobody collects it."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([end], [], [], PATIENCE)[0], f"process {pid} is still there"
    finally:
        os.close(end)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (7, 16.0), (8, 30.0), (10_000, 30.0)]
)
def test_replacements_in_a_row_come_more_and_more_slowly(failures: int, seconds: float) -> None:
    assert restart_delay(failures) == seconds


@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "looking"])
def test_a_killed_child_is_replaced_and_its_sibling_keeps_its_process(
    supervise: Make,
    ready: Ready,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    pidfd: bool,
) -> None:
    if not pidfd:
        monkeypatch.setattr(module, "_open_pidfd", lambda _: None)
    supervisor = supervise(("a", POLITE), ("b", POLITE))
    supervisor.start()
    ready.wait_for(2)
    before = supervisor.pids()
    os.kill(before["a"], signal.SIGKILL)
    _poll_until(supervisor, lambda: len(recorder.of("started", "a")) == 2)
    ready.wait_for(1)
    after = supervisor.pids()
    assert after["b"] == before["b"]
    assert after["a"] != before["a"]
    assert [event.returncode for event in recorder.of("exited")] == [-signal.SIGKILL]
    assert supervisor.stop()
    assert supervisor.pids() == {}


def test_a_child_that_dies_at_once_waits_longer_each_time_and_others_do_not(
    supervise: Make, ready: Ready, recorder: Recorder
) -> None:
    clock = Clock()
    supervisor = supervise(("bad", "raise SystemExit(3)"), ("good", POLITE), clock=clock)
    supervisor.start()
    ready.wait_for(1)
    good = supervisor.pids()["good"]
    for delay in (0.5, 1.0, 2.0):
        _poll_until(supervisor, partial(recorder.delayed_by, delay))
        starts = len(recorder.of("started", "bad"))
        supervisor.poll(0)
        assert len(recorder.of("started", "bad")) == starts, "it was started before its time"
        clock.now += delay
        supervisor.poll(0)
        assert len(recorder.of("started", "bad")) == starts + 1
    assert {event.returncode for event in recorder.of("exited")} == {3}
    assert supervisor.pids()["good"] == good


def test_a_child_that_had_lived_long_is_replaced_at_once(supervise: Make, ready: Ready, recorder: Recorder) -> None:
    clock = Clock()
    supervisor = supervise(("a", POLITE), clock=clock)
    supervisor.start()
    for generation in range(2, 6):
        ready.wait_for(1)
        clock.now += module.STABLE_S
        os.kill(supervisor.pids()["a"], signal.SIGKILL)
        _poll_until(supervisor, partial(recorder.has_started, generation))
    assert recorder.of("delayed") == []


def test_a_child_that_asks_for_it_is_replaced_at_once_however_short_it_lived(
    supervise: Make, recorder: Recorder
) -> None:
    supervisor = supervise(("a", f"raise SystemExit({module.REPLACE_ME})"), clock=Clock())
    supervisor.start()
    _poll_until(supervisor, partial(recorder.has_started, 6))
    assert recorder.of("delayed") == []


def test_a_stop_lets_children_end_in_order(supervise: Make, ready: Ready, recorder: Recorder) -> None:
    supervisor = supervise(("a", POLITE), ("b", POLITE))
    supervisor.start()
    ready.wait_for(2)
    assert supervisor.stop()
    assert [event.returncode for event in recorder.of("exited")] == [0, 0]
    assert recorder.of("killed") == []
    assert supervisor.stop(), "stopping again is harmless"


def test_a_child_that_does_not_end_in_time_is_killed(supervise: Make, ready: Ready, recorder: Recorder) -> None:
    clock = Clock()
    supervisor = supervise(("polite", POLITE), ("stubborn", STUBBORN), grace=20, clock=clock)
    supervisor.start()
    ready.wait_for(2)
    supervisor.request_stop()
    _poll_until(supervisor, lambda: recorder.of("exited", "polite"))
    clock.now = 19.9
    assert supervisor.poll(0)
    assert recorder.of("killed") == []
    clock.now = 20.0
    assert not supervisor.stop()
    assert [event.name for event in recorder.of("killed")] == ["stubborn"]
    assert [event.returncode for event in recorder.of("exited", "stubborn")] == [-signal.SIGKILL]


def test_asking_a_second_time_kills_at_once(supervise: Make, ready: Ready, recorder: Recorder) -> None:
    supervisor = supervise(("stubborn", STUBBORN), clock=Clock())
    supervisor.start()
    ready.wait_for(1)
    supervisor.request_stop()
    assert supervisor.poll(0)
    supervisor.request_stop()
    assert not supervisor.stop()
    assert len(recorder.of("killed")) == 1


def test_another_thread_can_ask_for_the_end(supervise: Make, ready: Ready) -> None:
    supervisor = supervise(("a", POLITE))
    supervisor.start()
    ready.wait_for(1)
    asker = threading.Thread(target=supervisor.request_stop)
    asker.start()
    while supervisor.poll(None):
        pass
    asker.join()
    assert supervisor.pids() == {}
    assert not supervisor.poll(None), "what is complete waits for nothing"


def test_nothing_is_replaced_while_stopping(supervise: Make, ready: Ready, recorder: Recorder) -> None:
    supervisor = supervise(("a", POLITE), ("b", STUBBORN), clock=Clock())
    supervisor.start()
    ready.wait_for(2)
    supervisor.request_stop()
    _poll_until(supervisor, lambda: recorder.of("exited", "a"))
    os.kill(supervisor.pids()["b"], signal.SIGKILL)
    supervisor.stop()
    assert len(recorder.of("started")) == 2


def test_a_child_that_ends_just_when_it_is_asked_to_is_seen_to_end(
    supervise: Make, ready: Ready, recorder: Recorder
) -> None:
    supervisor = supervise(("a", POLITE), ("b", POLITE))
    supervisor.start()
    ready.wait_for(2)
    pid = supervisor.pids()["a"]
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    supervisor.request_stop()
    assert supervisor.stop()
    assert [event.returncode for event in recorder.of("exited", "a")] == [-signal.SIGKILL]


def test_a_child_that_somebody_else_collected_is_replaced_too(
    supervise: Make, ready: Ready, recorder: Recorder
) -> None:
    supervisor = supervise(("a", POLITE))
    supervisor.start()
    ready.wait_for(1)
    pid = supervisor.pids()["a"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    _poll_until(supervisor, partial(recorder.has_started, 2))


def test_what_a_killed_child_had_started_goes_with_it(supervise: Make, ready: Ready, recorder: Recorder) -> None:
    supervisor = supervise(("a", PARENT))
    supervisor.start()
    with os.fdopen(os.dup(ready.fd)) as told:
        inner = int(told.readline())
    os.kill(supervisor.pids()["a"], signal.SIGKILL)
    _poll_until(supervisor, lambda: recorder.of("exited"))
    _wait_for_end(inner)


def test_a_program_that_is_not_there_is_tried_again_later_and_disturbs_nobody(
    supervise: Make, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without the tie to the parent, Popen itself finds out.
    monkeypatch.setattr(module, "tethered", lambda argv, _: ["/nonexistent/program", *argv])
    supervisor = supervise(("a", POLITE))
    supervisor.start()
    assert [event.kind for event in recorder.events] == ["failed"]
    assert recorder.events[0].delay_s > 0
    assert supervisor.poll(0)
    assert supervisor.pids() == {}
    assert supervisor.stop()


def test_children_need_different_names() -> None:
    with pytest.raises(ValueError, match="different names"):
        Supervisor([ChildSpec("a", ("true",)), ChildSpec("a", ("true",))])


#: A supervisor as a program: it tells its children's pids, one line for each start.
PROGRAM = """
import sys
from flowlang.worker.supervisor import ChildSpec, Supervisor
tell = lambda event: event.kind == "started" and print(event.name, event.pid, flush=True)
code = sys.argv[1]
sys.exit(Supervisor([ChildSpec(n, (sys.executable, "-c", code, sys.argv[3])) for n in "ab"], float(sys.argv[2]), tell).run())
"""


@contextlib.contextmanager
def _program(child: str, ready: Ready, *, grace: float) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, child, str(grace), str(ready.path)], stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        pids = [int(program.stdout.readline().split()[1]) for _ in "ab"]
        ready.wait_for(2)
        try:
            yield program, pids
        finally:
            program.kill()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_stops_the_whole_program_in_order(signum: signal.Signals, ready: Ready) -> None:
    with _program(POLITE, ready, grace=PATIENCE) as (program, pids):
        program.send_signal(signum)
        assert program.wait(PATIENCE) == 0
        for pid in pids:
            _wait_for_end(pid)


def test_a_program_that_had_to_kill_says_so_by_its_status(ready: Ready) -> None:
    with _program(STUBBORN, ready, grace=0.1) as (program, pids):
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE) == 1
        for pid in pids:
            _wait_for_end(pid)


def test_a_killed_supervisor_leaves_no_child(ready: Ready) -> None:
    with _program(STUBBORN, ready, grace=PATIENCE) as (program, pids):
        program.kill()
        assert program.wait(PATIENCE) == -signal.SIGKILL
        for pid in pids:
            _wait_for_end(pid)
