"""From events to runs: conditions, mappings, vars, keys, and what becomes of a trigger that errs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.engine.admission import (
    EventRefusedError,
    call_event,
    check_emission,
    check_name,
    emitted_event,
    outcome_event,
    row_of_emission,
    tick_event,
)
from flowlang.engine.catalog import Catalog
from flowlang.engine.intake import (
    Delivery,
    Lineage,
    decode_dead_event,
    decode_event,
    decode_reasons,
)
from flowlang.engine.ops import Accept
from flowlang.engine.program import Program
from flowlang.engine.route import Before, InputError, Router
from flowlang.engine.schedule import Tick
from flowlang.engine.state import ErrorInfo, Event, RunMeta, decode_meta
from flowlang.ids import new_event_id, run_id_for
from flowlang.plan import (
    CronTrigger,
    EventSchema,
    EventTrigger,
    Idempotency,
    Manifest,
    Plan,
    Trigger,
    WebhookSource,
)

NOW = 1_767_225_600_000
ROW = new_event_id("test-row-0123456789")
ORDER_SCHEMA = {"type": "object", "required": ["total"], "properties": {"total": {"type": "integer"}}}


class Marked:
    """Seals by writing the origin in front, so that tests see whether and for whom something was sealed."""

    def seal(self, payload: bytes, origin: str, field: str) -> bytes:
        del field
        return origin.encode() + b"|" + payload

    def open(self, sealed: bytes, field: str = "", origin: str | None = None) -> bytes:
        del field, origin
        return sealed.partition(b"|")[2]


def plan(pipeline: str = "p", *triggers: Trigger, **more: Any) -> Plan:
    return Plan(pipeline=pipeline, steps=(), block=(), triggers=triggers, **more)


def router(*plans: Plan, **more: Any) -> Router:
    manifest = Manifest(project="test", pipelines={each.pipeline: each.digest for each in plans}, **more)
    return Router(Catalog(manifest, 3, {each.pipeline: Program(each) for each in plans}), Marked(), NOW)


def event(data: Any = None, name: str = "shop/order") -> Event:
    return Event(id="o-1", name=name, data=data, time="2026-01-01T00:00:00.000Z", source="api")


def meta_of(accept: Accept, at: int = 0) -> RunMeta:
    return decode_meta(Marked().open(accept.runs[at].meta))


def test_an_event_makes_one_run_for_each_matching_trigger_with_ids_that_follow_from_it() -> None:
    routed = router(
        plan("a", EventTrigger(("shop/order",)), EventTrigger(("shop/*",))), plan("b", EventTrigger(("shop/order",)))
    ).route(event({"total": 1}), Delivery(ROW))
    assert [seed.id for seed in routed.accept.runs] == [
        run_id_for(ROW, "a", 0), run_id_for(ROW, "a", 1), run_id_for(ROW, "b", 0),
    ]  # fmt: skip
    assert routed.accept.epoch == 3
    assert routed.accept.dead is None


def test_all_that_is_kept_is_sealed_for_its_run_or_event() -> None:
    accept = (
        router(plan("p", EventTrigger(("shop/order",), condition="false"), EventTrigger(("shop/order",))))
        .route(event({"total": 1}), Delivery(ROW, dedupe="o-1"))
        .accept
    )
    (seed,) = accept.runs
    assert [part.partition(b"|")[0].decode() for part in (seed.meta, seed.state)] == [seed.id, seed.id]
    assert [part.partition(b"|")[0].decode() for part in (accept.event.body, accept.event.reasons)] == [ROW, ROW]
    assert decode_event(Marked().open(accept.event.body)) == event({"total": 1})
    assert accept.event.dedupe not in {None, "o-1"}


def test_a_condition_sees_the_event_as_it_came_and_a_false_one_is_a_reason_with_values() -> None:
    active = router(
        plan(
            "p", EventTrigger(("shop/order",), condition="event.data.total > 5", data={"n": "${{ event.data.total }}"})
        )
    )
    assert meta_of(active.route(event({"total": 9}), Delivery(ROW)).accept).event.data == {"n": 9}
    small = active.route(event({"total": 2}), Delivery(ROW))
    assert small.accept.runs == ()
    (reason,) = decode_reasons(Marked().open(small.accept.event.reasons))
    assert (reason.pipeline, reason.trigger, reason.why) == ("p", 0, "the condition is false")
    assert (reason.expression, reason.values) == ("event.data.total > 5", {"event.data.total": 2})


def test_mapped_data_is_checked_and_gets_defaults_and_number_types() -> None:
    schema = {"properties": {"n": {"type": "integer"}, "unit": {"type": "string", "default": "kg"}}}
    active = router(
        plan("p", EventTrigger(("shop/order",), data={"n": "${{ event.data.total }}"}), input_schema=schema)
    )
    accept = active.route(event({"total": 3.0}), Delivery(ROW)).accept
    data = meta_of(accept).event.data
    assert data == {"n": 3, "unit": "kg"}
    assert type(data["n"]) is int
    assert decode_event(Marked().open(accept.event.body)).data == {"total": 3.0}


def test_vars_are_computed_in_written_order_from_event_env_and_earlier_ones() -> None:
    active = router(
        plan(
            "p",
            EventTrigger(("shop/order",)),
            vars=(("rate", "${{ int(env.RATE) }}"), ("sum", "${{ vars.rate * event.data.total }}"), ("text", "x")),
            env={"RATE": "3"},
            labels={"team": "shop", "total": "${{ event.data.total }}"},
        )
    )
    meta = meta_of(active.route(event({"total": 4}), Delivery(ROW)).accept)
    assert meta.vars == {"rate": 3, "sum": 12, "text": "x"}
    assert meta.labels == {"team": "shop", "total": "4"}
    assert meta.created_ms == NOW


def test_uuid_in_vars_follows_from_the_run_and_now_is_the_acceptance() -> None:
    active = router(
        plan("p", EventTrigger(("shop/order",)), vars=(("id", "${{ uuid() }}"), ("at", "${{ string(now()) }}")))
    )
    first, again = (meta_of(active.route(event(), Delivery(ROW)).accept).vars for _ in range(2))
    other = meta_of(active.route(event(), Delivery(new_event_id("another-row-01234567"))).accept).vars
    assert first == again
    assert first["id"] != other["id"]
    assert first["at"].startswith("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("more", "trigger", "where"),
    [
        ({}, EventTrigger(("shop/order",), condition="event.data.nope == 1"), "if"),
        ({}, EventTrigger(("shop/order",), data={"n": "${{ event.data.nope }}"}), "data"),
        ({"vars": (("v", "${{ event.data.nope }}"),)}, EventTrigger(("shop/order",)), "vars.v"),
        ({"idempotency": Idempotency("event.data.nope")}, EventTrigger(("shop/order",)), "idempotency.key"),
        ({"idempotency": Idempotency("event.data.nothing")}, EventTrigger(("shop/order",)), "idempotency.key"),
        ({"labels": {"l": "${{ event.data.nope }}"}}, EventTrigger(("shop/order",)), "labels"),
        ({"input_schema": {"required": ["sku"]}}, EventTrigger(("shop/order",)), "input"),
    ],
)
def test_a_trigger_that_errs_makes_a_dead_letter_and_the_others_go_on(
    more: dict[str, Any], trigger: Trigger, where: str
) -> None:
    active = router(plan("bad", trigger, **more), plan("good", EventTrigger(("shop/order",))))
    routed = active.route(event({"total": 1, "nothing": None}), Delivery(ROW, dedupe="o-1"))
    assert [seed.pipeline for seed in routed.accept.runs] == ["good"]
    letter = routed.accept.dead
    assert letter is not None
    assert (letter.id, letter.kind, letter.name) == (ROW, "event", "shop/order")
    body = decode_dead_event(Marked().open(letter.body))
    (problem,) = body.problems
    assert (problem.pipeline, problem.trigger, problem.where) == ("bad", 0, where)
    assert problem.message
    assert body.event.data == {"total": 1, "nothing": None}
    assert body.dedupe == "o-1"


def test_a_dead_letter_shows_what_the_expression_read() -> None:
    active = router(plan("p", EventTrigger(("shop/order",), condition="event.data.total > event.data.limit")))
    routed = active.route(event({"total": 7}), Delivery(ROW))
    (problem,) = routed.problems
    assert problem.expression == "event.data.total > event.data.limit"
    assert problem.values == {"event.data.total": 7}


def test_keys_of_different_types_and_pipelines_are_different_and_the_same_is_the_same() -> None:
    def key(pipeline: str, value: Any) -> str:
        active = router(plan(pipeline, EventTrigger(("shop/order",)), idempotency=Idempotency("event.data.k", 5)))
        once = active.route(event({"k": value}), Delivery(ROW)).accept.runs[0].once
        assert once is not None
        assert once.ttl_ms == 5
        return once.key

    keys = [key("p", 1), key("p", "1"), key("p", 1.5), key("q", 1), key("p", [1])]
    assert len(set(keys)) == 5
    assert key("p", 1) == keys[0]


def test_data_that_breaks_the_events_schema_is_a_dead_letter_with_its_paths_and_no_run() -> None:
    active = router(plan("p", EventTrigger(("shop/order",))), events=(EventSchema("shop/order", ORDER_SCHEMA),))
    accept = active.route(event({"total": "x"}), Delivery(ROW)).accept
    assert accept.runs == ()
    assert accept.dead is not None
    assert [failure.path for failure in decode_dead_event(Marked().open(accept.dead.body)).failures] == ["data.total"]


def test_only_the_named_triggers_are_looked_at_when_an_event_is_sent_again() -> None:
    active = router(plan("p", EventTrigger(("shop/order",)), EventTrigger(("shop/*",))))
    routed = active.route(event({}), Delivery(ROW), only=[("p", 1)])
    assert [seed.id for seed in routed.accept.runs] == [run_id_for(ROW, "p", 1)]


def test_a_pipeline_is_not_started_by_its_own_outcome_but_others_are() -> None:
    done = EventTrigger(("pipeline/a.succeeded",))
    active = router(plan("a", done), plan("b", done))
    routed = active.route(event({}, "pipeline/a.succeeded"), Delivery(ROW))
    assert [seed.pipeline for seed in routed.accept.runs] == ["b"]
    assert [(reason.pipeline, reason.why) for reason in routed.reasons] == [
        ("a", "a pipeline is not started by its own outcome")
    ]


def test_a_tick_starts_its_own_trigger_alone_and_names_the_tick() -> None:
    active = router(
        plan("a", CronTrigger(("0 7 * * *",)), CronTrigger(("0 8 * * *",))), plan("b", CronTrigger(("0 7 * * *",)))
    )
    entry = active.catalog.crons["a#0 7 * * *#UTC"]
    tick = Tick(NOW, NOW - 86_400_000)
    fired = tick_event(entry.key, tick, NOW + 50)
    assert fired == tick_event(entry.key, tick, NOW + 50)
    assert fired.data == {"scheduled_at": "2026-01-01T00:00:00.000Z", "previous_at": "2025-12-31T00:00:00.000Z"}
    accept = active.tick(entry, fired, tick).accept
    assert [seed.pipeline for seed in accept.runs] == ["a"]
    assert accept.tick == ("a#0 7 * * *#UTC", NOW)


def test_a_call_starts_its_pipeline_and_refuses_data_that_does_not_fit() -> None:
    schema = {"required": ["sku"], "properties": {"count": {"type": "integer", "default": 1}}}
    active = router(plan("p", input_schema=schema), plan("audit", EventTrigger(("pipeline/p.called",))))
    starter = active.catalog.starter("p")
    assert starter is not None
    accept = active.call(starter, call_event(ROW, "p", {"sku": "x"}, NOW, source="api"), Delivery(ROW)).accept
    assert [seed.pipeline for seed in accept.runs] == ["p", "audit"]
    assert meta_of(accept).event.data == {"sku": "x", "count": 1}
    with pytest.raises(InputError) as caught:
        active.call(starter, call_event(ROW, "p", {}, NOW, source="api"), Delivery(ROW))
    assert [failure.path for failure in caught.value.problem.failures] == ["data.sku"]


def test_a_replay_keeps_event_vars_and_origin_and_passes_by_the_idempotency_key() -> None:
    active = router(
        plan("p", EventTrigger(("shop/order",)), vars=(("v", "${{ uuid() }}"),), idempotency=Idempotency("event.id"))
    )
    first = active.route(event({"total": 1}), Delivery(ROW)).accept
    starter = active.catalog.starter("p")
    assert starter is not None
    meta = meta_of(first)
    row = new_event_id("replay-row-012345678")
    lineage = Lineage(origin=first.runs[0].id, replay_of=first.runs[0].id)
    again = active.replay(starter, Before(meta.event, vars=meta.vars), Delivery(row), lineage).accept
    assert again.runs[0].id != first.runs[0].id
    assert again.runs[0].once is None
    assert first.runs[0].once is not None
    assert again.runs[0].replay_of == first.runs[0].id
    assert (meta_of(again).vars, meta_of(again).event, meta_of(again).origin) == (
        meta.vars,
        meta.event,
        first.runs[0].id,
    )


@pytest.mark.parametrize(
    ("name", "webhook", "said"),
    [
        ("pipeline/p.succeeded", None, "sent only by FlowLang"),
        ("schedule/tick", None, "sent only by FlowLang"),
        ("stripe/x", None, "sent only by the webhook 'stripe'"),
        ("Shop/X", None, "is no event name"),
        ("shop/x", "stripe", "sends only stripe/"),
        ("pipeline/p.succeeded", "stripe", "sends only stripe/"),
        ("stripe", "stripe", "sends only stripe/"),
    ],
)
def test_names_that_a_sender_may_not_use_are_refused_with_the_owner(name: str, webhook: str | None, said: str) -> None:
    active = router(webhooks=(WebhookSource("stripe", "stripe", event="stripe/${{ body.type }}"),))
    with pytest.raises(EventRefusedError, match=said):
        check_name(active.catalog, name, webhook)


def test_an_emit_is_checked_like_any_other_event() -> None:
    active = router(events=(EventSchema("shop/order", ORDER_SCHEMA),))
    assert check_emission(active.catalog, "shop/order", {"total": 2.0}) == ({"total": 2}, None)
    for name, code in (("pipeline/x.failed", "event.refused"), ("shop/order", "event.invalid")):
        _, error = check_emission(active.catalog, name, {})
        assert error is not None
        assert (error.error_class, error.code) == ("permanent", code)


def test_an_emitted_event_and_its_row_follow_from_where_it_is_emitted() -> None:
    run = run_id_for(ROW, "p", 0)
    assert emitted_event("p", "shop/done", "i-1", {}, NOW).source == "pipeline/p"
    assert row_of_emission(run, "a[0].b") == row_of_emission(run, "a[0].b")
    assert row_of_emission(run, "a[0].b") != row_of_emission(run, "a[1].b")


def test_an_outcome_tells_all_about_its_run_and_its_id_follows_from_run_and_outcome() -> None:
    run = run_id_for(ROW, "p", 0)

    def outcome(status: Any, **more: Any) -> Event:
        return outcome_event(
            run=run, pipeline="p", version="v", status=status, started_ms=NOW, ended_ms=NOW + 5, **more
        )

    done, failed = outcome("succeeded", output={"n": 1}), outcome("failed", error=ErrorInfo("bug", "boom", "it broke"))
    assert done.name == "pipeline/p.succeeded"
    assert done.data == {
        "run": run, "pipeline": "p", "version": "v", "status": "succeeded", "output": {"n": 1},
        "started_at": "2026-01-01T00:00:00.000Z", "ended_at": "2026-01-01T00:00:00.005Z",
    }  # fmt: skip
    assert failed.data["error"]["class"] == "bug"
    assert "output" not in failed.data
    assert done.id == outcome("succeeded").id != failed.id


def test_the_row_carries_the_dedupe_window_of_its_source() -> None:
    accept = router().route(event({}), Delivery(ROW, dedupe="x", dedupe_ms=7, keep_ms=9)).accept
    assert msgspec.structs.asdict(accept.event) | {"body": b"", "dedupe": ""} == {
        "id": ROW, "name": "shop/order", "source": "api", "body": b"", "dedupe": "", "dedupe_ms": 7, "keep_ms": 9, "reasons": b"",
            "keys": (), "mail_ms": 0,
    }  # fmt: skip
