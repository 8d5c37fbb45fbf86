"""What must come of the rounds of `workload`, worked out from what is sent alone, and how what there is differs from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from flowlang.engine.ports import RunRow
from flowlang.engine.state import Event
from flowlang.service.views import RunDetail
from tests.e2e.ledger import Line
from tests.faults import orders
from tests.faults.stage import Stage, steady
from tests.faults.workload import BAD_WEBHOOKS, CALLS, DIRECT, EVENTS, SLOW, WEBHOOKS, numbers

#: Pipeline, number of its event, status: how many runs.
Runs = Counter[tuple[str, int, str]]

#: How a run of `once` may end, and is counted as `ended`: nobody may try again what may have been done.
ONCE = {"succeeded", "failed"}

#: Steps that leave a checkpoint, by the pipeline and status of the run.
STEPS: dict[tuple[str, str], set[str]] = {
    ("order", "succeeded"): set(orders.CHECKPOINTS),
    ("long", "succeeded"): {*(f"s{number}" for number in range(1, 7)), *(f"sleep-{at}" for at in range(2, 11, 2))},
    ("saga", "failed"): {"held", "asked", "told"},
    ("saga", "succeeded"): {"held", "asked"},
    ("refused", "failed"): {"asked"},
    ("parent", "succeeded"): {"asked", "done"},
    ("child", "succeeded"): {"counted"},
    ("family", "cancelled"): {"asked"},
    ("waiter", "cancelled"): {"never"},
    ("sending", "succeeded"): {"now", "later", "sleep-3"},
    ("sent", "succeeded"): {"counted"},
    ("gated", "succeeded"): {"placed", "kept"},
    ("sharing", "succeeded"): {"both", "both[0]", "both[1]", "done"},
    ("once", "succeeded"): {"paid"},
    ("once", "failed"): {"paid"},
    ("slow", "succeeded"): {"taken"},
    ("paid", "succeeded"): {"counted"},
    ("called", "succeeded"): {"counted"},
}

#: Those of them that call no handler; `kept` calls it unless another run has.
UNCALLED = {
    *("sides", "each", "joined", "go", "never", "now", "later", "sleep-3", "both", "both[0]", "both[1]", "kept"),
    *(f"sleep-{at}" for at in range(2, 11, 2)),
}

#: What the undo of a failed saga is called.
UNDO = "held.undo"


def output(pipeline: str, n: int) -> Any:
    """What a succeeded run gives for the number of its event."""
    match pipeline:
        case "order":
            return orders.output(n)
        case "long":
            return n + 6
        case "sending":
            return n
        case "child":
            return {"n": n + 1}
        case "saga" | "parent" | "gated":
            return n + 2
        case _:
            return n + 1


def expected(rounds: int, *, steered: int, stopped: Collection[int]) -> Runs:
    """The runs that there must be.

    Args:
        rounds: That were sent.
        steered: Of them, so many whose families were cancelled and whose dead letters were dealt with.
        stopped: In these processes were stopped in slow work, and a call was replayed.
    """
    found: Runs = Counter()
    for round_ in range(rounds):
        for pipeline in EVENTS:
            for n in numbers(round_, pipeline):
                for name, number, status in _of_event(pipeline, n, steered=round_ < steered):
                    found[name, number, status] += 1
        for n in range(WEBHOOKS):
            found["paid", round_ * 100 + n, "succeeded"] += 1
        for n in range(CALLS + DIRECT):
            found["called", round_ * 100 + n, "succeeded"] += 1
        if round_ < steered:
            found["paid", 0, "succeeded"] += BAD_WEBHOOKS
    for round_ in stopped:
        found["called", round_ * 100, "succeeded"] += 1
        found.update({("slow", round_ * 100 + n, "succeeded"): 1 for n in range(SLOW)})
    return found


def _of_event(pipeline: str, n: int, *, steered: bool) -> Iterator[tuple[str, int, str]]:
    match pipeline:
        case "saga":
            yield pipeline, n, "failed"
            if steered:
                yield pipeline, n, "succeeded"
        case "refused":
            yield pipeline, n, "failed"
        case "family":
            for name in ("family", "waiter"):
                yield name, n, "cancelled" if steered else "running"
        case "parent":
            yield "parent", n, "succeeded"
            yield "child", n, "succeeded"
        case "sending":
            yield "sending", n, "succeeded"
            yield "sent", n, "succeeded"
            yield "sent", n + 1000, "succeeded"
        case "once":
            yield pipeline, n, "ended"
        case _:
            yield pipeline, n, "succeeded"


def actual(stage: Stage) -> dict[str, list[tuple[RunRow, Event]]]:
    """The runs that there are, by pipeline."""
    return {pipeline: stage.rows(pipeline) for pipeline in sorted({name for name, _ in STEPS})}


def counted(rows: dict[str, list[tuple[RunRow, Event]]]) -> Runs:
    """What there is, as it is expected."""
    return Counter(
        (pipeline, event.data["n"], "ended" if pipeline == "once" and row.status in ONCE else row.status)
        for pipeline, listed in rows.items()
        for row, event in listed
    )


def differences(there: Runs, wanted: Runs) -> list[str]:
    """In words, what is missing and what is too much; empty when all is as it must be."""
    return [
        *(f"missing: {key}, {count} x" for key, count in sorted((wanted - there).items())),
        *(f"too much: {key}, {count} x" for key, count in sorted((there - wanted).items())),
    ]


def faults(stage: Stage, wanted: Runs) -> list[str]:
    """All that is not as it must be, in words; when nothing runs any more."""
    rows = actual(stage)
    found = differences(counted(rows), wanted)
    heard = Counter(str(event.data["run"]) for _, event in stage.rows("heard"))
    lines: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in stage.world.ledger.lines("begin"):
        lines[line.place].append(line)
    for listed in rows.values():
        for row, event in listed:
            detail = steady(lambda run=row.id: stage.world.service.run(run))  # type: ignore[misc]
            found += _of_run(detail, event, heard.pop(row.id, 0))
            found += _of_calls(detail, lines)
    found += [f"the outcome of {run}, {count} times, which is no run" for run, count in heard.items()]
    found += [f"{run} {step} was called, and must not be" for run, step in lines if (run, step) not in _known(rows)]
    found += _of_beats(stage)
    found += _of_store(stage)
    return found + stage.contradictions()


def _of_run(detail: RunDetail, event: Event, heard: int) -> Iterator[str]:
    run, pipeline, status = detail.run.id, detail.run.pipeline, detail.run.status
    if status == "succeeded" and detail.output != output(pipeline, event.data["n"]):
        yield f"{run} of {pipeline} gives {detail.output!r} for {event.data['n']}"
    if (pipeline, status) == ("once", "failed") and (detail.error or {}).get("code") != "unknown_outcome":
        yield f"{run} of once failed with {detail.error}"
    ended = Counter(entry["step"] for entry in detail.journal if entry["kind"] == "step.ended")
    for step in ended.keys() | STEPS.get((pipeline, status), set()):
        if ended[step] != 1 or step not in STEPS.get((pipeline, status), set()):
            yield f"{run} of {pipeline}, {status}: {ended[step]} checkpoints of {step}"
    undone = Counter(entry["step"] for entry in detail.journal if entry["kind"] == "step.undone")
    if undone != ({UNDO: 1} if (pipeline, status) == ("saga", "failed") else {}):
        yield f"{run} of {pipeline}, {status}: undone {dict(undone)}"
    if heard != 1:
        yield f"the outcome of {run} of {pipeline}, {status}, was heard {heard} times"


def _steps_called(pipeline: str, status: str) -> set[str]:
    steps = STEPS.get((pipeline, status), set()) - UNCALLED
    if pipeline in {"parent", "family"}:
        steps = steps - {"asked"}  # asks another pipeline, and no handler
    return steps | ({UNDO} if (pipeline, status) == ("saga", "failed") else set())


def _of_calls(detail: RunDetail, lines: dict[tuple[str, str], list[Line]]) -> Iterator[str]:
    run, pipeline, status = detail.run.id, detail.run.pipeline, detail.run.status
    for step in _steps_called(pipeline, status):
        called = lines[run, step]
        attempts = {line.attempt for line in called}
        if pipeline == "once":
            if len(called) > 1 or (status == "succeeded" and not called):
                yield f"{run} of once, {status}, was called {len(called)} times"
        elif attempts != ({1, 2} if step == "flaky" else {1}):
            yield f"{run} of {pipeline}: attempts of {step} {sorted(attempts)}"
        if len({line.key for line in called}) > 1:
            yield f"{run} of {pipeline}: {step} was called under several keys"


def _known(rows: dict[str, list[tuple[RunRow, Event]]]) -> set[tuple[str, str]]:
    return {
        (row.id, step)
        for pipeline, listed in rows.items()
        for row, _ in listed
        for step in _steps_called(pipeline, row.status) | ({"kept"} if pipeline == "gated" else set())
    }


def _of_beats(stage: Stage) -> Iterator[str]:
    ticks = Counter(orders.second(event.data["scheduled_at"]) for _, event in stage.rows("beat"))
    for at in range(min(ticks), max(ticks) + 1):
        if ticks[at] != 1:
            yield f"second {at} has {ticks[at]} runs"


def _of_store(stage: Stage) -> Iterator[str]:
    service = stage.world.service
    left = [letter for letter in steady(lambda: service.dead_letters(limit=1_000)) if letter.name != "once"]
    yield from (f"dead letter {letter.id} of {letter.name}: {letter.code}" for letter in left)
    epoch = steady(service.stats).epoch
    if epoch != 2:
        yield f"the epoch is {epoch}, after two manifests"
