"""What must come of `order` runs, worked out from their numbers alone, and what has come of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from flowlang.engine.ports import RunRow
from flowlang.engine.state import Event
from tests.e2e.ledger import Ledger, Place
from tests.e2e.world import checkpoints
from tests.faults.sender import Delivery
from tests.faults.stage import Stage, steady

FAN = 10
EACH = frozenset(f"each[{number}]" for number in range(FAN))
#: Instances that call a handler, and all that leave a checkpoint.
CALLS = frozenset({"first", "flaky", "left", "right", "last", "done"}) | EACH
CHECKPOINTS = CALLS | {"sides", "each", "joined", "go"}
#: Commits of a run that record something of a step: its checkpoints, and the attempt that fails.
COMMITS = len(CHECKPOINTS) + 1


def output(n: int) -> int:
    """What a run gives for its number: three calls count on, ten items are summed, two calls count on."""
    left = n + 3
    return sum(left + item + 1 for item in range(FAN)) + 2


def deliveries(size: int, *, doubled: float, careless: float, rng: Random) -> Iterator[Delivery]:
    """Orders and what they wait for.

    Args:
        size: How many are sent until they are answered.
        doubled: Share of deliveries that come twice.
        careless: Share of further orders, sent once, whether they are answered or not.
        rng: Chooses which.
    """
    careless_ones = round(size * careless)
    numbers = list(range(size + careless_ones))
    rng.shuffle(numbers)
    for n in numbers:
        copies = [int(rng.random() < doubled) for _ in range(2)]
        go = Delivery("faults/go", f"go-{n}", {"n": n}, copies=copies[0])
        yield Delivery(
            "faults/order",
            f"order-{n}",
            {"n": n},
            sure=n < size,
            then=(go,),
            late=rng.random() < 0.5,
            copies=copies[1] if n < size else 0,
        )


@dataclass
class Tally:
    """What was found.

    Attributes:
        runs: Of orders.
        lost: Answered orders without a run.
        stuck: Runs that have not ended.
        wrong: Runs that ended otherwise than the model says.
        doubled_runs: Numbers with more than one run.
        doubled_commits: Instances with more than one checkpoint.
        missing_commits: Instances without one.
        joins_once: Runs whose loop was joined once.
        outcomes_once: Runs whose outcome was heard of once.
        unheard: Runs whose outcome was heard of never or more than once.
        commits: Checkpoints and failed attempts.
        calls: Of handlers, by the ledger.
        odd_calls: That the model does not have, or has otherwise.
        uncalled: Instances that the model calls and the ledger does not know.
        beats: Ticks with a run.
        odd_beats: Ticks without a run, or with more than one.
        contradictions: That `flowlang fsck` finds in the store.
        examples: Some of what is wrong, in words.
    """

    runs: int = 0
    lost: int = 0
    stuck: int = 0
    wrong: int = 0
    doubled_runs: int = 0
    doubled_commits: int = 0
    missing_commits: int = 0
    joins_once: int = 0
    outcomes_once: int = 0
    unheard: int = 0
    commits: int = 0
    calls: int = 0
    odd_calls: int = 0
    uncalled: int = 0
    beats: int = 0
    odd_beats: int = 0
    contradictions: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        faults = (
            self.lost,
            self.stuck,
            self.wrong,
            self.doubled_runs,
            self.doubled_commits,
            self.missing_commits,
            self.unheard,
            self.odd_calls,
            self.uncalled,
            self.odd_beats,
            self.contradictions,
        )
        return not any(faults) and self.joins_once == self.outcomes_once == self.runs

    def say(self, fault: str, what: str, count: int = 1) -> None:
        """Count something that is wrong."""
        setattr(self, fault, getattr(self, fault) + count)
        if len(self.examples) < 20:
            self.examples.append(f"{fault}: {what}")


def tally(stage: Stage, answered: set[str], possible: set[str]) -> Tally:
    """Compare what there is with what must be.

    Args:
        stage: Where it is.
        answered: Ids of events that were answered as taken.
        possible: Ids of events that may have been taken all the same.
    """
    found = Tally()
    rows = stage.rows("order")
    found.runs = len(rows)
    _count_runs(found, rows, answered, possible)
    heard = Counter(str(event.data["run"]) for _, event in stage.rows("heard"))
    for row, event in rows:
        _check_run(found, stage, row, event, heard.pop(row.id, 0))
    for run, count in heard.items():
        found.say("unheard", f"the outcome of {run}, which is no run of an order, {count} times")
    _check_ledger(found, stage.world.ledger, {row.id for row, _ in rows})
    _check_beats(found, stage)
    for contradiction in stage.contradictions():
        found.say("contradictions", contradiction)
    return found


def _count_runs(found: Tally, rows: list[tuple[RunRow, Event]], answered: set[str], possible: set[str]) -> None:
    runs = Counter(event.id for _, event in rows)
    for ident in sorted(name for name in answered if name.startswith("order-")):
        if not runs[ident]:
            found.say("lost", ident)
    for ident, count in runs.items():
        if count > 1:
            found.say("doubled_runs", f"{ident} has {count} runs")
        if ident not in answered and ident not in possible:
            found.say("wrong", f"{ident} was never sent")


def _check_run(found: Tally, stage: Stage, row: RunRow, event: Event, heard: int) -> None:
    detail = steady(lambda: stage.world.service.run(row.id))
    if detail.run.status in {"pending", "running"}:
        found.say("stuck", f"{row.id} of {event.id} is {detail.run.status}")
        return
    expected = output(event.data["n"])
    if (detail.run.status, detail.output) != ("succeeded", expected):
        found.say("wrong", f"{row.id} of {event.id}: {detail.run.status}, {detail.output!r}, {detail.error}")
    counts = {step: count for (_, step), count in checkpoints([detail]).items()}
    for step in counts.keys() | CHECKPOINTS:
        count = counts.get(step, 0)
        if step not in CHECKPOINTS or count > 1:
            found.say("doubled_commits", f"{row.id} {step}: {count}")
        elif count == 0:
            found.say("missing_commits", f"{row.id} {step}")
    found.joins_once += counts.get("each") == 1
    found.commits += sum(counts.values()) + sum(entry["kind"] == "attempt.failed" for entry in detail.journal)
    found.outcomes_once += heard == 1
    if heard != 1:
        found.say("unheard", f"the outcome of {row.id} ({detail.run.status}) was heard {heard} times")


def _check_ledger(found: Tally, ledger: Ledger, runs: set[str]) -> None:
    attempts: dict[Place, set[int]] = {}
    keys: dict[Place, set[str]] = {}
    for line in ledger.lines("begin"):
        found.calls += 1
        attempts.setdefault(line.place, set()).add(line.attempt)
        keys.setdefault(line.place, set()).add(line.key)
    for place, numbers in attempts.items():
        run, step = place
        allowed = {1, 2} if step == "flaky" else {1}
        if run not in runs or step not in CALLS or numbers != allowed:
            found.say("odd_calls", f"{run} {step}: attempts {sorted(numbers)}")
        if len(keys[place]) != 1:
            found.say("odd_calls", f"{run} {step}: keys {sorted(keys[place])}")
    if len({key for names in keys.values() for key in names}) != len(keys):
        found.say("odd_calls", "two instances share a key")
    for run in runs:
        for step in CALLS:
            if (run, step) not in attempts:
                found.say("uncalled", f"{run} {step}")


def _check_beats(found: Tally, stage: Stage) -> None:
    ticks = Counter(second(event.data["scheduled_at"]) for _, event in stage.rows("beat"))
    found.beats = len(ticks)
    for at in range(min(ticks, default=0), max(ticks, default=-1) + 1):
        if ticks[at] != 1:
            found.say("odd_beats", f"second {at} has {ticks[at]} runs")


def second(moment: str) -> int:
    """The number of a second in its month."""
    hours, minutes, seconds = moment.partition("T")[2].rstrip("Z").split(":")
    day = int(moment[8:10])
    return ((day * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(float(seconds))
