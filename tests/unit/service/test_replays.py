"""Replays as use cases: one run whoever asks and whenever somebody is lost, on which version, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from flowlang.engine.ops import ClaimRequest, Op, Reply, ResolveDead
from flowlang.engine.ports import FlushId
from flowlang.engine.replay import ReplayError, Wish
from flowlang.engine.state import decode_meta
from flowlang.errors import StoreUnavailableError
from flowlang.plan import SetValues, Step
from flowlang.service import DataError, NotFoundError, Service
from flowlang.store.codec import PlainSealer, open_sealed
from flowlang.store.memory import MemoryStore
from tests.unit.service.test_service import finish
from tests.unit.service.world import ORDER, PLANS, World, manifest, plan


@pytest.fixture
def world() -> World:
    return World()


def failed(world: World) -> str:
    world.service.call("report", {})
    return finish(world)


class Losing(MemoryStore):
    """Loses whoever takes a dead letter off the list, before that is written."""

    losing = True

    def apply(self, flush: FlushId, ops: Sequence[Op], claim: ClaimRequest | None = None) -> Reply:
        if self.losing and any(isinstance(op, ResolveDead) for op in ops):
            raise StoreUnavailableError("gone")
        return super().apply(flush, ops, claim)


def test_a_crash_between_the_replay_and_its_letter_makes_one_run() -> None:
    world = World(deployed=False)
    world.store = store = Losing(world.clock)
    world.service = Service(store, PlainSealer(), salt=b"test", pause=lambda _: None)
    world.service.deploy(manifest(*PLANS), PLANS)
    run = failed(world)
    with pytest.raises(StoreUnavailableError):
        world.service.replay(run, Wish())
    assert [letter.id for letter in world.service.dead_letters()] == [run]
    store.losing = False
    again = world.another().replay(run, Wish()).run
    assert again is not None
    assert not again.new, "it was there already"
    assert (world.service.dead_letters(), len(world.service.runs())) == ([], 2)


def test_operators_who_replay_the_same_dead_letter_at_once_make_one_run(world: World) -> None:
    run = failed(world)
    operators = [world.another() for _ in range(8)]
    start = threading.Barrier(len(operators))
    made: list[Any] = []

    def replay(number: int) -> None:
        start.wait()
        try:
            if number % 2:
                made.append(operators[number].retry_dead_letter(run).runs[0].id)
            else:
                answer = operators[number].replay(run, Wish()).run
                made.append(None if answer is None else answer.id)
        except (ReplayError, NotFoundError) as error:
            made.append(error)

    threads = [threading.Thread(target=replay, args=(number,)) for number in range(len(operators))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {each for each in made if isinstance(each, str)}
    assert (len(made), len(ids), len(world.service.runs())) == (8, 1, 2)


def test_a_run_that_succeeded_is_replayed_as_often_as_it_is_asked_for(world: World) -> None:
    world.service.call("report", {})
    run = finish(world, "succeeded")
    runs = {world.service.replay(run, Wish()).run for _ in range(2)}
    assert len(runs) == 2
    keyed = [service.replay(run, Wish(), key="k").run for service in (world.service, world.another())]
    assert [each.new for each in keyed if each is not None] == [True, False]
    assert len({each.id for each in keyed if each is not None}) == 1


def test_a_replay_is_of_the_active_version_unless_it_is_to_be_of_the_old_one(world: World) -> None:
    run = failed(world)
    old = world.service.run(run).run.version
    changed = msgspec.structs.replace(plan("report"), steps=(Step(0, "sum", SetValues({"n": 3})),))
    others = [each for each in PLANS if each.pipeline != "report"]
    world.service.deploy(manifest(*others, changed), [*others, changed])
    looked = world.service.dry_run(run, Wish())
    assert (looked.version, looked.run, looked.forecast) == (changed.digest, None, None)
    replay = world.service.replay(run, Wish(same_version=True))
    assert replay.version == old
    assert replay.run is not None
    assert world.service.run(replay.run.id).run.version == old


def test_the_old_version_of_a_pipeline_that_is_no_more_can_still_be_replayed(world: World) -> None:
    run = failed(world)
    others = [each for each in PLANS if each.pipeline != "report"]
    world.service.deploy(manifest(*others), others)
    with pytest.raises(NotFoundError, match="no pipeline 'report' is deployed any more"):
        world.service.replay(run, Wish())
    assert world.service.replay(run, Wish(same_version=True)).run is not None


def test_data_that_does_not_fit_the_input_is_refused_and_the_letter_stays(world: World) -> None:
    world.service.call("by-hand", {"name": "Ada"})
    run = finish(world)
    with pytest.raises(DataError, match=r"does not fit the pipeline's input: data\.name is required"):
        world.service.replay(run, Wish(data={}))
    assert [letter.id for letter in world.service.dead_letters()] == [run]
    replay = world.service.replay(run, Wish(data={"name": "Bea"})).run
    assert replay is not None
    assert world.service.run(replay.id).event.data == {"name": "Bea"}


def test_a_replay_passes_by_the_idempotency_key_and_looks_back_to_the_first_event(world: World) -> None:
    sent = world.service.call("place-order", ORDER)
    began = decode_meta(open_sealed(rows(world, sent.id).row.meta)[0])
    assert finish(world, "succeeded") == sent.id
    world.clock.advance(5_000)
    replay = world.service.replay(sent.id, Wish()).run
    assert replay is not None
    assert replay.new
    meta = decode_meta(open_sealed(rows(world, replay.id).row.meta)[0])
    assert (meta.root_ms, meta.root_event) == (began.created_ms, began.event_row)
    assert (meta.origin, meta.replay_of) == (sent.id, sent.id)


def rows(world: World, run: str) -> Any:
    found = world.store.run(run)
    assert found is not None
    return found
