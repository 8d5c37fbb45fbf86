"""Loops: instances, how many at once, the one join, outputs, `collect` and `tolerate`; and branches side by side."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.turn import Call
from flowlang.plan import Foreach, RetryRule, Tolerate
from tests.unit.engine.building import (
    UNSET,
    Part,
    Project,
    arm,
    broken,
    echo,
    emit,
    fail,
    parallel,
    plan,
    run,
    sets,
    sleep,
    steps,
    stop,
    switch,
    uses,
)

DATA = Foreach("event.data")
RESULTS = "${{ results }}"


def bad_items(*bad: Any, code: str = "bad", error_class: str = "permanent") -> Any:
    """A handler that fails for some of its items and gives back the others."""

    def handler(call: Call) -> Any:
        if call.arguments["item"] in bad:
            raise broken(code, error_class)
        return call.arguments["item"]

    return handler


def each(key: str = "each", *, foreach: Foreach = DATA, **more: Any) -> Part:
    return uses(key, given={"item": "${{ item }}"}, foreach=foreach, **more)


@pytest.mark.parametrize("count", [0, 1, 2, 11, 1_000])
def test_a_loop_runs_once_an_item_and_joins_once(count: int) -> None:
    project = Project(plan(each(), uses("after"), output="${{ steps.each.output.map(each, each.item) }}"))
    done = project.go(list(range(count)))
    assert done.output == list(range(count))
    assert project.called("each") == count
    assert project.called("after") == 1
    assert sum(entry["kind"] == "group.started" for entry in project.journal(done.id)) == 1
    assert done.statuses() == {"each": "succeeded", "after": "succeeded"} | {
        f"each[{index}]": "succeeded" for index in range(count)
    }


def test_items_are_named_bound_and_numbered() -> None:
    made = plan(
        uses("a", given={"name": "${{ page.name }}", "at": "${{ index }}"}, foreach=Foreach("event.data", name="page"))
    )
    project = Project(made)
    project.go([{"name": "x"}, {"name": "y"}])
    assert [(call.instance, call.arguments) for call in project.calls] == [
        ("a[0]", {"name": "x", "at": 0}),
        ("a[1]", {"name": "y", "at": 1}),
    ]


def test_a_chunk_makes_lists_of_so_many() -> None:
    assert run(
        plan(each(foreach=Foreach("event.data", chunk=2)), output="${{ steps.each.output }}"), [1, 2, 3]
    ).output == [
        {"item": [1, 2]},
        {"item": [3]},
    ]


@pytest.mark.parametrize("limit", [1, 3, 10, 50])
def test_no_more_items_are_alive_than_max_parallel_says(limit: int) -> None:
    made = plan(steps("each", sleep("1m"), uses("inner"), foreach=Foreach("event.data", max_parallel=limit)))
    project = Project(made)
    run_id = project.call("p", list(range(20)))
    project.run_ready()
    asleep = project.store.run(run_id)
    assert asleep is not None
    assert len(asleep.timers) == min(limit, 20)
    project.run_until_idle()
    assert project.called("inner") == 20
    assert project.elapsed_ms() == 60_000 * -(-20 // limit)


@pytest.mark.parametrize("value", ["5", "'text'", "null", "{'a': 1}", "true", "event.data.nope"])
def test_what_is_no_list_fails_the_loop_for_good(value: str) -> None:
    project = Project(plan(each(foreach=Foreach(value), tolerate=Tolerate())))
    done = project.go({})
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.step) == ("failed", "permanent", "each")
    assert project.order() == []


def test_nested_loops_have_instances_by_their_items() -> None:
    inner = uses(
        "notify",
        given={"page": "${{ page.name }}", "to": "${{ user }}", "at": "${{ index }}"},
        foreach=Foreach("page.users", name="user"),
    )
    size = sets("size", n="${{ page.users.size() }}")
    pages = steps(
        "pages",
        size,
        inner,
        foreach=Foreach("event.data", name="page"),
        output="${{ [index, steps.notify.output.size(), steps.size.output.n] }}",
    )
    made = plan(pages, output="${{ steps.pages.output }}")
    project = Project(made)
    done = project.go([{"name": "a", "users": []}, {"name": "b", "users": ["x", "y"]}])
    assert done.output == [[0, 0, 0], [1, 2, 2]]
    assert {call.instance: call.arguments for call in project.calls} == {
        "pages[1].notify[0]": {"page": "b", "to": "x", "at": 0},
        "pages[1].notify[1]": {"page": "b", "to": "y", "at": 1},
    }
    assert {"pages[0]", "pages[0].notify", "pages[1].size", "pages[1].notify[1]"} <= done.records.keys()


def test_an_item_goes_through_all_kinds_of_blocks_and_sees_its_own_steps() -> None:
    body = steps(
        "each",
        sets("a", v="${{ item }}"),
        parallel(
            "both",
            sets("left", v="${{ steps.a.output.v + 1 }}"),
            steps("right", sets("r", v="${{ steps.a.output.v + index }}"), output="${{ steps.r.output.v }}"),
        ),
        switch("kind", sets("even", v="even", condition="item % 2 == 0"), sets("odd", v="odd")),
        foreach=DATA,
        output="${{ [steps.left.output.v, steps.right.output, steps.kind.output.v] }}",
    )
    done = run(plan(body, output="${{ steps.each.output }}"), [10, 21])
    assert done.output == [[11, 10, "even"], [22, 22, "odd"]]
    assert {"each[0].left", "each[1].right", "each[1].r", "each[1].odd", "each[0].both"} <= done.records.keys()


def test_a_loop_over_a_container_of_each_kind() -> None:
    for make in (steps, parallel, switch):
        made = plan(make("each", uses("inner", given={"v": "${{ item }}"}), foreach=DATA))
        project = Project(made)
        assert project.go([1, 2]).status == "succeeded"
        assert project.order() == ["each[0].inner", "each[1].inner"]


def test_large_nested_loops() -> None:
    made = plan(
        steps(
            "rows",
            uses("cells", given={"v": "${{ row * 30 + cell }}"}, foreach=Foreach("event.data", name="cell")),
            foreach=Foreach("event.data", name="row"),
            output="${{ sum(steps.cells.output.map(c, c.v)) }}",
        ),
        output="${{ sum(steps.rows.output) }}",
    )
    project = Project(made)
    done = project.go(list(range(30)))
    assert done.output == sum(range(900))
    assert project.called("cells") == 900


# Outputs ------------------------------------------------------------------------------------------------------------


def test_the_output_is_in_item_order_with_null_where_one_failed() -> None:
    made = plan(each(tolerate=Tolerate()), output="${{ steps.each.output }}")
    assert run(made, [1, 2, 3], each=bad_items(2)).output == [1, None, 3]


def test_a_loop_that_is_chosen_by_a_switch_gives_its_list_to_it() -> None:
    made = plan(switch("c", each()), sleep("1s"), sets("seen", v="${{ steps.c.output.map(x, x.item) }}"))
    assert run(made, [1, 2]).outputs()["seen"] == {"v": [1, 2]}


@pytest.mark.parametrize("collect", [UNSET, "${{ results.map(r, r.output) }}"], ids=["plain", "collected"])
def test_a_loop_inside_the_choice_of_an_item_gives_its_list_to_the_item(collect: Any) -> None:
    inner = uses("inner", given={"v": "${{ other }}"}, foreach=Foreach("[item, item + 1]", name="other"))
    made = plan(
        switch("each", switch("deep", inner), foreach=DATA, collect=collect),
        sleep("1s"),
        output="${{ steps.each.output.map(l, l.map(o, o.v)) }}",
    )
    assert run(made, [1, 5]).output == [[1, 2], [5, 6]]


def test_collect_sees_all_five_fields_of_every_item() -> None:
    made = plan(each(collect={"all": RESULTS}, tolerate=Tolerate()), sleep("1s"), output="${{ steps.each.output.all }}")
    output = run(made, ["a", "b"], each=bad_items("b")).output
    error = {"class": "permanent", "code": "bad", "message": "it is bad", "step": "each[1]", "attempts": 1}
    assert output == [
        {"item": "a", "index": 0, "status": "succeeded", "output": "a", "error": None},
        {"item": "b", "index": 1, "status": "failed", "output": None, "error": error},
    ]


def test_collect_of_no_items_sees_an_empty_list() -> None:
    assert run(plan(each(collect="${{ results.size() }}"), output="${{ steps.each.output }}"), []).output == 0


def test_collect_sees_earlier_steps_and_enclosing_items() -> None:
    inner = each(
        "inner", foreach=Foreach("[1, 2]", name="item"), collect="${{ [page, steps.base.output.n, results.size()] }}"
    )
    made = plan(
        sets("base", n=7),
        steps("pages", inner, foreach=Foreach("event.data", name="page"), output="${{ steps.inner.output }}"),
        output="${{ steps.pages.output }}",
    )
    assert run(made, ["x", "y"]).output == [["x", 7, 2], ["y", 7, 2]]


def test_a_collect_that_errs_fails_the_loop_even_where_items_are_tolerated() -> None:
    done = run(plan(each(collect="${{ results[9].item }}", tolerate=Tolerate())), [1])
    assert done.error is not None
    assert (done.status, done.error.error_class, done.error.step) == ("failed", "permanent", "each")


# Failures -----------------------------------------------------------------------------------------------------------


def test_the_first_failure_starts_no_new_item_and_lets_the_running_ones_end() -> None:
    body = steps(
        "each",
        uses("one", given={"item": "${{ item }}"}),
        sleep("1m"),
        uses("two"),
        foreach=Foreach("event.data", max_parallel=3),
    )
    project = Project(plan(body), one=bad_items(1))
    done = project.go([0, 1, 2, 3, 4])
    assert done.error is not None
    assert (done.error.code, done.error.step, done.error.failed) == ("bad", "each[1].one", 1)
    assert project.order() == ["each[0].one", "each[1].one", "each[2].one", "each[0].two", "each[2].two"]
    assert {
        name: status for name, status in done.statuses().items() if name.count("[") == 1 and name.endswith("]")
    } == {
        "each[0]": "succeeded",
        "each[1]": "failed",
        "each[2]": "succeeded",
    }
    assert done.statuses()["each"] == "failed"


TOLERANCES = [
    ("nothing", None, [1], "failed"),
    ("any failure", Tolerate(), [0, 1, 2, 3], "succeeded"),
    ("a class", Tolerate(errors=("permanent",)), [0, 3], "succeeded"),
    ("another class", Tolerate(errors=("resource",)), [0], "failed"),
    ("a code", Tolerate(errors=("bad",)), [0, 3], "succeeded"),
    ("another code", Tolerate(errors=("worse",)), [0], "failed"),
    ("a prefix", Tolerate(errors=("ba.*",)), [0], "failed"),
    ("a count that is kept", Tolerate(failed=2), [0, 3], "succeeded"),
    ("a count of none", Tolerate(failed=0), [0], "failed"),
    ("a count of none without failures", Tolerate(failed=0), [], "succeeded"),
    ("a count that is passed", Tolerate(failed=2), [0, 1, 3], "failed"),
    ("a share that is kept", Tolerate(failed_percent=50), [0, 3], "succeeded"),
    ("a share that is passed", Tolerate(failed_percent=50), [0, 1, 3], "failed"),
    ("less than one item", Tolerate(failed_percent=24.9), [0], "failed"),
    ("exactly one item", Tolerate(failed_percent=25), [0], "succeeded"),
    ("a count of a class", Tolerate(errors=("permanent",), failed=1), [0], "succeeded"),
    ("a count of a class, passed", Tolerate(errors=("permanent",), failed=1), [0, 1], "failed"),
    ("a count of another class", Tolerate(errors=("resource",), failed=3), [0], "failed"),
]


@pytest.mark.parametrize(
    ("tolerate", "bad", "status"), [case[1:] for case in TOLERANCES], ids=[case[0] for case in TOLERANCES]
)
def test_a_loop_tolerates_what_it_says_and_no_more(tolerate: Tolerate | None, bad: list[int], status: str) -> None:
    made = plan(each(tolerate=tolerate), uses("after"))
    project = Project(made, each=bad_items(*bad))
    done = project.go([0, 1, 2, 3])
    assert done.status == status
    assert done.statuses()["each"] == status
    assert project.called("after") == (status == "succeeded")
    for index in bad:
        assert done.statuses().get(f"each[{index}]", "failed") == "failed"


def test_shares_are_counted_exactly() -> None:
    made = plan(each(foreach=Foreach("event.data", max_parallel=1_000), tolerate=Tolerate(failed_percent=33.3)))
    assert run(made, list(range(1_000)), each=bad_items(*range(333))).status == "succeeded"
    assert run(made, list(range(1_000)), each=bad_items(*range(334))).status == "failed"


def test_what_is_not_tolerated_by_its_kind_outweighs_what_was() -> None:
    def handler(call: Call) -> Any:
        raise broken("mild" if call.instance == "each[0]" else "grave")

    done = run(plan(each(tolerate=Tolerate(errors=("mild",), failed=5))), [1, 2], each=handler)
    assert done.error is not None
    assert (done.error.code, done.error.step, done.error.failed) == ("grave", "each[1]", 2)


def test_catch_retry_and_finally_are_each_items_own() -> None:
    made = plan(
        each(
            catch=(arm(sets("handled", v="${{ item }}"), errors=("bad",), output="caught ${{ item }}"),),
            final=(uses("cleanup", given={"v": "${{ item }}"}),),
            retry=((RetryRule(errors=("flaky",), attempts=3, jitter="none"),),),
        ),
        output="${{ steps.each.output }}",
    )

    def handler(call: Call) -> Any:
        if call.arguments["item"] == 2:
            raise broken("bad")
        if call.arguments["item"] == 3 and call.attempt < 3:
            raise broken("flaky")
        return call.arguments["item"]

    project = Project(made, each=handler, cleanup=echo)
    done = project.go([1, 2, 3])
    assert done.output == [1, "caught 2", 3]
    assert [done.records[f"each[{n}]"].attempts for n in range(3)] == [1, 1, 3]
    assert sorted(name for name in project.order() if "cleanup" in name) == [f"each[{n}].cleanup" for n in range(3)]
    assert done.outputs()["each[1].handled"] == {"v": 2}


def test_a_loop_of_emits_sends_one_event_an_item() -> None:
    made = plan(
        emit("shop/paid", {"n": "${{ item }}"}, key="tell", foreach=DATA),
        output="${{ steps.tell.output.map(t, t.id) }}",
    )
    listener = plan(uses("heard", given={"n": "${{ event.data.n }}"}), pipeline="listener", on="shop/paid")
    project = Project(made, listener)
    done = project.go([1, 2, 3])
    assert sorted(call.arguments["n"] for call in project.calls) == [1, 2, 3]
    assert len(set(done.output)) == 3


def test_a_loop_of_sleeps_sleeps_side_by_side() -> None:
    project = Project(plan(sleep("${{ item }}", "nap", foreach=DATA)))
    done = project.go(["1m", "3m", "2m"])
    assert done.status == "succeeded"
    assert project.elapsed_ms() == 180_000


# Branches -----------------------------------------------------------------------------------------------------------


def test_branches_run_side_by_side_and_join_once() -> None:
    made = plan(
        parallel("all", steps("a", sleep("2m"), uses("x")), steps("b", sleep("1m"), uses("y")), uses("z")),
        uses("after"),
    )
    project = Project(made)
    done = project.go()
    assert project.order() == ["z", "y", "x", "after"]
    assert project.elapsed_ms() == 120_000
    assert done.status == "succeeded"


def test_the_first_failure_cancels_the_other_branches_and_their_finally_runs() -> None:
    made = plan(
        parallel(
            "all",
            steps("a", sleep("1m"), fail("broke")),
            steps(
                "b", sleep("1h", "nap"), uses("never"), final=(uses("cleanup", given={"why": "${{ error.class }}"}),)
            ),
            uses("c"),
        ),
        uses("after"),
    )
    project = Project(made)
    done = project.go()
    assert done.error is not None
    assert (done.status, done.error.code, done.error.failed) == ("failed", "broke", None)
    assert project.order() == ["c", "cleanup"]
    assert done.outputs()["cleanup"] == {"why": "cancelled"}
    assert done.statuses() == {
        "a": "failed",
        "b": "cancelled",
        "nap": "cancelled",
        "c": "succeeded",
        "cleanup": "succeeded",
        "all": "failed",
    }
    assert project.elapsed_ms() == 60_000


def test_a_tolerated_failure_and_a_skipped_branch_leave_the_others_alone() -> None:
    made = plan(
        parallel(
            "all", uses("a", tolerate=Tolerate()), uses("b", condition="false"), steps("c", sleep("1m"), uses("d"))
        ),
        sets("seen", a="${{ steps.a.status }}", code="${{ steps.a.error.code }}", b="${{ steps.b.status }}"),
    )

    def handler(call: Call) -> Any:
        raise broken()

    done = run(made, a=handler)
    assert done.outputs()["seen"] == {"a": "failed", "code": "broken", "b": "skipped"}
    assert done.statuses()["d"] == "succeeded"


def test_a_failing_branch_is_caught_at_its_container() -> None:
    made = plan(
        parallel("all", fail("broke"), sleep("1h"), catch=(arm(output="${{ error.code }}"),)),
        output="${{ steps.all.output }}",
    )
    project = Project(made)
    assert project.go().output == "broke"
    assert project.elapsed_ms() == 0


def test_stop_in_a_branch_ends_that_branch_alone() -> None:
    made = plan(parallel("all", steps("a", stop("early"), uses("never")), uses("b")), output="${{ steps.a.output }}")
    project = Project(made)
    assert project.go().output == "early"
    assert project.order() == ["b"]


def test_items_of_one_moment_begin_in_their_order() -> None:
    project = Project(plan(uses("each", foreach=Foreach(str(list(range(25))), max_parallel=3))))
    project.go()
    assert project.order() == [f"each[{number}]" for number in range(25)]
