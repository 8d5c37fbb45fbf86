"""Replays: what is kept, what runs again, which keys it has, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.engine.checkpoints import Again, StartError, checkpoints
from flowlang.engine.program import Program
from flowlang.engine.replay import ReplayError, Wish, opened
from flowlang.engine.state import Record
from flowlang.engine.view import instance_key
from flowlang.plan import (
    Batch,
    Concurrency,
    Debounce,
    Foreach,
    Idempotency,
    Pause,
    Plan,
    RateLimit,
    Repeat,
    RetryRule,
    Throttle,
    Tolerate,
    Undo,
    Uses,
)
from flowlang.simulate import Handler
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    emit,
    invoke,
    parallel,
    plan,
    race,
    script,
    sets,
    sleep,
    steps,
    switch,
    uses,
    wait,
)
from tests.unit.engine.crashing import drive

EACH = Foreach("event.data.items")


def replayed(project: Project, run: str, start: str | None = None, **wish: Any) -> str:
    """Replay a run to its end."""
    project.calls.clear()
    again = project.replay(run, Wish(start=start, **wish))
    project.run_until_idle()
    return again


def ran(*parts: Part, data: Any = None, **handlers: Handler) -> tuple[Project, str]:
    project = Project(plan(*parts), rng=None, limits=None, **handlers)
    run = project.call("p", data)
    project.run_until_idle()
    return project, run


LINE = (uses("a"), sets("b", n="${{ 1 }}"), uses("c", given={"n": "${{ steps.b.output.n }}"}), uses("d"))
NESTED = (uses("a"), steps("s", uses("b"), switch("w", steps("x", uses("c"), uses("d")))), uses("e"))
LOOP = (uses("a"), steps("each", uses("b"), uses("c"), foreach=EACH), uses("d"))
ROUNDS = (uses("a"), steps("poll", uses("b"), uses("c"), repeat=Repeat("index == 2", every=Pause(60_000))), uses("d"))
BESIDE = (
    uses("a"),
    parallel("p1", steps("x", uses("b"), uses("c")), uses("y"), uses("z", needs=(0,)), uses("v", needs=(2,))),
    uses("d"),
)
RACING = (uses("a"), race("r", steps("x", uses("b"), uses("c"))), uses("d"))
CAUGHT = (uses("a"), uses("b", catch=(arm(uses("c"), uses("d")),)), uses("e"))
FINAL = (uses("a"), steps("s", uses("b"), final=(uses("c"),)), uses("d"))
CALLS = [
    (LINE, None, "a c d"),
    (LINE, "a", "a c d"),
    (LINE, "b", "c d"),
    (LINE, "d", "d"),
    (NESTED, "s", "b c d e"),
    (NESTED, "w", "c d e"),
    (NESTED, "d", "d e"),
    (NESTED, "e", "e"),
    (LOOP, "each", "each[0].b each[0].c each[1].b each[1].c d"),
    (LOOP, "b", "each[0].b each[0].c each[1].b each[1].c d"),
    (LOOP, "each[1]", "each[1].b each[1].c d"),
    (LOOP, "each[1].c", "each[1].c d"),
    (ROUNDS, "poll[1].c", "poll[1].c poll[2].b poll[2].c d"),
    (ROUNDS, "poll[2]", "poll[2].b poll[2].c d"),
    (BESIDE, "c", "c z v d"),
    (BESIDE, "y", "y d"),
    (BESIDE, "z", "z v d"),
    (RACING, "c", "b c d"),
    (CAUGHT, "d", "b c d e"),
    (FINAL, "c", "b c d"),
]


@pytest.mark.parametrize(("parts", "start", "calls"), CALLS)
def test_a_replay_calls_what_comes_at_and_after_its_start(
    parts: tuple[Part, ...], start: str | None, calls: str
) -> None:
    fails = script(broken(), broken()) if parts is CAUGHT else None
    project, run = ran(*parts, data={"items": [1, 2]}, **({} if fails is None else {"b": fails}))
    first = project.finished(run)
    again = replayed(project, run, start)
    assert project.order() == calls.split()
    assert project.finished(again).status == first.status == "succeeded"
    assert project.finished(again).statuses() == first.statuses()


def test_the_rounds_that_are_kept_are_passed_without_their_pauses() -> None:
    project, run = ran(*ROUNDS)
    before = project.elapsed_ms()
    replayed(project, run, "poll[2].c")
    assert project.elapsed_ms() == before


@pytest.mark.parametrize("turns", range(1, 9))
def test_a_replay_is_cancelled_at_any_turn_also_before_a_round_begins(turns: int) -> None:
    project, run = ran(*ROUNDS)
    again = project.replay(run, Wish(start="poll[1]"))
    drive(project, cancel=(again, turns))
    assert project.finished(again).status in {"cancelled", "succeeded"}


def test_only_the_items_that_failed_run_again() -> None:
    flaky = {"failing": True}

    def load(call: Any) -> Any:
        if flaky["failing"] and call.arguments["n"] == 2:
            raise broken("no.disk")
        return call.arguments["n"] * 10

    loop = uses("load", given={"n": "${{ item }}"}, foreach=EACH)
    total = sets("total", n="${{ sum(steps.load.output) }}")
    project, run = ran(loop, total, data={"items": [1, 2, 3]}, load=load)
    assert project.finished(run).status == "failed"
    flaky["failing"] = False
    again = project.finished(replayed(project, run, "load[1]"))
    assert project.order() == ["load[1]"]
    assert again.outputs()["total"] == {"n": 60}


def test_the_output_of_a_loop_that_is_kept_is_read_after_it() -> None:
    loop = uses("load", given={"n": "${{ item }}"}, foreach=EACH)
    project, run = ran(loop, uses("use", given={"all": "${{ steps.load.output }}"}), data={"items": [1, 2]})
    again = replayed(project, run, "use")
    assert project.calls[0].arguments == {"all": [{"n": 1}, {"n": 2}]}
    replayed(project, again, "load[0]")
    assert project.order() == ["load[0]", "use"]


def test_sleeps_and_emits_without_an_id_before_the_start_do_not_happen_again() -> None:
    project = Project(
        plan(sleep("1h"), emit("shop/paid"), uses("a"), emit("shop/sent")), plan(uses("h"), pipeline="l", on="shop/*")
    )
    run = project.go().id
    before = project.elapsed_ms()
    replayed(project, run, "a")
    assert project.elapsed_ms() == before
    # The event after the start has the id that it had, so it is the same event.
    assert project.order() == ["a"]


def test_a_wait_that_is_done_again_looks_back_to_the_event_of_the_first_run() -> None:
    parts = (uses("a"), wait("answer", "shop/answer", "incoming.data.n == 1", timeout="1h"), uses("b"))
    project = Project(plan(*parts, on="shop/order"))
    (run,) = project.send("shop/order", {})
    project.run_ready()
    project.send("shop/answer", {"n": 1})
    project.run_until_idle()
    again = project.finished(replayed(project, run))
    assert again.statuses()["answer"] == "succeeded"


def test_the_event_of_a_replay_is_no_new_one_for_those_that_wait() -> None:
    waiting = plan(wait("again", "shop/order", timeout="1h"), uses("b"), pipeline="waiting", on="shop/start")
    project = Project(plan(uses("a"), on="shop/order"), waiting)
    (run,) = project.send("shop/order", {})
    project.run_until_idle()
    project.clock.advance(1_000)
    (other,) = project.send("shop/start", {})
    project.run_ready()
    project.replay(run)
    project.run_ready()
    assert project.finished(other).status == "running"


def test_an_undo_that_was_cut_off_counts_as_tried() -> None:
    slow = Undo(Uses("unbook"), retry=((RetryRule(attempts=100, initial_ms=3_600_000, max_ms=3_600_000),),))
    project, run = ran(
        uses("book", undo=slow), uses("ship"), unbook=script(broken("busy", "transient")), ship=script(broken())
    )
    done = project.finished(run)
    assert (done.status, "book.undo" in done.records) == ("failed", False)
    again = replayed(project, run)
    assert {call.instance: call.idempotency_key for call in project.calls}["book"] == instance_key(again, "book")


def test_a_replay_passes_by_what_holds_events_back() -> None:
    held: dict[str, Any] = {
        "idempotency": Idempotency("'k'"),
        "rate_limit": RateLimit(1, 3_600_000),
        "debounce": Debounce(60_000),
    }
    project = Project(plan(uses("a"), on="shop/order", **held))
    (run,) = project.send("shop/order", {})
    project.run_until_idle()
    before = project.elapsed_ms()
    again = project.replay(run)
    project.run_ready()
    assert (project.finished(again).status, project.elapsed_ms()) == ("succeeded", before)


def test_a_replay_waits_for_throttle_and_concurrency_like_any_run() -> None:
    project = Project(
        plan(uses("a"), sleep("1m"), throttle=Throttle(1, 600_000), concurrency=Concurrency(1, hold="run"))
    )
    run = project.go().id
    again = [project.replay(run) for _ in range(2)]
    project.run_until_idle()
    assert [project.finished(each).status for each in again] == ["succeeded", "succeeded"]
    assert project.elapsed_ms() >= 20 * 60_000


def test_a_replay_of_a_batch_has_its_events_and_no_other_ones() -> None:
    batch = plan(
        uses("a", given={"n": "${{ events.map(e, e.data.n) }}"}), uses("b"), on="shop/order", batch=Batch(2, 60_000)
    )
    project = Project(batch)
    runs = [run for n in (1, 2) for run in project.send("shop/order", {"n": n})]
    project.run_until_idle()
    (leader,) = [run for run in runs if project.finished(run).status == "succeeded"]
    (merged,) = [run for run in runs if run != leader]
    replayed(project, leader)
    assert project.calls[0].arguments == {"n": [1, 2]}
    replayed(project, leader, "b")
    assert project.order() == ["b"]
    with pytest.raises(ReplayError, match=f"went into run {leader}: replay that one"):
        project.replay(merged)
    with pytest.raises(ReplayError, match="no single event's data can be edited"):
        project.replay(leader, Wish(data={}))


def test_a_batch_that_failed_before_it_started_is_replayed_with_all_its_events() -> None:
    def batch(total: str) -> Plan:
        given = {"all": "${{ vars.all }}"}
        return plan(uses("a", given=given), on="shop/order", batch=Batch(2, 60_000), vars=(("all", total),))

    project = Project(batch("${{ 1 / 0 }}"))
    for n in (1, 2):
        project.send("shop/order", {"n": n})
    project.run_until_idle()
    (dead,) = project.store.dead_letters()
    project.deploy([batch("${{ events.map(e, e.data.n) }}")])
    again = replayed(project, dead.id)
    assert project.finished(again).status == "succeeded"
    assert project.calls[0].arguments == {"all": [1, 2]}


def test_a_run_that_was_skipped_by_a_rate_limit_is_replayed_all_the_same() -> None:
    project = Project(plan(uses("a"), on="shop/order", rate_limit=RateLimit(1, 3_600_000)))
    runs = [run for _ in range(2) for run in project.send("shop/order", {})]
    project.run_until_idle()
    assert [project.finished(run).status for run in runs] == ["succeeded", "skipped"]
    assert project.finished(replayed(project, runs[1])).status == "succeeded"


# Keys ---------------------------------------------------------------------------------------------------------------


def test_a_replay_has_the_keys_of_the_run_unless_it_is_to_have_new_ones() -> None:
    project, run = ran(uses("a"), uses("b"))
    replayed(project, run)
    assert [call.idempotency_key for call in project.calls] == [instance_key(run, "a"), instance_key(run, "b")]
    fresh = replayed(project, run, new_keys=True)
    assert [call.idempotency_key for call in project.calls] == [instance_key(fresh, "a"), instance_key(fresh, "b")]


def test_a_step_whose_rendered_input_changed_has_a_new_key_and_keeps_it_in_the_next_replay() -> None:
    given = {"sum": "${{ event.data.sum }}"}
    project, run = ran(uses("a"), uses("pay", given=given), emit("shop/paid", given, key="tell"), data={"sum": 1})
    edited = replayed(project, run, data={"sum": 2})
    assert [call.idempotency_key for call in project.calls] == [instance_key(run, "a"), instance_key(edited, "pay")]
    assert project.finished(edited).outputs()["tell"] == {"id": instance_key(edited, "tell")}
    replayed(project, edited)
    assert [call.idempotency_key for call in project.calls] == [instance_key(run, "a"), instance_key(edited, "pay")]


def test_a_secret_that_has_changed_changes_no_key() -> None:
    project, run = ran(uses("a", given={"token": "${{ secrets.TOKEN }}", "n": "${{ event.data.n }}"}), data={"n": 1})
    first = run
    assert project.finished(run).status == "failed", "there is no such secret"
    for secret in ("one", "two"):
        project._secrets = {"TOKEN": secret}
        run = replayed(project, run)
        assert project.finished(run).status == "succeeded"
        assert project.calls[0].idempotency_key == instance_key(first, "a")


def test_a_compensated_run_is_replayed_whole_with_new_keys_for_what_was_undone() -> None:
    parts = (uses("a"), uses("book", undo=Undo(Uses("unbook"))), uses("ship"))
    project, run = ran(*parts, unbook=lambda _: None, ship=script(broken(), None, broken()))
    with pytest.raises(ReplayError, match=r"what the run did was taken back \(book\)"):
        project.replay(run, Wish(start="ship"))
    again = replayed(project, run)
    keys = {call.instance: call.idempotency_key for call in project.calls}
    assert keys == {"a": instance_key(run, "a"), "book": instance_key(again, "book"), "ship": instance_key(run, "ship")}
    replayed(project, again)
    keys = {call.instance: call.idempotency_key for call in project.calls}
    assert keys["book"] == keys["book.undo"] or keys["book"] == instance_key(again, "book")
    assert keys["book.undo"] == instance_key(again, "book.undo"), "not the key of the first undo"


def test_what_was_undone_in_an_invoked_run_has_new_keys_there_and_nothing_else_has() -> None:
    child = plan(uses("mail"), uses("book", undo=Undo(Uses("unbook"))), pipeline="trip")
    project = Project(plan(invoke("go", "trip"), uses("ship")), child, unbook=lambda _: None, ship=script(broken(), 1))
    run = project.go().id
    before = {call.instance: call.idempotency_key for call in project.calls}
    replayed(project, run)
    after = {call.instance: call.idempotency_key for call in project.calls}
    assert after["mail"] == before["mail"]
    assert after["book"] != before["book"]


# Versions -----------------------------------------------------------------------------------------------------------

VERSIONS = [
    ("the same", (uses("a"), uses("b"), uses("c")), {}, []),
    ("renamed", (uses("a2", "a"), uses("b"), uses("c")), {}, [Again("a2", "it is new, or was renamed")]),
    ("another handler", (uses("a", "z"), uses("b"), uses("c")), {}, [Again("a", "it was `uses: a`")]),
    ("another verb", (sets("a", n=1), uses("b"), uses("c")), {}, [Again("a", "it is `set` now, not `uses`")]),
    (
        "another output type",
        (uses("a"), uses("b"), uses("c")),
        {"a": "changed"},
        [Again("a", "the signature of a has changed")],
    ),
    ("other arguments", (uses("a", given={"n": 1}), uses("b"), uses("c")), {}, []),
]


@pytest.mark.parametrize(
    ("parts", "signatures", "again"), [each[1:] for each in VERSIONS], ids=[each[0] for each in VERSIONS]
)
def test_a_checkpoint_is_kept_where_step_and_output_type_still_fit(
    parts: tuple[Part, ...], signatures: dict[str, str], again: list[Again]
) -> None:
    old = plan(uses("a"), uses("b"), uses("c"), handlers={"a": "1", "b": "1", "c": "1"})
    project = Project(old, z=lambda _: 1)
    run = project.go().id
    new = plan(*parts, handlers={"a": "1", "b": "1", "c": "1", **signatures})
    project.deploy([new])
    found = chosen(project, run, new, "c")
    assert list(found.again) == again
    replayed(project, run, "c")
    assert project.order() == [*(each.step for each in again if each.why != "it is `set` now, not `uses`"), "c"]
    replayed(project, run, "c", same_version=True)
    assert project.order() == ["c"]


def chosen(project: Project, run: str, new: Plan, start: str) -> Any:
    rows = project.store.run(run)
    assert rows is not None
    return checkpoints(Program(new), project._programs[rows.row.version], opened(rows, project.sealer).records, start)


def test_of_a_container_with_a_step_that_does_not_fit_the_rest_is_kept() -> None:
    project = Project(plan(steps("s", uses("a"), uses("b"), foreach=EACH), uses("c")))
    run = project.go({"items": [1, 2]}).id
    new = plan(steps("s", uses("a"), uses("b2", "b"), foreach=EACH), uses("c"))
    project.deploy([new])
    assert [each.step for each in chosen(project, run, new, "c").again] == ["s", "s[0].b2", "s[1].b2"]
    replayed(project, run, "c")
    assert project.order() == ["s[0].b2", "s[1].b2", "c"]


def test_of_a_loop_over_another_list_nothing_is_kept() -> None:
    body = (uses("a"), uses("b"))
    project = Project(plan(steps("s", *body, foreach=EACH), uses("c")))
    run = project.go({"items": [1, 2], "others": [3]}).id
    project.deploy([plan(steps("s", *body, foreach=Foreach("event.data.others")), uses("c"))])
    for start in ("c", "s[1].b"):
        replayed(project, run, start)
        assert project.order() == ["s[0].a", "s[0].b", "c"]


def test_many_items_are_kept_in_no_time_to_speak_of() -> None:
    program = Program(plan(steps("s", uses("a"), uses("b"), foreach=EACH), uses("c")))
    names = [f"s[{number}]{rest}" for number in range(20_000) for rest in ("", ".a", ".b")]
    past = dict.fromkeys(["s", *names, "c"], Record("succeeded"))
    assert set(checkpoints(program, program, past, "s[7].b").records) == {*names} - {"s[7]", "s[7].b"}
    assert set(checkpoints(program, program, past, "c").records) == {"s", *names}


def test_variables_keep_their_values_where_they_are_defined_as_they_were() -> None:
    first = plan(uses("a", given={"v": "${{ vars }}"}), vars=(("at", "${{ now() }}"), ("n", "${{ 1 }}")))
    project = Project(first)
    run = project.go().id
    at = project.calls[0].arguments["v"]["at"]
    project.clock.advance(1_000)
    project.deploy([msgspec.structs.replace(first, vars=(*first.vars[:1], ("n", "${{ 2 }}"), ("m", "${{ vars.n }}")))])
    replayed(project, run)
    assert project.calls[0].arguments["v"] == {"at": at, "n": 2, "m": 2}
    replayed(project, run, data={"edited": True})
    assert project.calls[0].arguments["v"]["at"] != at


# Refusals -----------------------------------------------------------------------------------------------------------

REFUSED = [
    (LINE, "z", "the pipeline has no step 'z'; it has a, b, c, d"),
    (LINE, "a[", r"'a\[' names no step"),
    (LINE, "a[0]", "step 'a' is no loop"),
    (LINE, "ship/book", "lies in the run that 'ship' invokes: replay that run, or start from 'ship'"),
    (LOOP, "other[0].b", r"'other\[0\].b': step 'b' lies in each\[0\]"),
]


@pytest.mark.parametrize(("parts", "start", "why"), REFUSED)
def test_a_start_that_cannot_be_is_refused(parts: tuple[Part, ...], start: str, why: str) -> None:
    project, run = ran(*parts, data={"items": [1]})
    with pytest.raises(StartError, match=why):
        project.replay(run, Wish(start=start))


def test_a_step_of_on_failure_is_no_start() -> None:
    project = Project(plan(uses("a"), on_failure=(uses("tell"),)), a=script(broken()))
    run = project.go().id
    with pytest.raises(StartError, match="name the step that failed"):
        project.replay(run, Wish(start="tell"))


def test_a_run_that_has_not_ended_is_not_replayed() -> None:
    project = Project(plan(sleep("1h")))
    run = project.call("p")
    with pytest.raises(ReplayError, match="has not ended"):
        project.replay(run)


def test_a_step_that_failed_before_the_start_runs_again_unless_that_was_tolerated() -> None:
    project, run = ran(uses("a", tolerate=Tolerate()), uses("b"), uses("c"), a=script(broken()), b=script(broken(), 1))
    assert project.finished(run).status == "failed"
    replayed(project, run, "c")
    assert project.order() == ["b", "c"]
