"""F3: a model of the store, and all orders in which workers can get in each other's way.

Three ways to look for what nobody has thought of (failure model, how to test it, 3 and 4):

- Hypothesis drives a real server and a model side by side (`tests/property/store_machine.py`): accepts and duplicates,
  claims, commits, failures with their timers, late holders, lost doorbells, repeated flushes, events before and after
  waits, groups with their joins, cancels, ended leases, killed servers, cut files. Every answer is held to the model;
  `fsck` says that the indexes agree and that nothing is stuck.
- All orders of three workers with four transitions each (`tests/property/interleavings.py`), in memory, and some of
  them on the server.
- The deterministic simulation of the interpreter, on virtual time with a seeded scheduler, is part of the suite by
  itself: `tests/property/test_engine.py`, with random plans, crashes before and after flushes, and cancels at any turn;
  `fsck` looks after each flush.
"""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from flowlang.engine.ops import ClaimRequest, Op, Reply
from flowlang.engine.ports import FlushId
from flowlang.engine.reference import Partition
from flowlang.engine.reference.fsck import check
from tests.proofs.figure import Figure, Proof, Say
from tests.property.interleavings import DEPLOY, PROGRAMS, Play, orders
from tests.property.store_machine import Ground, run_machine

#: Histories that one seed makes.
HISTORIES = 100

#: One order of so many is played on the server, too.
SERVER_SHARE = 50


def measure(size: int, seed: int, say: Say) -> Figure:
    """Take at least so many steps with the model, and play all orders."""
    with tempfile.TemporaryDirectory() as name:
        ground = Ground(Path(name))
        part, wrong = 0, ""
        try:
            while ground.steps < size and not wrong:
                part += 1
                wrong = _play(ground, seed * 1_000_000 + part, say)
                if part % 100 == 0:
                    say(f"{ground.steps:,} steps, {ground.histories:,} histories")
            in_memory = 0 if wrong else _orders_in_memory()
            on_server = 0 if wrong else _orders_on_server(ground)
        finally:
            ground.close()
    seeds = f"seeds {seed * 1_000_000 + 1} to {seed * 1_000_000 + part}"
    text = (
        f"{ground.steps:,} model steps in {ground.histories:,} histories ({seeds}): {ground.commits:,} commits taken, "
        f"{ground.refused:,} late ones refused, {ground.restarts} servers killed, {ground.cuts} files cut, "
        f"{ground.checks:,} times clean to fsck; {in_memory:,} orders of 3 workers x 4 transitions in memory, "
        f"{on_server} of them on the server"
    )
    return Figure(text + (f"; {wrong}" if wrong else ""), not wrong)


def _play(ground: Ground, seed: int, say: Say) -> str:
    """Play the histories of one seed; says what is wrong."""
    try:
        run_machine(ground, HISTORIES, seed)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the figure
        say("".join(traceback.format_exception(error)))
        return f"wrong with seed {seed}: {type(error).__name__}: {error}"
    return ""


def _orders_in_memory() -> int:
    played = 0
    for program in PROGRAMS:
        for number, order in enumerate(orders()):
            memory = _Memory()
            memory.apply(FlushId("deploy", 1), [DEPLOY], None)
            Play(memory.apply, memory.advance, f"o{number}").run(program, order)
            played += 1
            if number % SERVER_SHARE == 0:
                assert check(memory.partition._tables) == []
    return played


def _orders_on_server(ground: Ground) -> int:
    ground.empty()
    played = 0
    for number, program in enumerate(PROGRAMS):
        for order in list(orders())[::SERVER_SHARE]:
            Play(ground.store.apply, ground.advance, f"s{number}-{played}").run(program, order)
            played += 1
    ground.check()
    return played


class _Memory:
    """The reference with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.partition = Partition()
        self.now_ms = 1_000

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None) -> Reply:
        return self.partition.apply(flush, ops, claim, now_ms=self.now_ms)

    def advance(self, by_ms: int) -> None:
        self.now_ms += by_ms


PROOF = Proof(
    name="F3",
    claim="a model and the store agree at every step, whoever comes late, crashes, repeats or is cut off",
    measure=measure,
    small=20_000,
    full=1_000_000,
)
