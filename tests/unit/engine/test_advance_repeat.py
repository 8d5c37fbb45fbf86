"""Steps that are repeated until something is true: rounds, pauses, bounds, and what `last` and `until` see."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.machine import STEPS_A_TURN
from flowlang.plan import Foreach, Pause, Repeat, RetryRule, Tolerate
from tests.unit.engine.building import (
    CRASH,
    Part,
    Project,
    arm,
    broken,
    emit,
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

UP_TO_3 = Repeat("index == 2")
COUNT = sets("n", v="${{ last == null ? 1 : last.v + 1 }}", repeat=Repeat("steps.n.output.v >= 3"))


def test_rounds_follow_one_another_until_it_is_true() -> None:
    done = run(plan(COUNT))
    assert done.outputs() == {"n[0]": {"v": 1}, "n[1]": {"v": 2}, "n[2]": {"v": 3}, "n": {"v": 3}}


def test_the_first_round_sees_what_the_repeat_starts_with() -> None:
    done = run(plan(sets("n", v="${{ last.v * 2 }}", repeat=Repeat("last.v >= 8", start={"v": 1}))))
    assert [done.outputs()[f"n[{number}]"]["v"] for number in range(4)] == [2, 4, 8, 16]
    assert done.outputs()["n"] == {"v": 16}


def test_last_is_there_after_a_pause() -> None:
    counting = sets(
        "n", v="${{ last == null ? 1 : last.v + 1 }}", repeat=Repeat("last != null && last.v >= 3", every=Pause(1_000))
    )
    assert run(plan(counting)).outputs()["n"] == {"v": 4}


def test_last_is_null_in_the_first_round_without_a_start() -> None:
    done = run(plan(sets("n", none="${{ last == null }}", repeat=Repeat("true"))))
    assert done.outputs()["n"] == {"none": True}


def test_until_sees_this_round_and_last_is_still_the_one_before() -> None:
    until = "steps.n.output.v == 2 && last.v == 1 && steps.n.status == 'succeeded' && index == 1"
    done = run(plan(sets("n", v="${{ index + 1 }}", repeat=Repeat(until, limit=5))))
    assert sorted(done.records) == ["n", "n[0]", "n[1]"]


def test_until_sees_what_a_step_at_the_end_of_the_round_would() -> None:
    inside = steps(
        "box", sets("a", v="${{ index }}"), repeat=Repeat("steps.a.output.v == 1"), output="${{ steps.a.output.v }}"
    )
    done = run(plan(inside))
    assert done.outputs() == {"box[0].a": {"v": 0}, "box[1].a": {"v": 1}, "box[0]": 0, "box[1]": 1, "box": 1}


def test_a_handler_is_called_once_a_round_and_retried_within_it() -> None:
    flaky = script(broken("net", "transient"), {"done": False}, broken("net", "transient"), {"done": True})
    rule = ((RetryRule(("transient",), attempts=3, initial_ms=10),),)
    project = Project(plan(uses("poll", repeat=Repeat("steps.poll.output.done"), retry=rule)), poll=flaky)
    done = project.go()
    assert project.order() == ["poll[0]", "poll[0]", "poll[1]", "poll[1]"]
    assert [done.records[name].attempts for name in ("poll[0]", "poll[1]")] == [2, 2]
    assert len({call.idempotency_key for call in project.calls}) == 2


PAUSES: list[tuple[str, Pause, list[int]]] = [
    ("always the same", Pause(1_000), [0, 1_000, 2_000, 3_000]),
    ("growing", Pause(1_000, 2.0), [0, 1_000, 3_000, 7_000]),
    ("growing up to a bound", Pause(1_000, 3.0, 2_000), [0, 1_000, 3_000, 5_000]),
    ("with chance", Pause(1_000, 1.0, jitter="full"), [0, 500, 1_000, 1_500]),
    ("none", Pause(), [0, 0, 0, 0]),
]


@pytest.mark.parametrize(("every", "wanted"), [case[1:] for case in PAUSES], ids=[case[0] for case in PAUSES])
def test_rounds_begin_after_a_pause(every: Pause, wanted: list[int]) -> None:
    project = Project(plan(uses("poll", repeat=Repeat("index == 3", every=every))))
    run_id = project.call("p")
    project.run_until_idle()
    began = [project.finished(run_id).records[f"poll[{number}]"].started_ms for number in range(4)]
    assert [at - began[0] for at in began] == wanted


BOUNDS: list[tuple[str, Repeat, int]] = [
    ("rounds", Repeat("false", limit=3), 3),
    ("time", Repeat("false", for_ms=2_500, every=Pause(1_000)), 3),
    ("both, rounds first", Repeat("false", limit=2, for_ms=10_000, every=Pause(1_000)), 2),
    ("both, time first", Repeat("false", limit=9, for_ms=1_000, every=Pause(1_000)), 2),
]


@pytest.mark.parametrize(("repeat", "rounds"), [case[1:] for case in BOUNDS], ids=[case[0] for case in BOUNDS])
def test_a_loop_that_runs_out_is_timed_out(repeat: Repeat, rounds: int) -> None:
    project = Project(plan(uses("poll", repeat=repeat), uses("after")))
    done = project.go()
    assert (done.status, project.called("poll"), project.called("after")) == ("failed", rounds, 0)
    assert done.error is not None
    assert (done.error.error_class, done.error.code, done.error.step) == ("timeout", "repeat.exhausted", "poll")
    assert done.statuses()["poll"] == "timed_out"


def test_a_failed_round_ends_the_loop_with_its_error() -> None:
    project = Project(plan(uses("poll", repeat=Repeat("false", limit=5))), poll=script({}, broken()))
    done = project.go()
    assert done.error is not None
    assert (done.status, done.error.code, done.error.step) == ("failed", "broken", "poll[1]")
    assert done.statuses() == {"poll[0]": "succeeded", "poll[1]": "failed", "poll": "failed"}


def test_tolerate_speaks_of_the_whole_loop() -> None:
    made = plan(
        uses("poll", repeat=Repeat("false", limit=5), tolerate=Tolerate()), sets("seen", s="${{ steps.poll.status }}")
    )
    done = run(made, poll=script({}, broken()))
    assert (done.status, done.outputs()["seen"], done.statuses()["poll[1]"]) == ("succeeded", {"s": "failed"}, "failed")
    ran_out = run(plan(uses("poll", repeat=Repeat("false", limit=2), tolerate=Tolerate(("timeout",)))))
    assert (ran_out.status, ran_out.statuses()["poll"]) == ("succeeded", "timed_out")


def test_catch_and_finally_are_each_rounds_own() -> None:
    made = plan(
        uses(
            "poll",
            repeat=Repeat("steps.poll.output == 'ok'", limit=5),
            catch=(arm(sets("why", c="${{ error.code }}"), output="caught"),),
            final=(uses("tidy"),),
        )
    )
    project = Project(made, poll=script(broken("one"), "ok"))
    done = project.go()
    assert done.outputs()["poll[0]"] == "caught"
    assert done.outputs()["poll[0].why"] == {"c": "one"}
    assert project.order() == ["poll[0]", "poll[0].tidy", "poll[1]", "poll[1].tidy"]


def test_stop_ends_the_round_and_until_is_tested() -> None:
    inside = steps(
        "box",
        stop("${{ index }}", condition="index < 2"),
        uses("late"),
        repeat=Repeat("steps.box.output == 1"),
    )
    project = Project(plan(inside))
    done = project.go()
    assert (done.outputs()["box"], project.called("late")) == (1, 0)


def test_collect_makes_the_output_of_all_rounds() -> None:
    collect = "${{ results.map(r, r.output.v) }}"
    shape = "${{ results.map(r, [r.item, r.index, r.status, r.error]) }}"
    done = run(plan(sets("n", v="${{ index * 10 }}", repeat=UP_TO_3, collect=collect)))
    assert done.outputs()["n"] == [0, 10, 20]
    shaped = run(plan(sets("n", v=1, repeat=Repeat("true"), collect=shape)))
    assert shaped.outputs()["n"] == [[None, 0, "succeeded", None]]


def test_collect_reads_the_rounds_again_after_the_worker_has_changed() -> None:
    collect = "${{ results.map(r, r.output) }}"
    project = Project(
        plan(uses("poll", repeat=Repeat("index == 3", every=Pause(1_000)), collect=collect)), poll=script(1, 2, 3, 4)
    )
    assert project.go().outputs()["poll"] == [1, 2, 3, 4]


def test_a_loop_in_a_loop_counts_for_itself() -> None:
    inner = sets("inner", v="${{ last == null ? 0 : last.v + 1 }}", repeat=Repeat("index == 1"))
    made = plan(steps("out", inner, repeat=UP_TO_3, output="${{ steps.inner.output.v }}"))
    done = run(made)
    assert [name for name in done.records if name.startswith("out[2].")] == [
        "out[2].inner[0]",
        "out[2].inner[1]",
        "out[2].inner",
    ]
    assert done.outputs()["out"] == 1


def test_rounds_in_items_and_items_in_rounds() -> None:
    poll = sets("poll", v="${{ item * 10 + index }}", repeat=Repeat("index == 1"))
    items = steps("each", poll, foreach=Foreach("[1, 2]"), output="${{ steps.poll.output.v }}")
    assert run(plan(items)).outputs()["each[1]"] == 21
    loop = sets("each", v="${{ item }}", foreach=Foreach("[index, index + 1]"))
    outer = steps("again", loop, repeat=UP_TO_3, output="${{ steps.each.output }}")
    assert run(plan(outer)).outputs()["again"] == [{"v": 2}, {"v": 3}]


def test_branches_in_rounds_see_the_round() -> None:
    both = parallel("both", sets("x", v="${{ index }}"), sets("y", v="${{ last == null ? 'none' : last }}"))
    outer = steps("again", both, repeat=UP_TO_3, output="${{ steps.x.output.v }}")
    done = run(plan(outer))
    assert done.outputs()["again[2].x"] == {"v": 2}
    assert [done.outputs()[f"again[{n}].y"]["v"] for n in range(3)] == ["none", 0, 1]


def test_a_switch_is_chosen_anew_in_each_round() -> None:
    choice = switch("s", sets("a", v=1, condition="index == 0"), sets("b", v=2), repeat=Repeat("index == 1"))
    done = run(plan(choice))
    assert (done.outputs()["s[0]"], done.outputs()["s"]) == ({"v": 1}, {"v": 2})


def test_from_outside_only_the_loop_is_seen() -> None:
    done = run(plan(steps("box", sets("a", v=1), repeat=Repeat("true")), sets("after", s="${{ steps.box.status }}")))
    assert done.outputs()["after"] == {"s": "succeeded"}


ENDED_EARLY: list[tuple[str, Part]] = [
    ("in a pause", uses("poll", repeat=Repeat("false", limit=9, every=Pause(3_600_000)))),
    ("in a round", sleep("1h", "poll", repeat=Repeat("false", limit=9))),
    ("in what a round holds", steps("poll", sleep("1h", "in"), repeat=Repeat("false", limit=9))),
]


@pytest.mark.parametrize("part", [case[1] for case in ENDED_EARLY], ids=[case[0] for case in ENDED_EARLY])
def test_a_cancel_ends_a_loop(part: Part) -> None:
    project = Project(plan(part))
    run_id = project.call("p")
    project.run_ready()
    project.cancel(run_id)
    project.run_until_idle()
    done = project.finished(run_id)
    assert (done.status, done.statuses()["poll"], project.elapsed_ms()) == ("cancelled", "cancelled", 0)


@pytest.mark.parametrize("part", [case[1] for case in ENDED_EARLY], ids=[case[0] for case in ENDED_EARLY])
def test_a_container_that_runs_out_of_time_ends_a_loop_inside(part: Part) -> None:
    project = Project(plan(steps("box", part, timeout_ms=1_000, tolerate=Tolerate()), sets("after", v=1)))
    done = project.go()
    assert (done.status, done.statuses()["box"], done.statuses()["poll"]) == ("succeeded", "timed_out", "cancelled")
    assert done.statuses()["after"] == "succeeded"


WRONG: list[tuple[str, str, str]] = [
    ("not true or false", "1", "gives an int, not true or false"),
    ("an absent field", "steps.n.output.nope", "nope"),
]


@pytest.mark.parametrize(("until", "said"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_an_until_without_an_answer_fails_the_loop(until: str, said: str) -> None:
    done = run(plan(sets("n", v=1, repeat=Repeat(until, limit=3))))
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.code) == ("failed", "permanent", "expression")
    assert said in done.error.message


def test_a_lost_worker_repeats_the_round_that_it_was_in_and_no_other() -> None:
    project = Project(plan(uses("poll", repeat=UP_TO_3)), poll=script(1, CRASH, 2, 3))
    done = project.go()
    assert project.order() == ["poll[0]", "poll[1]", "poll[1]", "poll[2]"]
    assert done.outputs()["poll"] == 3


def test_many_rounds_take_several_turns() -> None:
    project = Project(plan(sets("n", v="${{ index }}", repeat=Repeat(f"index == {2 * STEPS_A_TURN}"))))
    done = project.go()
    assert done.outputs()["n"] == {"v": 2 * STEPS_A_TURN}


def test_each_round_emits_its_own_event() -> None:
    listener = plan(uses("heard"), pipeline="listener", on="shop/paid")
    project = Project(plan(emit("shop/paid", {"n": "${{ index }}"}, key="e", repeat=UP_TO_3)), listener)
    project.go()
    heard: list[Any] = [call.instance for call in project.calls]
    assert heard == ["heard"] * 3
