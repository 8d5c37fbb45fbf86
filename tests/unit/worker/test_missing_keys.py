"""A process that lacks a key: it leaves runs to others, steps back where it is in their way, and nothing waits for a lease."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from flowlang import handler
from flowlang.engine import sealed_fields
from flowlang.engine.ports import Sealer
from flowlang.plan import Emit, EventTrigger, Manifest, Plan, Step, Uses, WaitFor
from flowlang.service import IncomingEvent, Service
from flowlang.service.active import Active
from flowlang.store.codec import MissingKeyError, PlainSealer
from flowlang.worker.missing_keys import FIRST_MS, LONGEST_MS, STREAK, TOLD_MS, MissingKeys
from flowlang.worker.process import WorkerProcess
from tests.unit.worker.test_process import World, until


class Lacking:
    """A sealer that opens all but some payloads."""

    def __init__(self, lacks: Callable[[str, str | None], bool]) -> None:
        self._plain = PlainSealer()
        self._lacks = lacks

    def seal(self, payload: bytes, origin: str, field: str) -> bytes:
        return self._plain.seal(payload, origin, field)

    def open(self, sealed: bytes, field: str, origin: str | None = None) -> bytes:
        if self._lacks(field, origin):
            raise MissingKeyError(2)
        return self._plain.open(sealed, field, origin)


class Steps:
    """A process as it lives: rows that it opens (`o`) or not (`x`), and time that passes."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.keys = MissingKeys(lambda: self.now_ms)

    def take(self, rows: str) -> bool:
        for row in rows:
            if row == "o":
                self.keys.opened()
            else:
                self.keys.missed("r00-a", MissingKeyError(2))
        return self.keys.steps_back()


@pytest.mark.parametrize(
    ("rows", "back"),
    [
        ("", False),
        ("x", False),
        ("x" * (STREAK - 1), False),
        ("x" * STREAK, True),
        ("x" * 50, True),
        ("xo" * 50, False),
        ("xx" + "o" + "xx", False),
        ("x" * STREAK + "o", False),
    ],
)
def test_a_process_steps_back_after_some_rows_in_a_row(rows: str, back: bool) -> None:
    assert Steps().take(rows) is back


def test_it_steps_back_for_longer_each_time_and_anew_once_it_has_opened_one() -> None:
    process = Steps()
    process.take("x" * (STREAK - 1))
    pauses = []
    for _ in range(8):
        began = process.now_ms
        assert process.take("xxxx"), "those that were claimed together count once"
        while process.keys.steps_back():
            process.now_ms += 100
        pauses.append(process.now_ms - began)
    assert pauses == [min(FIRST_MS * 2**number, LONGEST_MS) for number in range(8)]
    assert not process.take("o")
    assert not process.take("x")
    began = process.now_ms
    assert process.take("x" * STREAK)
    process.now_ms = began + FIRST_MS
    assert not process.keys.steps_back()


def test_a_key_that_is_missing_is_told_of_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    process = Steps()
    with caplog.at_level(logging.WARNING):
        for key in (2, 2, 3, 2, 3):
            process.keys.missed("r00-a", MissingKeyError(key))
        process.now_ms += TOLD_MS
        process.keys.missed("r00-b", MissingKeyError(2))
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(" are left")[0] for line in told] == [
        "runs such as r00-a",
        "runs such as r00-a",
        "runs such as r00-b",
    ]
    assert ["key 2" in line for line in told] == [True, False, True]
    assert all("add it to FLOWLANG_ENCRYPTION_KEYS" in line for line in told)


def process_of(world: World, sealer: Sealer) -> WorkerProcess:
    """One whose leases end long after the test."""
    process = WorkerProcess(
        world.store,
        Active(world.store, world.service.catalogs, sealer),
        sealer,
        world.registry,
        ring=lambda queue: world._start(process, queue),
        fire_crons=lambda: None,
        send_delayed=lambda: None,
        queues=lambda: ("default",),
        threads=2,
        lease_ms=3_600_000,
    )
    return process


@pytest.mark.parametrize("field", [sealed_fields.META, sealed_fields.EVENT])
def test_what_a_process_cannot_open_is_not_held_until_its_lease_ends(field: str) -> None:
    @handler("t.echo", effect="pure")
    def echo(n: int) -> int:
        return n

    world = World(echo)
    world.deploy(
        Step(0, "a", WaitFor(("a/heard",), "true"), timeout_ms=3_600_000),
        Step(1, "b", Uses("t.echo", {"n": "${{ steps.a.output.data.n }}"})),
    )
    (run,) = world.send()
    tries: list[str] = []

    def lacks(each: str, _: str | None) -> bool:
        tries.append(each)
        return each == field and tries.count(field) <= 2

    process = process_of(world, Lacking(lacks))
    process.start()
    try:
        process.ring({"default": 1})
        until(lambda: world.service.run(run).run.status == "running")
        world.service.ingest([IncomingEvent(name="a/heard", data={"n": 7})])
        detail = world.ended(run)
    finally:
        process.close()
    assert detail.run.status == "succeeded"
    assert tries.count(field) > 2


def test_delayed_events_that_cannot_be_opened_hold_up_no_others(caplog: pytest.LogCaptureFixture) -> None:
    emits = Plan("p", (Step(0, "a", Emit("a/later", {}, delay="1ms")),), (0,), triggers=(EventTrigger(("a/b",)),))
    world = World()
    world.service.deploy(Manifest("test", {"p": emits.digest}), [emits])
    runs = world.send(70)
    with world.worker():
        for run in runs:
            world.ended(run)
    until(lambda: len(world.store.delayed(100)) == 70)
    due = [row.id for row in world.store.delayed(100)]
    closed = set(due[:60])
    lacking = Service(world.store, Lacking(lambda _, origin: origin in closed), pause=lambda _: None)
    with caplog.at_level(logging.WARNING):
        assert [lacking.send_delayed() for _ in range(3)] == [10, 0, 0]
    assert len([record for record in caplog.records if "is left to other processes" in record.getMessage()]) == 60
    assert [row.id for row in world.store.delayed(100)] == due[:60]
    assert world.service.send_delayed() == 60
    assert world.store.delayed(100) == []
