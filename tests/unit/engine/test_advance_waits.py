"""Waits for events: before, at the same moment and after; time-outs; counts; several waits; events that cancel a run."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.plan import CancelOn, Foreach, Repeat, Tolerate
from tests.unit.engine.building import Part, Project, arm, parallel, plan, race, sets, sleep, steps, uses, wait

#: Orders of events, turns and lost workers that the law is held to; a nightly job raises them to 100,000.
ORDERS = int(os.environ.get("FLOWLANG_ORDERS", "300"))

MINE = "incoming.data.order == event.data.order"
PAID = wait("paid", "shop/paid", MINE)


def order(number: int = 1) -> dict[str, Any]:
    return {"order": number}


def waiting(*parts: Part, number: int = 1, **more: Any) -> tuple[Project, str]:
    """A project whose run has come to its wait."""
    project = Project(plan(*parts, **more))
    run_id = project.call("p", order(number))
    project.run_ready()
    return project, run_id


def test_an_event_that_comes_later_is_taken() -> None:
    project, run_id = waiting(PAID, sets("seen", cents="${{ steps.paid.output.data.cents }}"))
    assert project.finished(run_id).status == "running"
    project.send("shop/paid", {"order": 1, "cents": 5})
    project.run_ready()
    done = project.finished(run_id)
    assert (done.status, done.outputs()["seen"]) == ("succeeded", {"cents": 5})
    assert sorted(done.outputs()["paid"]) == ["data", "id", "name", "source", "time"]


def test_an_event_that_came_before_the_wait_but_after_the_run_began_is_taken() -> None:
    project, run_id = waiting(sleep("1h"), PAID)
    project.send("shop/paid", order())
    project.run_until_idle()
    assert project.finished(run_id).status == "succeeded"


def test_an_event_from_before_the_run_is_not() -> None:
    project = Project(plan(PAID))
    project.send("shop/paid", order())
    project.clock.advance(1)
    run_id = project.call("p", order())
    project.run_until_idle()
    assert project.finished(run_id).status == "running"


def test_the_event_that_started_the_run_is_not_waited_for() -> None:
    project = Project(plan(wait("again", "shop/paid", MINE), on="shop/paid"))
    (first,) = project.send("shop/paid", order())
    project.run_ready()
    assert project.finished(first).status == "running"
    project.clock.advance(1)
    (second,) = project.send("shop/paid", order())
    project.run_ready()
    assert (project.finished(first).status, project.finished(second).status) == ("succeeded", "running")


def test_since_step_takes_only_what_comes_after_the_step_began() -> None:
    project, run_id = waiting(sleep("1h"), wait("paid", "shop/paid", MINE, since="step"))
    project.send("shop/paid", {"order": 1, "n": 1})
    project.run_until_idle()
    assert project.finished(run_id).status == "running"
    project.send("shop/paid", {"order": 1, "n": 2})
    project.run_ready()
    assert project.finished(run_id).outputs()["paid"]["data"]["n"] == 2


def test_the_look_back_ends_where_the_project_says() -> None:
    project, run_id = waiting(sleep("8d"), PAID)
    project.send("shop/paid", order())
    project.run_until_idle()
    assert project.finished(run_id).status == "running"


OTHERS: list[tuple[str, str, dict[str, Any]]] = [
    ("another value", "shop/paid", {"order": 2}),
    ("another name", "shop/refunded", {"order": 1}),
    ("a text of the same look", "shop/paid", {"order": "1"}),
    ("without the field", "shop/paid", {"other": 1}),
    ("without data that are a map", "shop/paid", {}),
]


@pytest.mark.parametrize(("name", "data"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS])
def test_what_does_not_match_is_passed_over(name: str, data: dict[str, Any]) -> None:
    project, run_id = waiting(PAID)
    project.send(name, data)
    project.run_ready()
    assert project.finished(run_id).status == "running"
    project.send("shop/paid", order())
    project.run_ready()
    assert project.finished(run_id).status == "succeeded"


MATCHES: list[tuple[str, str, dict[str, Any], bool]] = [
    ("any", "true", {}, True),
    ("more than the equality, true", f"{MINE} && incoming.data.cents > 100", {"order": 1, "cents": 101}, True),
    ("more than the equality, false", f"{MINE} && incoming.data.cents > 100", {"order": 1, "cents": 100}, False),
    ("more than the equality, no value", f"{MINE} && incoming.data.cents > 100", {"order": 1}, False),
    ("an int and a double", "incoming.data.order == 1.0", {"order": 1}, True),
    ("the other way round", "event.data.order == incoming.data.order", {"order": 1}, True),
    ("a list", "incoming.data.tags == ['a', 'b']", {"tags": ["a", "b"]}, True),
    ("another list", "incoming.data.tags == ['a', 'b']", {"tags": ["a"]}, False),
    ("null", "incoming.data.order == null", {"order": None}, True),
    ("by name", "incoming.name == 'shop/paid'", {}, True),
    ("of several", "incoming.data.order in [event.data.order]", {"order": 1}, True),
]


@pytest.mark.parametrize(("match", "data", "taken"), [case[1:] for case in MATCHES], ids=[case[0] for case in MATCHES])
@pytest.mark.parametrize("early", [False, True], ids=["after", "before"])
def test_match_decides(match: str, data: dict[str, Any], taken: bool, early: bool) -> None:
    project, run_id = waiting(*([sleep("1h")] if early else []), wait("paid", "shop/paid", match))
    project.send("shop/paid", data)
    project.run_until_idle()
    assert (project.finished(run_id).status == "succeeded") is taken


def test_a_pattern_stands_for_the_last_segment() -> None:
    project, run_id = waiting(wait("any", "mux/*", "incoming.data.order == event.data.order"))
    project.send("mux/ready/late", order())
    project.run_ready()
    assert project.finished(run_id).status == "running"
    project.send("mux/ready", order())
    project.run_ready()
    assert project.finished(run_id).outputs()["any"]["name"] == "mux/ready"


# Time-outs ----------------------------------------------------------------------------------------------------------


def test_a_wait_that_runs_out_has_timed_out() -> None:
    project, run_id = waiting(wait("paid", "shop/paid", MINE, timeout="3d"))
    project.run_until_idle()
    done = project.finished(run_id)
    assert done.error is not None
    assert (done.status, done.statuses()["paid"], done.error.error_class) == ("failed", "timed_out", "timeout")
    assert project.elapsed_ms() == 3 * 86_400_000


def test_a_timeout_may_be_computed_and_be_a_moment() -> None:
    for text, ms in [("${{ duration('2h') }}", 7_200_000), ("2026-01-01T00:30:00Z", 1_800_000)]:
        project, _ = waiting(wait("paid", "shop/paid", MINE, timeout=text))
        project.run_until_idle()
        assert project.elapsed_ms() == ms


def test_a_timeout_can_be_tolerated_and_caught() -> None:
    late = wait("paid", "shop/paid", MINE, timeout="1h", tolerate=Tolerate(("timeout",)))
    project, run_id = waiting(late, sets("seen", s="${{ steps.paid.status }}"))
    project.run_until_idle()
    assert project.finished(run_id).outputs()["seen"] == {"s": "timed_out"}
    caught = wait("paid", "shop/paid", MINE, timeout="1h", catch=(arm(errors=("timeout",), output="late"),))
    project, run_id = waiting(caught)
    project.run_until_idle()
    assert project.finished(run_id).outputs()["paid"] == "late"


def test_what_comes_after_the_time_is_up_changes_nothing() -> None:
    project, run_id = waiting(wait("paid", "shop/paid", MINE, timeout="1h", tolerate=Tolerate()), sleep("1h"))
    project.clock.advance(3_600_000)
    project.run_ready()
    project.send("shop/paid", order())
    project.run_until_idle()
    assert project.finished(run_id).statuses()["paid"] == "timed_out"


def test_a_race_with_a_sleep_bounds_a_wait() -> None:
    project, run_id = waiting(race("r", PAID, steps("late", sleep("1h"), output="late")))
    project.run_until_idle()
    assert project.finished(run_id).outputs()["r"] == "late"
    project, run_id = waiting(race("r", PAID, sleep("1h", "late")), sets("n", v="${{ steps.r.output.data.order }}"))
    project.send("shop/paid", order())
    project.run_until_idle()
    assert (project.finished(run_id).outputs()["n"], project.elapsed_ms()) == ({"v": 1}, 0)


# Counts and several waits -------------------------------------------------------------------------------------------


def test_a_count_collects_events_in_the_order_in_which_they_came() -> None:
    project, run_id = waiting(wait("all", "shop/paid", MINE, count=3))
    for number in range(4):
        project.clock.advance(1)
        project.send("shop/paid", {"order": 1, "n": number})
        project.run_ready()
    done = project.finished(run_id)
    assert [event["data"]["n"] for event in done.outputs()["all"]] == [0, 1, 2]


def test_two_steps_may_take_the_same_event() -> None:
    project, run_id = waiting(parallel("both", wait("a", "shop/paid", MINE), wait("b", "shop/paid", MINE)))
    project.send("shop/paid", order())
    project.run_ready()
    outputs = project.finished(run_id).outputs()
    assert outputs["a"] == outputs["b"]


def test_a_step_in_items_takes_an_event_once_over_all_of_them() -> None:
    project, run_id = waiting(wait("each", "shop/paid", MINE, foreach=Foreach("[1, 2, 3]")))
    for number in range(3):
        project.send("shop/paid", {"order": 1, "n": number})
        project.run_ready()
        taken = [name for name in project.finished(run_id).outputs() if name.startswith("each[")]
        assert len(taken) == number + 1
    done = project.finished(run_id)
    assert sorted(done.outputs()[f"each[{n}]"]["data"]["n"] for n in range(3)) == [0, 1, 2]


def test_a_step_in_rounds_takes_an_event_once_over_all_of_them() -> None:
    done_when = "steps.next.output.data.last"
    project, run_id = waiting(wait("next", "shop/paid", MINE, repeat=Repeat(done_when)), uses("after"))
    for last in (False, False, True):
        project.clock.advance(1)
        project.send("shop/paid", {"order": 1, "last": last})
        project.run_ready()
    done = project.finished(run_id)
    assert done.status == "succeeded"
    assert sorted(done.records) == ["after", "next", "next[0]", "next[1]", "next[2]"]
    assert len({done.outputs()[f"next[{n}]"]["id"] for n in range(3)}) == 3


def test_two_runs_take_the_same_event() -> None:
    project = Project(plan(PAID))
    runs = [project.call("p", order()) for _ in range(2)]
    project.run_ready()
    project.send("shop/paid", order())
    project.run_ready()
    assert [project.finished(run_id).status for run_id in runs] == ["succeeded", "succeeded"]


def test_a_wait_whose_value_cannot_be_computed_fails_the_step() -> None:
    project, run_id = waiting(wait("paid", "shop/paid", "incoming.data.order == event.data.nope"))
    done = project.finished(run_id)
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.step) == ("failed", "permanent", "paid")
    assert "nope" in done.error.message


# Ends ---------------------------------------------------------------------------------------------------------------


def test_a_cancel_ends_a_wait() -> None:
    project, run_id = waiting(wait("paid", "shop/paid", MINE, timeout="1h", final=(uses("tidy"),)))
    project.cancel(run_id)
    project.run_until_idle()
    done = project.finished(run_id)
    assert (done.status, done.statuses()["paid"], project.order()) == ("cancelled", "cancelled", ["tidy"])
    assert project.elapsed_ms() == 0


def test_a_worker_that_is_lost_at_a_wait_costs_nothing() -> None:
    project, run_id = waiting(PAID)
    project.send("shop/paid", order())
    row = project.claim()
    assert row is not None
    project.lose_worker()
    project.run_until_idle()
    assert project.finished(run_id).status == "succeeded"


CANCEL = (CancelOn(("shop/cancelled",), MINE),)


def test_an_event_cancels_the_run_from_its_creation_on() -> None:
    for began in (False, True):
        project = Project(plan(sleep("1h"), uses("after"), cancel_on=CANCEL))
        run_id = project.call("p", order())
        if began:
            project.run_ready()
        project.send("shop/cancelled", order(2))
        project.send("shop/cancelled", order())
        project.run_until_idle()
        done = project.finished(run_id)
        assert done.error is not None
        assert (done.status, project.called("after"), project.elapsed_ms()) == ("cancelled", 0, 0)
        assert done.error.message.startswith("cancelled by shop/cancelled ")


def test_an_event_from_before_the_run_does_not_cancel_it() -> None:
    project = Project(plan(sleep("1h"), cancel_on=CANCEL))
    project.send("shop/cancelled", order())
    run_id = project.call("p", order())
    project.run_until_idle()
    assert project.finished(run_id).status == "succeeded"


def test_a_deploy_does_not_take_events_from_those_who_wait() -> None:
    project, run_id = waiting(PAID)
    project.deploy([plan(sets("x", v=1))])
    project.send("shop/paid", order())
    project.run_ready()
    assert project.finished(run_id).status == "succeeded"


# Laws ---------------------------------------------------------------------------------------------------------------

HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["event", "other", "wait", "step", "worker lost"]), st.integers(0, 2)), max_size=14
)


@pytest.mark.timeout(max(120, ORDERS // 50))  # as long as a nightly number takes
@settings(max_examples=ORDERS, deadline=None)
@given(HAPPENINGS, st.integers(1, 3), st.sampled_from(["line", "items", "rounds"]))
def test_no_event_is_missed_and_none_is_taken_twice(happenings: list[tuple[str, int]], count: int, where: str) -> None:
    """Events before, at the moment of, and after the waits; in every order with turns, pauses and lost workers."""
    made = {
        "line": steps("all", *(wait(f"w{n}", "shop/paid", MINE) for n in range(count))),
        "items": wait("all", "shop/paid", MINE, foreach=Foreach(str(list(range(count))))),
        "rounds": wait("all", "shop/paid", MINE, repeat=Repeat(f"index == {count - 1}")),
    }[where]
    project = Project(plan(sleep("2ms"), made))
    run_id = project.call("p", order())
    sent: list[str] = []
    for place, (kind, number) in enumerate(happenings):
        project.clock.advance(number)
        if kind in {"event", "other"}:
            project.send("shop/paid", order(1 if kind == "event" else 2), ident=f"e{place}")
            sent += [f"e{place}"] if kind == "event" else []
        elif kind != "wait" and (row := project.claim()) is not None:
            if kind == "step":
                project.work(row)
            else:
                project.lose_worker()
    project.run_until_idle()
    done = project.finished(run_id)
    names = [f"w{n}" for n in range(count)] if where == "line" else [f"all[{n}]" for n in range(count)]
    taken = [done.outputs()[name]["id"] for name in names if name in done.outputs()]
    assert (done.status == "succeeded") is (len(taken) == count)
    assert set(taken) <= set(sent)
    if where == "line":
        assert len(taken) == (count if sent else 0)  # each step may take the same event
    else:
        assert len(taken) == len(set(taken)) == min(count, len(sent))
