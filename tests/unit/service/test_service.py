"""The use cases on the memory store: events, calls, webhooks, schedules, dead letters, deploys."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang import jsondata
from flowlang.engine import sealed_fields
from flowlang.engine.ops import Claimed, ClaimRequest, Commit, DeadLetter, Finish, Prune, Sweep
from flowlang.engine.ports import FlushId
from flowlang.engine.state import ErrorInfo, Record, decode_meta, encode
from flowlang.engine.turn import RunEnd
from flowlang.errors import StoreError
from flowlang.plan import EventTrigger
from flowlang.service import (
    Answer,
    DataError,
    IncomingEvent,
    NotDeployedError,
    NotFoundError,
    RunKeptError,
    TooLargeError,
)
from flowlang.store.codec import PlainSealer
from tests.unit.service.world import CRM, ORDER, PLANS, STRIPE, World, manifest, plan

HOUR = 3_600_000
seal, opened = PlainSealer().seal, PlainSealer().open


@pytest.fixture
def world() -> World:
    return World()


def send(world: World, data: Any, name: str = "shop/order", **more: Any) -> Answer:
    return world.service.ingest([IncomingEvent(name, data, **more)])[0]


def finish(world: World, status: Any = "failed", seq: int = 1) -> str:
    """Run what is ready to an end, as a worker would; returns the run."""
    claim = ClaimRequest("w", ("default",), 1, 10_000, 1, 0)
    row: Claimed = world.store.apply(FlushId("w", seq), [], claim).claimed[0]
    error = ErrorInfo("permanent", "card.declined", "no money") if status == "failed" else None
    dead = None
    if error is not None:
        dead = DeadLetter(
            row.run, "run", row.pipeline, seal(encode({"error": error.view()}), row.run, sealed_fields.DEAD)
        )
    output = {"n": 2} if status == "succeeded" else None
    records = {
        "total": Record(
            "succeeded", {"n": 2}, attempts=1, started_ms=world.clock.now_ms(), ended_ms=world.clock.now_ms()
        )
    }
    commit = Commit(
        run=row.run, scope="", fence=row.fence, status="ended", state=row.state,
        records={name: seal(encode(record), row.run, sealed_fields.record(name)) for name, record in records.items()},
        journal=(seal(jsondata.dumps({"kind": "succeeded", "step": "total"}), row.run, sealed_fields.JOURNAL),),
        finish=Finish(status, seal(encode(RunEnd(status, output, error)), row.run, sealed_fields.RESULT), dead),
    )  # fmt: skip
    world.store.apply(FlushId("w", seq + 1), [commit])
    return row.run


def test_an_event_is_stored_with_its_runs_and_with_the_reasons_of_the_others(world: World) -> None:
    answer = send(world, ORDER)
    assert answer.status == "accepted"
    assert [run.new for run in answer.runs] == [True]
    kept = world.service.event(answer.event)
    assert kept.runs == (answer.runs[0].id,)
    (reason,) = kept.ignored
    assert (reason.pipeline, reason.expression, reason.values) == (
        "big-order", "event.data.total > 100", {"event.data.total": 3},
    )  # fmt: skip


def test_an_unknown_event_is_stored_and_ignored(world: World) -> None:
    answer = send(world, {"x": 1}, "nobody/listens")
    assert (answer.status, answer.runs) == ("accepted", ())
    kept = world.service.event(answer.event)
    assert kept.event.data == {"x": 1}
    assert kept.note == "no pipeline had a trigger on nobody/listens"


def test_of_a_list_each_event_stands_or_falls_by_itself(world: World) -> None:
    answers = world.service.ingest(
        [
            IncomingEvent("shop/order", ORDER),
            IncomingEvent("shop/order", {"items": [{"sku": "a"}, {}]}),
            IncomingEvent("stripe/invoice.paid", {}),
            IncomingEvent("shop/big", {"text": "x" * 600_000}),
            IncomingEvent("Not A Name", {}),
            IncomingEvent("shop/other", {}),
        ]
    )
    assert [answer.status for answer in answers] == [
        "accepted", "invalid", "refused", "too_large", "refused", "accepted",
    ]  # fmt: skip
    assert [failure.path for failure in answers[1].failures] == ["data.order_id", "data.items[1].sku"]
    assert "the webhook 'stripe'" in answers[2].message
    assert len(world.service.runs()) == 1
    assert world.service.counters["events.refused"] == 2


def test_the_same_id_of_a_sender_is_the_same_event_for_a_week(world: World) -> None:
    first = send(world, ORDER, id="mine-1")
    again = send(world, ORDER, id="mine-1")
    assert (again.status, again.event) == ("duplicate", first.event)
    other = world.service.ingest([IncomingEvent("shop/order", ORDER, id="mine-1")], source="another")[0]
    assert other.status == "accepted"
    world.clock.advance(7 * 24 * HOUR + 1)
    assert send(world, ORDER, id="mine-1").status == "accepted"


def test_a_corrected_event_may_use_the_id_of_an_invalid_one(world: World) -> None:
    assert send(world, {}, id="mine-1").status == "invalid"
    assert send(world, ORDER, id="mine-1").status == "accepted"


def test_the_same_idempotency_key_gives_the_same_run(world: World) -> None:
    first, again = send(world, ORDER), send(world, ORDER)
    assert again.status == "accepted"
    assert (again.runs[0].id, again.runs[0].new) == (first.runs[0].id, False)


def test_a_trigger_that_errs_leaves_a_dead_letter_that_can_be_corrected_and_sent_again(world: World) -> None:
    answer = send(world, {"a": 1, "b": 0}, "shop/ratio")
    assert (answer.status, answer.runs) == ("dead_letter", ())
    (letter,) = world.service.dead_letters()
    detail = world.service.dead_letter(letter.id)
    assert detail.event is not None
    assert detail.event.problems[0].values == {"event.data.a": 1, "event.data.b": 0}
    with pytest.raises(DataError, match="ratio: if: "):
        world.service.retry_dead_letter(letter.id)
    assert len(world.service.dead_letters()) == 1
    again = world.service.retry_dead_letter(letter.id, {"a": 4, "b": 2})
    assert [run.new for run in again.runs] == [True]
    assert world.service.dead_letters() == []
    with pytest.raises(NotFoundError):
        world.service.retry_dead_letter(letter.id)


def test_a_failed_run_is_replayed_whole_with_its_event_vars_and_origin(world: World) -> None:
    first = send(world, ORDER).runs[0].id
    assert finish(world) == first
    assert world.service.dead_letter(first).error == {
        "class": "permanent", "code": "card.declined", "message": "no money", "step": "", "attempts": 0,
    }  # fmt: skip
    again = world.service.retry_dead_letter(first).runs[0]
    assert again.new
    assert world.service.dead_letters() == []
    assert world.service.run(again.id).run.replay_of == first
    assert world.service.run(first).run.replaced_by == again.id
    rows = world.store.run(again.id)
    assert rows is not None
    meta = decode_meta(opened(rows.row.meta, sealed_fields.META))
    assert (meta.origin, meta.replay_of, meta.event.data) == (first, first, ORDER)


def test_a_replay_of_a_replay_keeps_the_first_runs_origin(world: World) -> None:
    first = send(world, ORDER).runs[0].id
    finish(world)
    second = world.service.retry_dead_letter(first).runs[0].id
    assert finish(world, seq=3) == second
    third = world.service.retry_dead_letter(second).runs[0].id
    rows = world.store.run(third)
    assert rows is not None
    assert decode_meta(opened(rows.row.meta, sealed_fields.META)).origin == first


def test_a_finished_run_shows_its_steps_output_and_journal(world: World) -> None:
    run = send(world, ORDER).runs[0].id
    waiting = world.service.run(run)
    assert [(step.step, step.status) for step in waiting.steps] == [("total", "pending")]
    finish(world, "succeeded")
    detail = world.service.run(run)
    assert (detail.run.status, detail.output, detail.error) == ("succeeded", {"n": 2}, None)
    assert [(step.step, step.status, step.output) for step in detail.steps] == [("total", "succeeded", {"n": 2})]
    assert detail.journal == ({"kind": "succeeded", "step": "total"},)
    assert detail.event.data == ORDER


def test_runs_are_listed_newest_first_by_pages(world: World) -> None:
    made = []
    for number in range(5):
        world.clock.advance(1)
        made.append(send(world, ORDER | {"order_id": f"o{number}"}).runs[0].id)
    first = world.service.runs(limit=2)
    rest = world.service.runs(before=first[-1].id, limit=10)
    assert [run.id for run in first + rest] == made[::-1]
    assert world.service.runs(pipeline="report") == []
    assert len(world.service.runs(status="pending")) == 5


def test_a_call_starts_a_pipeline_once_a_key(world: World) -> None:
    first = world.service.call("by-hand", {"name": "x"}, key="k")
    again = world.service.call("by-hand", {"name": "x"}, key="k")
    assert (first.new, again.new, again.id) == (True, False, first.id)
    assert world.service.call("by-hand", {"name": "x"}).id != first.id


@pytest.mark.parametrize(
    ("pipeline", "data", "error", "said"),
    [
        ("nobody", {}, NotFoundError, "no pipeline 'nobody'"),
        ("by-hand", {}, DataError, "data.name is required"),
        ("by-hand", {"name": "x" * 600_000}, TooLargeError, "limits.event"),
    ],
)
def test_a_call_that_cannot_start_says_why(
    world: World, pipeline: str, data: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        world.service.call(pipeline, data)
    assert world.service.runs() == []


def test_a_run_is_cancelled_once_and_an_unknown_one_is_not_found(world: World) -> None:
    run = send(world, ORDER).runs[0].id
    assert world.service.cancel(run)
    finish(world, "cancelled")
    assert not world.service.cancel(run)
    with pytest.raises(NotFoundError):
        world.service.cancel("r00-none")


def test_a_webhook_becomes_an_event_by_its_templates_and_is_deduplicated_by_its_id(world: World) -> None:
    body = {"id": "evt_1", "type": "invoice.paid", "data": {"object": {"amount": 5}}}
    first = world.service.ingest_webhook(STRIPE, {}, body)
    assert first.status == "accepted"
    kept = world.service.event(first.event)
    assert (kept.name, kept.source, kept.event.data, kept.event.id) == (
        "stripe/invoice.paid", "webhook/stripe", {"amount": 5}, "evt_1",
    )  # fmt: skip
    assert world.service.ingest_webhook(STRIPE, {}, body).status == "duplicate"


def test_a_webhook_without_an_id_template_is_deduplicated_by_its_delivery(world: World) -> None:
    body = {"kind": "contact"}
    assert world.service.ingest_webhook(CRM, {}, body, "msg_1").status == "accepted"
    assert world.service.ingest_webhook(CRM, {}, body, "msg_1").status == "duplicate"
    assert world.service.ingest_webhook(CRM, {}, body, "msg_2").status == "accepted"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"id": "e", "type": "invoice.paid", "data": {"object": {}}}, "failures"),
        ({"id": "e", "type": "Not A Name", "data": {"object": {}}}, "reason"),
        ({"id": "e", "type": "x"}, "reason"),
        ({"id": None, "type": "x", "data": {"object": {}}}, "reason"),
        ([], "reason"),
    ],
)
def test_a_signed_webhook_that_cannot_be_taken_is_a_dead_letter(world: World, body: Any, why: str) -> None:
    answer = world.service.ingest_webhook(STRIPE, {}, body)
    assert answer.status == "dead_letter"
    detail = world.service.dead_letter(answer.event)
    assert detail.event is not None
    assert getattr(detail.event, why)
    assert world.service.runs() == []


def test_a_deploy_seen_by_another_process_is_used_by_this_one(world: World) -> None:
    fresh = plan("fresh", triggers=(EventTrigger(("shop/order",)),))
    send(world, ORDER)
    world.another().deploy(manifest(fresh), (fresh,))
    assert world.service.catalog.starter("fresh") is None
    answer = send(world, ORDER)
    assert [world.service.run(run.id).run.pipeline for run in answer.runs] == ["fresh"]


def test_a_refusal_is_judged_by_the_active_manifest(world: World) -> None:
    fresh = plan("fresh")
    world.another().deploy(manifest(*PLANS, fresh), (*PLANS, fresh))
    assert world.service.call("fresh", {}).new


def test_the_same_manifest_again_changes_nothing(world: World) -> None:
    epoch = world.service.catalog.epoch
    deployed = world.service.deploy(manifest(*PLANS), PLANS)
    assert (deployed.epoch, deployed.changed) == (epoch, False)


def test_before_the_first_deploy_events_are_turned_away() -> None:
    world = World(deployed=False)
    with pytest.raises(NotDeployedError, match="flowlang deploy"):
        send(world, ORDER)


def test_a_tick_is_fired_once_by_any_number_of_processes(world: World) -> None:
    assert world.service.tick_crons().fired == 0
    world.clock.advance(HOUR)
    other = world.another()
    assert [service.tick_crons().fired for service in (world.service, other, world.service)] == [1, 0, 0]
    (run,) = world.service.runs(pipeline="report")
    data = world.service.run(run.id).event.data
    assert data == {"scheduled_at": "2026-01-01T01:00:00.000Z", "previous_at": "2026-01-01T00:00:00.000Z"}


def test_of_missed_ticks_the_last_is_fired_and_the_next_is_announced(world: World) -> None:
    begin = world.clock.now_ms()
    world.clock.advance(5 * HOUR + 1000)
    report = world.service.tick_crons()
    assert (report.fired, report.next_ms) == (1, begin + 6 * HOUR)
    (run,) = world.service.runs(pipeline="report")
    assert world.service.run(run.id).event.data["scheduled_at"] == "2026-01-01T05:00:00.000Z"


def test_a_version_is_listed_with_its_runs_and_dropped_by_a_deploy_that_finds_it_unneeded(world: World) -> None:
    first = plan("step", labels={"n": "1"}, retention_ms=HOUR)
    second, third = (plan("step", labels={"n": n}) for n in "23")
    world.service.deploy(manifest(first), [first])
    run = world.service.call("step", {}).id
    world.clock.advance(1)
    world.service.deploy(manifest(second), [second])
    listed = world.service.versions("step")
    assert [(each.version, each.active, each.pending, each.needed) for each in listed] == [
        (second.digest, True, 0, True),
        (first.digest, False, 1, True),
    ]
    world.service.deploy(manifest(third), [third])
    assert [each.version for each in world.service.versions("step")] == [third.digest, first.digest]
    assert finish(world, "succeeded") == run
    assert [(each.pending, each.kept) for each in world.service.versions("step")] == [(0, 0), (0, 1)]
    world.clock.advance(HOUR + 1)
    world.store.apply(FlushId("sweeper", 1), [Sweep()])
    assert [each.needed for each in world.service.versions("step")] == [True, False]
    assert world.service.prune() == (first.digest,)
    assert [each.version for each in world.service.versions()] == [third.digest]


def test_a_live_version_is_split_into_what_is_at_work_and_what_waits(world: World) -> None:
    for _ in range(3):
        world.service.call("by-hand", {"name": "Ada"})
    claim = ClaimRequest("w", ("default",), 2, 10_000, 2, 0)
    first, _ = world.store.apply(FlushId("w", 1), [], claim).claimed
    world.store.apply(FlushId("w", 2), [Commit(first.run, "", first.fence, "waiting", first.state, consumed=1)])
    (listed,) = world.service.versions("by-hand")
    assert (listed.pending, listed.at_work, listed.waiting, listed.kept) == (1, 1, 1, 0)


def test_a_process_that_reads_a_manifest_while_the_next_deploy_drops_its_plans_takes_the_next_one(world: World) -> None:
    first, second = (plan("step", labels={"n": n}) for n in "12")
    world.service.deploy(manifest(first), [first])
    late = world.another()
    read = world.store.manifest

    def overtaken() -> tuple[int, bytes] | None:
        found = read()
        world.store.manifest = read  # type: ignore[method-assign]
        world.service.deploy(manifest(second), [second])
        return found

    world.store.manifest = overtaken  # type: ignore[method-assign]
    assert late.refresh()
    assert late.catalog.manifest.pipelines == {"step": second.digest}


def test_a_deploy_has_succeeded_also_when_nothing_can_be_dropped_after_it(world: World) -> None:
    fresh = plan("fresh")
    apply = world.store.apply

    def breaks_after_the_deploy(*args: Any) -> Any:
        if any(isinstance(op, Prune) for op in args[1]):
            raise StoreError("the server went away")
        return apply(*args)

    world.store.apply = breaks_after_the_deploy  # type: ignore[method-assign, assignment]
    assert world.service.deploy(manifest(fresh), [fresh]).changed
    assert world.service.catalog.manifest.pipelines == {"fresh": fresh.digest}


def test_a_deleted_run_leaves_nothing_and_one_that_lives_is_refused(world: World) -> None:
    run = world.service.call("by-hand", {"name": "Ada"}).id
    with pytest.raises(RunKeptError, match="has not ended: cancel it first"):
        world.service.delete(run)
    event = world.service.run(run).run.event
    assert finish(world) == run
    world.service.delete(run)
    for look in (world.service.run, world.service.delete):
        with pytest.raises(NotFoundError):
            look(run)
    with pytest.raises(NotFoundError):
        world.service.event(event)
