"""What each verb does, what its step's status and output are, and what later steps see of it."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.schemas import EventValidator
from flowlang.plan import EventSchema, Foreach, Plan, Tolerate
from flowlang.simulate import Simulation
from tests.unit.engine.building import (
    T0,
    Part,
    Project,
    arm,
    broken,
    emit,
    fail,
    parallel,
    plan,
    run,
    script,
    sets,
    sleep,
    steps,
    stop,
    switch,
    uses,
)

DAY_MS = 86_400_000


def test_a_handler_gets_its_arguments_and_gives_its_output() -> None:
    made = plan(
        uses("a", given={"n": "${{ event.data.n }}", "text": "no ${{ event.data.n }}", "list": [1, "${{ 2 }}"]})
    )
    done = run(made, {"n": 7})
    assert done.status == "succeeded"
    assert done.outputs() == {"a": {"n": 7, "text": "no 7", "list": [1, 2]}}
    assert done.records["a"].attempts == 1


def test_a_literal_dollar_brace_reaches_the_handler_unescaped() -> None:
    assert run(plan(uses("a", given={"text": "$${{ not this }}"}))).outputs() == {"a": {"text": "${{ not this }}"}}


def test_a_handler_that_gives_none_has_no_output() -> None:
    made = plan(uses("a"), sets("seen", there="${{ has(steps.a.output) }}", status="${{ steps.a.status }}"))
    assert run(made, a=script(None)).outputs() == {"seen": {"there": False, "status": "succeeded"}}


def test_secrets_are_for_handlers_alone() -> None:
    made = plan(uses("a", given={"key": "${{ secrets.KEY }}"}), sets("b", key="${{ secrets.KEY }}"))
    project = Simulation([made], {"a": script(None)}, secrets={"KEY": "s3cret"})
    run_id = project.call("p")
    project.run_until_idle()
    assert project.calls[0].arguments == {"key": "s3cret"}
    done = project.finished(run_id)
    assert (done.status, done.error and done.error.step) == ("failed", "b")


def test_steps_run_in_order_and_see_what_ran_before() -> None:
    made = plan(
        sets("a", n=1),
        steps("box", sets("b", n="${{ steps.a.output.n + 1 }}"), sets("c", n="${{ steps.b.output.n + 1 }}")),
        sets("d", n="${{ steps.c.output.n + 1 }}"),
        output="${{ steps.d.output.n }}",
    )
    done = run(made)
    assert done.output == 4
    assert done.statuses() == dict.fromkeys(("a", "b", "c", "box", "d"), "succeeded")
    assert "box" not in done.outputs()


def test_set_keeps_types_and_an_output_may_be_null() -> None:
    made = plan(
        sets("a", i="${{ 1 }}", d="${{ 1.0 }}", b="${{ true }}", n="${{ null }}", l="${{ [1, 'x'] }}", plain="1"),
        output="${{ type(steps.a.output.d) == double && type(steps.a.output.i) == int }}",
    )
    done = run(made)
    assert done.outputs()["a"] == {"i": 1, "d": 1.0, "b": True, "n": None, "l": [1, "x"], "plain": "1"}
    assert isinstance(done.outputs()["a"]["d"], float)
    assert done.output is True


CONTAINERS = [
    ("steps has none", steps("c", sets("x", n=1)), None),
    ("steps with output", steps("c", sets("x", n=1), output="${{ steps.x.output.n }}"), 1),
    ("parallel has none", parallel("c", sets("x", n=1), sets("y", n=2)), None),
    (
        "parallel with output sees its branches",
        parallel("c", sets("x", n=1), sets("y", n=2), output="${{ steps.x.output.n + steps.y.output.n }}"),
        3,
    ),
    ("empty parallel", parallel("c", output=1), 1),
    ("switch has the chosen step's", switch("c", sets("x", n=1)), {"n": 1}),
    ("switch with output", switch("c", sets("x", n=1), output="${{ steps.x.output.n }}"), 1),
    ("switch where nothing is true", switch("c", sets("x", n=1, condition="false")), None),
    ("switch where nothing is true, with output", switch("c", sets("x", n=1, condition="false"), output=5), 5),
    ("switch of nothing", switch("c"), None),
    ("nested switches", switch("c", switch("d", sets("x", n=1))), {"n": 1}),
]


@pytest.mark.parametrize(("part", "output"), [case[1:] for case in CONTAINERS], ids=[case[0] for case in CONTAINERS])
def test_a_container_has_the_output_that_it_says(part: Part, output: Any) -> None:
    done = run(plan(part, sets("seen", has="${{ has(steps.c.output) }}")))
    assert done.outputs().get("c") == output
    assert done.statuses()["c"] == "succeeded"
    assert done.outputs()["seen"] == {"has": output is not None}


@pytest.mark.parametrize(("n", "chosen"), [(1, "one"), (2, "two"), (3, "other")])
def test_switch_runs_the_first_whose_condition_is_true(n: int, chosen: str) -> None:
    made = plan(
        switch(
            "c",
            sets("one", v="one", condition="event.data.n == 1"),
            sets("two", v="two", condition="event.data.n <= 2"),
            sets("other", v="other"),
        ),
        sets("seen", one="${{ steps.one.status }}", two="${{ steps.two.status }}", other="${{ steps.other.status }}"),
    )
    done = run(made, {"n": n})
    assert done.outputs()["c"] == {"v": chosen}
    assert done.outputs()["seen"] == {
        key: "succeeded" if key == chosen else "skipped" for key in ("one", "two", "other")
    }


def test_a_step_whose_condition_is_false_is_skipped_with_all_that_lies_in_it() -> None:
    made = plan(
        steps("box", uses("inner"), condition="false"),
        sets(
            "seen", box="${{ steps.box.status }}", inner="${{ steps.inner.status }}", has="${{ has(steps.box.output) }}"
        ),
    )
    project = Project(made)
    done = project.go()
    assert project.order() == []
    assert done.statuses()["box"] == "skipped"
    assert done.outputs() == {"seen": {"box": "skipped", "inner": "skipped", "has": False}}


EXPRESSION_ERRORS = [
    ("an absent field in with", uses("a", given={"x": "${{ event.data.nope }}"}), {}),
    ("an absent field inside text", uses("a", given={"x": "hello ${{ event.data.nope }}"}), {}),
    ("null inside text", sets("a", x="hello ${{ event.data.empty }}"), {"empty": None}),
    ("a list inside text", sets("a", x="hello ${{ [1] }}"), {}),
    ("division by zero", sets("a", x="${{ 1 / 0 }}"), {}),
    ("a condition that is text", sets("a", x=1, condition="'true'"), {}),
    ("a condition that is a number", sets("a", x=1, condition="1"), {}),
    ("a condition that is null", sets("a", x=1, condition="null"), {}),
    ("a condition over an absent field", sets("a", x=1, condition="event.data.nope == 1"), {}),
    ("an output over an absent step", steps("a", output="${{ steps.b.output }}"), {}),
    ("an output of a skipped step", steps("a", sets("b", x=1, condition="false"), output="${{ steps.b.output }}"), {}),
    ("a sleep of a number", sleep("${{ 5 }}", "a"), {}),
    ("a sleep of nonsense", sleep("${{ 'soon' }}", "a"), {}),
    ("an emit whose id is a number", emit("x/y", key="a", ident="${{ 1 }}"), {}),
    ("an emit whose id is empty", emit("x/y", key="a", ident="${{ '' }}"), {}),
    ("an emit to FlowLang's own events", emit("pipeline/p.succeeded", key="a"), {}),
]


@pytest.mark.parametrize(
    ("part", "data"), [case[1:] for case in EXPRESSION_ERRORS], ids=[case[0] for case in EXPRESSION_ERRORS]
)
def test_what_cannot_be_computed_is_a_permanent_failure_of_its_step(part: Part, data: dict[str, Any]) -> None:
    project = Project(plan(part, uses("never")))
    done = project.go(data)
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.error_class, done.error.step) == ("permanent", "a")
    assert done.statuses()["a"] == "failed"
    assert project.order() == []


def test_a_condition_of_a_branch_or_a_case_that_errs_fails_its_container_where_it_can_be_caught() -> None:
    for make in (parallel, switch):
        made = plan(make("c", sets("x", n=1, condition="event.data.nope"), catch=(arm(output="caught"),)))
        assert run(made, {}).outputs()["c"] == "caught"


SLEEPS = [
    ("text", "1h30m", 5_400_000),
    ("milliseconds", "250ms", 250),
    ("a duration", "${{ duration('36h') }}", 129_600_000),
    ("a fraction of a second", "${{ duration('1500ms') }}", 1_500),
    ("finer than a millisecond is rounded up", "${{ duration('1us') }}", 1),
    ("a negative duration is none", "${{ duration('1s') - duration('5s') }}", 0),
    ("text from data", "${{ event.data.wait }}", 60_000),
    ("a timestamp", "${{ timestamp('2026-01-02T00:00:00Z') }}", DAY_MS),
    ("text of a timestamp", "2026-01-02T00:00:00Z", DAY_MS),
    ("a timestamp that has passed", "${{ timestamp('2020-01-01T00:00:00Z') }}", 0),
    ("from now", "${{ now() + duration('2h') }}", 7_200_000),
]


@pytest.mark.parametrize(("value", "ms"), [case[1:] for case in SLEEPS], ids=[case[0] for case in SLEEPS])
def test_sleep_lasts_as_long_as_it_says(value: str, ms: int) -> None:
    project = Project(plan(sleep(value, "nap"), uses("after")))
    done = project.go({"wait": "1m"})
    assert done.status == "succeeded"
    assert done.records["nap"].ended_ms - T0 == ms
    assert "nap" not in done.outputs()
    assert project.elapsed_ms() == ms


FAILS = [
    ("plain", fail("no.stock", "none left"), "permanent", "no.stock", "none left"),
    ("with templates", fail("c.${{ event.data.n }}", "n=${{ event.data.n }}"), "permanent", "c.3", "n=3"),
    ("a bool is written as JSON writes it", fail("c", "${{ event.data.n == 3 }}"), "permanent", "c", "true"),
    ("another class", fail("c", "m", error_class="transient"), "transient", "c", "m"),
    ("a message that is a list is an error itself", fail("c", "${{ [1] }}"), "permanent", "expression", None),
]


@pytest.mark.parametrize(
    ("part", "error_class", "code", "message"), [case[1:] for case in FAILS], ids=[case[0] for case in FAILS]
)
def test_fail_fails_with_its_class_code_and_message(
    part: Part, error_class: str, code: str, message: str | None
) -> None:
    done = run(plan(part), {"n": 3})
    assert done.status == "failed"
    assert done.error is not None
    assert (done.error.error_class, done.error.code) == (error_class, code)
    assert message is None or done.error.message == message


def test_a_tolerated_choice_leaves_the_switch_without_output() -> None:
    made = plan(switch("c", uses("a", tolerate=Tolerate())), sets("seen", has="${{ has(steps.c.output) }}"))
    done = run(made, a=script(broken()))
    assert done.statuses() == {"a": "failed", "c": "succeeded", "seen": "succeeded"}
    assert done.outputs() == {"seen": {"has": False}}


# emit ---------------------------------------------------------------------------------------------------------------


def listener(event: str = "shop/paid") -> Plan:
    return plan(
        uses("heard", given={"data": "${{ event.data }}", "id": "${{ event.id }}"}), pipeline="listener", on=event
    )


def test_an_emitted_event_starts_what_listens_and_its_id_is_the_output() -> None:
    project = Project(
        plan(emit("shop/paid", {"n": "${{ 1 }}"}, key="tell"), output="${{ steps.tell.output.id }}"), listener()
    )
    done = project.go()
    assert [call.arguments for call in project.calls] == [{"data": {"n": 1}, "id": done.output}]
    assert done.output


def test_ids_of_emitted_events_differ_between_instances_and_runs() -> None:
    project = Project(plan(emit("shop/paid", key="tell", foreach=Foreach("[1, 2]")), emit("shop/paid")), listener())
    project.go()
    project.go()
    ids = [call.arguments["id"] for call in project.calls]
    assert len(ids) == 6
    assert len(set(ids)) == 6


def test_an_emitted_id_that_was_used_before_is_the_same_event() -> None:
    made = plan(emit("shop/paid", ident="order-${{ event.data.n }}"))
    project = Project(made, listener())
    for n in (1, 2, 1):
        assert project.go({"n": n}).status == "succeeded"
    assert [call.arguments["id"] for call in project.calls] == ["order-1", "order-2"]


def test_an_emitted_event_that_does_not_fit_its_schema_fails_the_step_and_is_not_sent() -> None:
    schema = EventSchema("shop/paid", {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})
    assert not EventValidator(schema.schema).check({}).ok
    project = Simulation([plan(emit("shop/paid", {"m": 1}, key="tell")), listener()], {}, schemas=[schema])
    run_id = project.call("p")
    project.run_until_idle()
    done = project.finished(run_id)
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.code, done.error.step) == (
        "failed",
        "permanent",
        "event.invalid",
        "tell",
    )
    assert project.calls == []


def test_an_emit_that_is_not_reached_sends_nothing() -> None:
    project = Project(plan(stop(), emit("shop/paid")), listener())
    assert project.go().status == "succeeded"
    assert project.order() == []


# now, uuid, keys ----------------------------------------------------------------------------------------------------


def test_now_and_uuid_are_the_same_in_all_attempts_and_differ_between_steps() -> None:
    given = {"now": "${{ now() }}", "ids": ["${{ uuid() }}", "${{ uuid() }}"]}
    handler = script(broken("x", "transient"), broken("x", "transient"), {})
    made = plan(uses("a", given=given), uses("b", given=given))
    project = Project(made, a=handler)
    project.go()
    first, second, third = (call.arguments for call in handler.calls)
    assert first == second == third
    assert project.elapsed_ms() > 0
    other = project.calls[-1].arguments
    assert other["now"] != first["now"]
    assert len({*first["ids"], *other["ids"]}) == 4


def test_idempotency_keys_are_the_same_for_all_attempts_and_differ_between_instances_and_runs() -> None:
    made = plan(uses("a", foreach=Foreach("[1, 2]")), uses("b"))
    project = Project(made, b=script(broken("x", "transient"), {}))
    project.go()
    keys = {(call.instance, call.idempotency_key) for call in project.calls}
    assert len(keys) == len({key for _, key in keys}) == 3
    assert project.called("b") == 2
    project.go()
    assert len({call.idempotency_key for call in project.calls}) == 6


# Size ---------------------------------------------------------------------------------------------------------------


def test_thousands_of_steps_run_over_several_commits() -> None:
    count = 2_500
    project = Project(plan(*(sets(f"s{n}", n=n) for n in range(count)), uses("end")))
    done = project.go()
    assert done.status == "succeeded"
    assert len(done.records) == count + 1
    assert project.order() == ["end"]


def test_blocks_may_be_nested_deeply() -> None:
    part: Part = uses("core")
    for depth in range(60):
        part = steps(f"d{depth}", part) if depth % 2 else switch(f"d{depth}", part)
    done = run(plan(part))
    assert done.status == "succeeded"
    assert len(done.records) == 61


def test_run_and_event_are_readable_everywhere() -> None:
    made = plan(
        sets(
            "a", id="${{ run.id }}", pipeline="${{ run.pipeline }}", root="${{ run.root }}", at="${{ run.started_at }}"
        ),
        sets("b", name="${{ event.name }}", source="${{ event.source }}", data="${{ event.data }}"),
        sets("c", v="${{ vars.greeting }}"),
        vars=(("who", "${{ event.data.who }}"), ("greeting", "hello ${{ vars.who }}")),
    )
    done = run(made, {"who": "Ada"})
    assert done.outputs()["a"] == {"id": done.id, "pipeline": "p", "root": done.id, "at": "2026-01-01T00:00:00.000Z"}
    assert done.outputs()["b"] == {"name": "pipeline/p.called", "source": "api", "data": {"who": "Ada"}}
    assert done.outputs()["c"] == {"v": "hello Ada"}
