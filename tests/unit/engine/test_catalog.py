"""The active manifest ready for use: who looks at which event, who owns which name."""

from __future__ import annotations

import msgspec
import pytest

from flowlang.engine.catalog import Catalog, is_event_name, own_outcomes
from flowlang.engine.program import Program
from flowlang.engine.schedule import Schedule
from flowlang.plan import CronTrigger, EventSchema, EventTrigger, Manifest, Plan, Trigger, WebhookSource


def plan(pipeline: str, *triggers: Trigger) -> Plan:
    return Plan(pipeline=pipeline, steps=(), block=(), triggers=triggers)


def catalog(*plans: Plan, webhooks: tuple[WebhookSource, ...] = (), events: tuple[EventSchema, ...] = ()) -> Catalog:
    manifest = Manifest(
        project="test", pipelines={each.pipeline: each.digest for each in plans}, webhooks=webhooks, events=events
    )
    return Catalog(manifest, 1, {each.pipeline: Program(each) for each in plans})


def matched(active: Catalog, event: str) -> list[tuple[str, int]]:
    return [(each.starter.pipeline, each.index) for each in active.subscribers(event)]


@pytest.mark.parametrize(
    ("pattern", "event", "matches"),
    [
        ("shop/order", "shop/order", True),
        ("shop/order", "shop/order-placed", False),
        ("shop/order", "shop/order/placed", False),
        ("mux/*", "mux/video.asset.ready", True),
        ("mux/*", "mux/a/b", False),
        ("mux/*", "mux", False),
        ("mux/*", "muxx/a", False),
        ("a/b/*", "a/b/c", True),
        ("a/b/*", "a/x/c", False),
        ("*", "single", True),
        ("*", "two/parts", False),
        ("pipeline/*", "pipeline/a.succeeded", False),
        ("schedule/*", "schedule/tick", False),
        ("pipeline/other.failed", "pipeline/other.failed", True),
    ],
)
def test_a_star_stands_for_the_whole_last_segment_and_never_for_what_is_ours(
    pattern: str, event: str, matches: bool
) -> None:
    active = catalog(plan("p", EventTrigger((pattern,))))
    assert matched(active, event) == ([("p", 0)] if matches else [])


def test_matching_triggers_come_by_pipeline_and_written_order_each_once() -> None:
    active = catalog(
        plan("b", EventTrigger(("x/y", "x/*")), EventTrigger(("x/*",))),
        plan("a", CronTrigger(("0 * * * *",)), EventTrigger(("x/y",))),
    )
    assert matched(active, "x/y") == [("a", 1), ("b", 0), ("b", 1)]


def test_a_schedule_keeps_its_key_wherever_its_trigger_is_written() -> None:
    cron = CronTrigger(("0 7 * * *", "0 19 * * *"), "Europe/Vienna", jitter_ms=5, missed="all")
    one = catalog(plan("report", cron))
    other = catalog(plan("another", CronTrigger(("5 5 * * *",))), plan("report", EventTrigger(("a/b",)), cron))
    (key,) = one.crons
    assert key == "report#0 7 * * *#0 19 * * *#Europe/Vienna"
    assert other.crons[key].schedule == one.crons[key].schedule
    assert one.crons[key].schedule == Schedule(("0 7 * * *", "0 19 * * *"), "Europe/Vienna", 5, "all", key)


def test_triggers_of_one_schedule_have_ticks_of_their_own() -> None:
    hourly = CronTrigger(("0 * * * *",))
    even, odd = (msgspec.structs.replace(hourly, condition=f"event.name == '{name}'") for name in "ab")
    active = catalog(plan("report", even, odd))
    assert {key: entry.subscription.index for key, entry in active.crons.items()} == {
        "report#0 * * * *#UTC": 0,
        "report#0 * * * *#UTC#2": 1,
    }


@pytest.mark.parametrize(
    ("event", "owner"),
    [
        ("stripe/checkout.session.completed", "the webhook 'stripe'"),
        ("stripe/a/b", "the webhook 'stripe'"),
        ("stripe", None),
        ("stripes/a", None),
        ("pipeline/a.succeeded", "FlowLang"),
        ("pipeline/a/b", "FlowLang"),
        ("schedule/tick", "FlowLang"),
        ("shop/order", None),
    ],
)
def test_prefixes_have_owners(event: str, owner: str | None) -> None:
    active = catalog(webhooks=(WebhookSource("stripe", "stripe", event="stripe/${{ body.type }}"),))
    assert active.owner(event) == owner


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("shop/order-placed", True),
        ("a", True),
        ("a.b_c-d/0", True),
        ("", False),
        ("Shop/order", False),
        ("shop//order", False),
        ("shop/", False),
        ("/shop", False),
        ("-a", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
        ("a" * 201, False),
    ],
)
def test_what_an_event_name_looks_like(text: str, fits: bool) -> None:
    assert is_event_name(text) is fits


def test_validators_belong_to_event_names_and_keys_are_hashed_with_the_salt() -> None:
    schema = EventSchema("shop/order", {"type": "object"})
    active = catalog(events=(schema,))
    validator = active.validator("shop/order")
    assert validator is not None
    assert not validator.check(7).ok
    assert active.validator("shop/other") is None
    salted = Catalog(active.manifest, 1, {}, salt=b"s")
    assert active.key_hash("once", "p", "k") != salted.key_hash("once", "p", "k")


def test_a_pipeline_has_three_outcomes() -> None:
    assert own_outcomes("p") == ("pipeline/p.succeeded", "pipeline/p.failed", "pipeline/p.cancelled")
