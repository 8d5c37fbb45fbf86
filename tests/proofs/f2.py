"""F2: at each crash point a process is killed, fails, stands still or loses an answer, and everything ends as it must."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from flowlang.crashpoints import NOTES_VARIABLE, VARIABLE
from flowlang.crashpoints.armed import ACTIONS, Notes, Strike
from flowlang.crashpoints.catalog import CATALOG
from tests.e2e.waiting import until
from tests.faults.expected import Runs, actual, counted, differences, expected, faults
from tests.faults.stage import Stage
from tests.faults.workload import PATIENCE_S, ROUNDS, Thawer, Work
from tests.proofs.figure import Figure, Proof, Say

LEASE_S = 2
#: Strikes that a world has, each at another label.
A_WORLD = 16
#: A pair of rounds is added while something has not been struck, or a label not been passed in any world, which needs an
#: accident of time (a process that was struck down hands nothing back): up to so many.
MOST_ROUNDS = 6
#: Labels that are passed so often that they may be struck later than at first.
OFTEN = frozenset(
    {
        "accepting",
        "committing",
        "claiming",
        "emitting",
        "finishing",
        "timing",
        "accept",
        "writer",
        "hint",
        "broker.hinted",
        "consumer.rung",
        "sweep.due",
        "sweep.done",
        "manifest",
    }
)
#: The latest passing at which those are struck.
LATEST = 4


@dataclass
class World:
    """What came of one world.

    Attributes:
        strikes: What was to happen.
        struck: What has.
        passed: Labels.
        faults: What is not as it must be.
    """

    strikes: list[Strike]
    struck: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def strikes(rng: Random) -> list[Strike]:
    """Every label with every action, in an order that is drawn: each label comes once before any comes again."""
    labels = list(CATALOG)
    rng.shuffle(labels)
    first = rng.randrange(len(ACTIONS))
    found = []
    for turn in range(len(ACTIONS)):
        for at, label in enumerate(labels):
            often = label in OFTEN or label.partition(".")[0] in OFTEN
            nth = rng.randint(1, LATEST) if often else 1
            found.append(Strike(label, nth, ACTIONS[(first + turn + at) % len(ACTIONS)]))
    return found


def worlds(wanted: list[Strike]) -> Iterator[list[Strike]]:
    """Deal strikes out to worlds, no label twice in one."""
    left = list(wanted)
    while left:
        world: dict[str, Strike] = {}
        for strike in left:
            if len(world) < A_WORLD:
                world.setdefault(strike.label, strike)
        yield list(world.values())
        left = [strike for strike in left if world.get(strike.label) is not strike]


def live(world: World, folder: Path, wanted: set[str]) -> None:
    """Let a world do its work while it is struck, and see what has come of it; it is to pass the labels that are wanted."""
    notes = Notes(folder / "notes")

    def is_over() -> bool:
        return len(notes.struck()) == len(world.strikes) and wanted <= notes.passed().keys()

    armed = {VARIABLE: ",".join(map(str, world.strikes)), NOTES_VARIABLE: str(notes.folder)}
    stage = Stage(
        folder,
        workers=2,
        supervised=True,
        armed=armed,
        appendfsync="always",
        LEASE=f"{LEASE_S}s",
        SHUTDOWN="1s",
        LOG_LEVEL="warning",
        ENV="durable",
    )
    with stage, Thawer(notes.struck, 2 * LEASE_S):
        work = Work(stage)
        try:
            rounds = _work(stage, work, is_over)
            stage.crew.stop()
            stage.http.stop()
            world.faults += faults(stage, expected(rounds, steered=rounds, stopped=range(0, rounds, ROUNDS)))
        except AssertionError as error:
            world.faults.append(str(error))
        finally:
            work.close()
            if world.faults:
                world.faults.append(stage.said())
    world.struck = set(notes.struck())
    world.passed = set(notes.passed())


def _work(stage: Stage, work: Work, is_over: Callable[[], bool]) -> int:
    """Do rounds in pairs until it is over; returns how many."""
    rounds = 0
    while rounds == 0 or (rounds < MOST_ROUNDS and not is_over()):
        for _ in range(ROUNDS):
            _round(stage, work, rounds)
            rounds += 1
    until(lambda: _is_heard(stage), "the outcomes of all runs", patience_s=PATIENCE_S, every_s=0.1)
    return rounds


def _round(stage: Stage, work: Work, round_: int) -> None:
    before, after = range(0, round_, ROUNDS), range(0, round_ + 1, ROUNDS)
    work.send_round(round_)
    _settle(stage, expected(round_ + 1, steered=round_, stopped=before))
    work.cancel_families()
    work.operate()
    if round_ in after:
        work.replay_a_call(round_)
        work.stop_in_slow_work(round_)
    _settle(stage, expected(round_ + 1, steered=round_ + 1, stopped=after))


def _settle(stage: Stage, wanted: Runs) -> None:
    left: list[str] = []

    def settled() -> bool:
        left[:] = differences(counted(actual(stage)), wanted)
        return not left

    try:
        until(settled, "the end of a round", patience_s=PATIENCE_S, every_s=0.2)
    except AssertionError as error:
        raise AssertionError("; ".join([str(error), *left])) from None


def _is_heard(stage: Stage) -> bool:
    runs = {row.id for rows in actual(stage).values() for row, _ in rows}
    return runs <= {str(event.data["run"]) for row, event in stage.rows("heard") if row.status == "succeeded"}


def measure(size: int, seed: int, say: Say) -> Figure:
    """Strike so many times, and count what does not converge."""
    rng = Random(seed)
    wanted = strikes(rng)[:size]
    lived: list[World] = []
    unseen = set(CATALOG)
    for chosen in worlds(wanted):
        world = World(chosen)
        with tempfile.TemporaryDirectory(prefix="flowlang-f2-") as folder:
            live(world, Path(folder), unseen)
        lived.append(world)
        unseen -= world.passed
        missed = sorted({str(strike) for strike in chosen} - world.struck)
        done = sum(len(each.struck) for each in lived)
        say(
            f"{done} of {len(wanted)} struck; {len(world.faults)} faults here"
            + (f"; not struck: {missed}" if missed else "")
        )
        for fault in world.faults[:10]:
            say(f"  {fault} (struck by {', '.join(sorted(world.struck))})" if fault is not world.faults[-1] else fault)
    struck = sum(len(world.struck) for world in lived)
    converged = sum(len(world.struck) for world in lived if not world.faults)
    text = (
        f"{converged}/{len(wanted)} strikes converge ({len({strike.label for strike in wanted})} of {len(CATALOG)} labels, "
        f"{len(ACTIONS)} actions, {len(lived)} worlds, {struck} struck); labels that the work never passes: {sorted(unseen) or 'none'}"
    )
    return Figure(text, holds=converged == struck == len(wanted) and not unseen)


PROOF = Proof(
    "F2",
    f"every crash point ({len(CATALOG)}) x every action ({len(ACTIONS)}) converges",
    measure,
    small=12,
    full=len(CATALOG) * len(ACTIONS),
)
