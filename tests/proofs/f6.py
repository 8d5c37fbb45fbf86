"""F6: the append-only file is cut at random bytes, as a power cut does it.

A history of real turns is written to a server's file. For each cut a server starts on a copy that ends there. What it
holds must be what the reference holds after the last flush that is whole before the cut, to the byte: a prefix of the
history, nothing of a flush that is half there, and nothing that was acknowledged before is missing. Then `fsck` must
find nothing, and another process must bring all runs to their ends, each with one outcome event.

For `durable: fsync` see `fsynced`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from flowlang.engine.reference import Partition
from flowlang.store.fsck import check_server
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.proofs.figure import Figure, Proof, Say
from tests.proofs.fsynced import can_be_measured, measure_loss
from tests.proofs.histories import LIVE, History, Telling, Told

#: Steps of the history that is cut.
STEPS = 500

#: Events that are sent with `durable: fsync`, at least.
SYNCED = 24


@dataclass
class Counts:
    """How many cuts passed which part of the claim."""

    started: int = 0
    prefix: int = 0
    clean: int = 0
    ended: int = 0
    emptied: int = 0
    runs: int = 0
    wrong: str = ""

    def is_whole(self, cuts: int) -> bool:
        """Whether all cuts passed all parts."""
        return {self.started, self.prefix, self.clean, self.ended} == {cuts}


def measure(size: int, seed: int, say: Say) -> Figure:
    """Cut the file at so many bytes."""
    counts = Counts()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = _write_history(folder / "whole", seed)
        file = _aof(folder / "whole")
        whole = file.read_bytes()
        chance = Random(seed + 1)
        cuts = sorted(chance.randint(0, len(whole)) for _ in range(size))
        say(f"seed {seed}: {len(told)} flushes in {len(whole):,} bytes, cut at {size} of them")
        reference, flushes = Partition(), iter(told)
        ahead = next(flushes, None)
        server = _copy(folder)
        try:
            for number, cut in enumerate(cuts):
                while ahead is not None and ahead.size <= cut:
                    reference.apply(ahead.flush, ahead.ops, ahead.claim, now_ms=ahead.now_ms)
                    ahead = next(flushes, None)
                _look(server, folder, whole[:cut], reference, counts, number)
                if number % 100 == 99:
                    say(f"{number + 1} cuts: {counts}")
        finally:
            server.stop()
    text = (
        f"{counts.started:,}/{size:,} start, {counts.prefix:,} hold exactly the flushes before the cut, "
        f"{counts.clean:,} are clean to fsck, {counts.ended:,} bring all runs to their ends ({counts.runs:,} runs; "
        f"{counts.emptied} cuts left none)"
    )
    holds = counts.is_whole(size)
    for policy in ("everysec", "always") if can_be_measured() else ():
        loss = measure_loss(max(SYNCED, size // 5), policy)
        if loss is None:
            text += f"; `durable: fsync` refuses this server with {policy}"
            continue
        holds = holds and loss.lost == 0 and loss.unsynced > 0
        text += (
            f"; `durable: fsync` with {policy}: {loss.lost} of {loss.acknowledged:,} acknowledged events lost with all "
            f"that was not synced ({loss.unsynced:,} bytes)"
        )
    if not can_be_measured():
        text += "; `durable: fsync` was not measured: there is no strace here"
    return Figure(text + (f"; first failure: {counts.wrong}" if counts.wrong else ""), holds)


def _write_history(folder: Path, seed: int) -> list[Told]:
    """Write a history to a server that syncs nothing, so that its file grows with each answer; then kill it."""
    with EmbeddedServer(folder, appendfsync="no") as server:
        with _opened(server) as store:
            telling = Telling(store, "first-", lambda: _aof(folder).stat().st_size)
            history = History(telling, Random(seed))
            for _ in range(STEPS):
                history.step()
        server.kill()
        return telling.told


def _copy(folder: Path) -> EmbeddedServer:
    """A server of which only the file is replaced from cut to cut."""
    copy = folder / "copy"
    shutil.copytree(folder / "whole" / "appendonlydir", copy / "appendonlydir")
    return EmbeddedServer(copy, appendfsync="no")


def _look(server: EmbeddedServer, folder: Path, left: bytes, reference: Partition, counts: Counts, number: int) -> None:
    """Start on what is left of the file, compare, check, and go on."""
    shutil.rmtree(folder / "copy" / "appendonlydir")
    shutil.copytree(folder / "whole" / "appendonlydir", folder / "copy" / "appendonlydir")
    _aof(folder / "copy").write_bytes(left)
    server.start()
    counts.started += 1
    with _opened(server) as store:
        differs = _difference(store, reference)
        counts.prefix += not differs
        found = _fsck(server, store)
        counts.clean += not found
        history = History(Telling(store, f"after-{number}-"), Random(number))
        history.to_the_end()
        unended = _unended(store) or _fsck(server, store)
        counts.ended += not unended
        made = len(store.runs(pipeline="main", limit=100_000))
        counts.runs += made
        counts.emptied += not made
        if not counts.wrong and (differs or found or unended):
            counts.wrong = f"cut at {len(left)}: {differs or found or unended}"
    server.kill()


def _difference(store: RedisStore, reference: Partition) -> str:
    """Say what a store holds that the reference does not, or holds otherwise; empty when they are the same."""
    ours, theirs = store.runs(limit=100_000), reference.runs(limit=100_000)
    if ours != theirs:
        return f"{len(ours)} runs instead of {len(theirs)}, or others"
    for row in ours:
        if store.run(row.id) != reference.run(row.id):
            return f"run {row.id} is not as it was"
    if store.dead_letters(limit=100_000) != reference.dead_letters(limit=100_000):
        return "other dead letters"
    if (store.manifest(), store.versions()) != (reference.manifest(), reference.versions()):
        return "another manifest or other versions"
    return ""


def _fsck(server: EmbeddedServer, store: RedisStore) -> str:
    report = check_server(server.url, namespace="flowlang", now_ms=store.now_ms, pause=lambda _: None)
    return "; ".join(map(str, report.findings[:3]))


def _unended(store: RedisStore) -> str:
    """Say which run has not ended, or not told of it once; empty when all have."""
    for status in LIVE:
        for row in store.runs(status=status):
            return f"run {row.id} is {row.status}"
    ends = Counter(row.status for row in store.runs(pipeline="main", limit=100_000))
    for status in ("succeeded", "failed", "cancelled"):
        heard = len(store.runs(pipeline=f"on-{status}", limit=100_000))
        if heard != ends[status]:
            return f"{heard} outcome events for {ends[status]} runs that are {status}"
    return ""


@contextlib.contextmanager
def _opened(server: EmbeddedServer) -> Iterator[RedisStore]:
    with contextlib.closing(RedisStore(server.url, test_clock=True)) as store:
        yield store


def _aof(folder: Path) -> Path:
    """The file that grows; the other one has what was there before it."""
    (found,) = (folder / "appendonlydir").glob("*.incr.aof")
    return found


PROOF = Proof(
    name="F6",
    claim="the append-only file cut at any byte: it starts, fsck is clean, only the tail is lost, all runs end",
    measure=measure,
    small=25,
    full=1_000,
)
