"""What a power cut leaves of events that a sender was told are on the disk, by the word of the operating system.

`strace` writes down when the server wrote how much to its file and when a sync of it had ended. What was written after
the last sync that had ended is what a power cut takes. So the file is cut there, for the moment of each answer, and a
server is asked which of the events that were answered until then it has. A server whose word cannot be trusted is
refused at the deploy, and nothing is sent to it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flowlang import bootstrap
from flowlang.errors import ConfigError
from flowlang.plan import Manifest
from flowlang.service import IncomingEvent, NotFoundError, Service
from flowlang.settings import Settings
from flowlang.worker.embedded import EmbeddedServer, find_binary
from tests.e2e.waiting import until
from tests.unit.engine.building import plan, uses

#: Senders at a time: a sync comes once a second, and answers all who wait for it.
SENDERS = 8

_WRAPPER = """#!/bin/sh
exec {strace} -D -f -y -q -s 0 -ttt -T -e trace=write,fdatasync,fsync -o {log} {binary} "$@"
"""
_LINE = re.compile(r"^(?P<pid>\d+) +(?P<at>\d+\.\d+) (?P<rest>.*)$")


@dataclass(frozen=True, slots=True)
class Loss:
    """What was found.

    Attributes:
        acknowledged: Events whose senders were told that they are on the disk.
        lost: Of these, what a power cut at the moment of any answer takes.
        unsynced: Bytes that these cuts take, together: without any, nothing would be shown.
    """

    acknowledged: int
    lost: int
    unsynced: int


def can_be_measured() -> bool:
    """Whether there is a witness."""
    return shutil.which("strace") is not None


def measure_loss(events: int, appendfsync: str) -> Loss | None:
    """Send so many events to a store with `durable: fsync`, and cut the power at each answer.

    Args:
        events: How many.
        appendfsync: Of the server.

    Returns:
        What was lost; None when the server was refused.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            answered = _send(folder, events, appendfsync)
        except ConfigError:
            return None
        (file,) = (folder / "data" / "appendonlydir").glob("*.incr.aof")
        size = file.stat().st_size
        log = folder / "strace.log"
        until(lambda: _written(log) == size, "the last line of strace")
        syncs = list(_syncs(log))
        synced = {at: max((upto for end, upto in syncs if end <= at), default=0) for at, _ in answered}
        lost: set[str] = set()
        for upto in sorted(set(synced.values())):
            until_then = max(at for at in synced if synced[at] == upto)
            lost |= _missing(folder, upto, [event for at, event in answered if at <= until_then])
        return Loss(len(answered), len(lost), sum(size - upto for upto in set(synced.values())))


def _send(folder: Path, events: int, appendfsync: str) -> list[tuple[float, str]]:
    """Send events from several threads; when each was answered, and its id in the store."""
    wrapper = folder / "valkey-server"
    wrapper.write_text(
        _WRAPPER.format(strace=shutil.which("strace"), log=folder / "strace.log", binary=find_binary()),
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    made = plan(uses("a", "work"), pipeline="p", on="shop/order")
    answered: list[tuple[float, str]] = []
    with (
        EmbeddedServer(folder / "data", binary=wrapper, appendfsync=appendfsync) as server,
        bootstrap.open_service(_settings(server)) as service,
    ):
        service.deploy(Manifest("proof", {"p": made.digest}, durable="fsync"), [made])

        def send(count: int) -> None:
            for number in range(count):
                (answer,) = service.ingest([IncomingEvent(name="shop/order", data={"n": number})])
                answered.append((time.time(), answer.event))

        threads = [threading.Thread(target=send, args=(-(-events // SENDERS),)) for _ in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.kill()
    return sorted(answered)


def _missing(folder: Path, upto: int, events: list[str]) -> set[str]:
    """The events that a server does not have which starts on the first bytes of the file."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "data" / "appendonlydir", copy / "appendonlydir")
    (file,) = (copy / "appendonlydir").glob("*.incr.aof")
    with file.open("r+b") as content:
        content.truncate(upto)
    with EmbeddedServer(copy) as server, bootstrap.open_service(_settings(server)) as service:
        return {event for event in events if not _has(service, event)}


def _has(service: Service, event: str) -> bool:
    try:
        return bool(service.event(event).runs)
    except NotFoundError:
        return False


def _settings(server: EmbeddedServer) -> Settings:
    return Settings.from_env({"FLOWLANG_REDIS_URL": server.url})


def _calls(log: Path) -> Iterator[tuple[float, str, str, str]]:
    """Calls on the server's file: when, whose, how the line begins, and the rest of it."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        found = _LINE.match(line)
        if found is not None and (".incr.aof" in found["rest"] or found["rest"].startswith("<...")):
            yield float(found["at"]), found["pid"], found["rest"].partition("(")[0], found["rest"]


def _written(log: Path) -> int:
    """Bytes written to the file."""
    return max((total for _, total in _totals(log)), default=0)


def _totals(log: Path) -> Iterator[tuple[float, int]]:
    """When the file had how many bytes; a call's time is that of its beginning."""
    total, open_writes = 0, set()
    for at, pid, call, rest in _calls(log):
        if call == "write" and "unfinished" in rest:
            open_writes.add(pid)
        elif call == "write" or (rest.startswith("<... write resumed") and pid in open_writes):
            open_writes.discard(pid)
            total += int(rest.rpartition("= ")[2].split()[0])
            yield at, total


def _syncs(log: Path) -> Iterator[tuple[float, int]]:
    """When a sync had ended, and how many bytes the file had when it began."""
    totals = list(_totals(log))

    def upto(at: float) -> int:
        return max((total for when, total in totals if when < at), default=0)

    begun: dict[str, float] = {}
    for at, pid, call, rest in _calls(log):
        if call in {"fdatasync", "fsync"} and "unfinished" in rest:
            begun[pid] = at
        elif call in {"fdatasync", "fsync"}:
            yield at + float(rest.rpartition("<")[2].rstrip(">")), upto(at)
        elif "sync resumed" in rest and pid in begun:
            yield at, upto(begun.pop(pid))
