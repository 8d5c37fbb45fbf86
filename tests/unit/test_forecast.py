"""What a dry run of a replay says: effects with their keys, in child runs too, and where nobody knows how it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.replay import Earlier, Effect, Forecast, Question, ReplayError, Wish, opened, prepare
from flowlang.forecast import forecast
from flowlang.plan import Cache, Foreach, Undo, Uses
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    emit,
    fail,
    invoke,
    plan,
    race,
    script,
    sleep,
    steps,
    uses,
    wait,
)


def foretold(project: Project, run: str, start: str | None = None, **wish: Any) -> Forecast:
    def find(other: str) -> Earlier | None:
        rows = project.store.run(other)
        return None if rows is None else opened(rows, project.sealer)

    rows, earlier = project.store.run(run), find(run)
    starter = project.catalog.starter("p")
    assert rows is not None
    assert earlier is not None
    assert starter is not None
    old = project._programs[rows.row.version]
    prepared = prepare(rows, earlier, old, starter.program, Wish(start=start, **wish))
    return forecast(Question(earlier, prepared, starter, project.catalog, project.store.now_ms(), find))


def lines(effects: tuple[Effect, ...]) -> list[str]:
    return [f"{each.kind} {each.step}{' new' if each.new_key else ''}" for each in effects]


KNOWN: list[tuple[str, tuple[Part, ...], str | None, list[str]]] = [
    ("in order", (uses("a"), emit("shop/paid"), uses("b")), None, ["call a", "emit emit-1", "call b"]),
    ("from a step on", (uses("a"), emit("shop/paid"), uses("b")), "b", ["call b"]),
    ("after a sleep", (uses("a"), sleep("30d"), uses("b")), None, ["call a", "call b"]),
    ("by condition", (uses("a"), uses("b", condition="has(steps.a.output.no)"), uses("c")), None, ["call a", "call c"]),
    ("items", (uses("a", foreach=Foreach("[1, 2]")),), None, ["call a[0]", "call a[1]"]),
    ("one item", (uses("a", foreach=Foreach("[1, 2]")), uses("b")), "a[1]", ["call a[1]", "call b"]),
    ("cached", (uses("a", cache=Cache("'k'", 1_000)),), None, ["call a"]),
    (
        "a caught failure",
        (uses("bad", catch=(arm(uses("c")),)), uses("d")),
        None,
        ["call bad", "call c", "call d"],
    ),
    ("what a step fails with", (uses("a", undo=Undo(Uses("z"))), emit("a/b"), uses("c"), fail()), None, []),
]


@pytest.mark.parametrize(("parts", "start", "effects"), [each[1:] for each in KNOWN], ids=[each[0] for each in KNOWN])
def test_what_will_happen_is_named_in_order(parts: tuple[Part, ...], start: str | None, effects: list[str]) -> None:
    project = Project(plan(*parts), rng=None, limits=None, bad=script(broken()))
    run = project.go().id
    found = foretold(project, run, start)
    if not effects:  # compensated: everything anew, and then taken back once more
        effects = ["call a new", "emit emit-1", "call c", "call a.undo new"]
    assert (lines(found.effects), found.unknown, found.perhaps) == (effects, (), ())
    assert project.store.runs(limit=10)[0].id == run, "it made no run"


def test_an_edited_input_gives_new_keys_where_it_is_used() -> None:
    parts = (uses("a"), uses("b", given={"n": "${{ event.data.n }}"}), emit("shop/paid", {"n": "${{ event.data.n }}"}))
    project = Project(plan(*parts))
    run = project.go({"n": 1}).id
    assert lines(foretold(project, run, data={"n": 2}).effects) == ["call a", "call b new", "emit emit-2 new"]
    assert lines(foretold(project, run, new_keys=True).effects) == ["call a new", "call b new", "emit emit-2 new"]


def test_effects_of_child_runs_are_named_under_their_step() -> None:
    child = plan(uses("x"), wait("w", "shop/answer", timeout="1d"), uses("y"), pipeline="child")
    aside = plan(uses("z"), pipeline="aside")
    parent = plan(uses("a"), invoke("go", "child"), invoke("tell", "aside", wait=False), uses("b"))
    project = Project(parent, child, aside)
    run = project.call("p")
    project.run_ready()
    project.send("shop/answer", {})
    project.run_until_idle()
    found = foretold(project, run)
    assert lines(found.effects) == [
        "call a", "invoke go", "call go/x", "call go/y", "invoke tell", "call b",
    ]  # fmt: skip
    again = project.replay(run, Wish(start="tell"))
    project.run_until_idle()
    assert lines(foretold(project, again, "go").effects) == lines(found.effects)[1:]


def test_a_child_whose_input_changed_has_new_keys_throughout() -> None:
    parent = plan(invoke("go", "child", {"n": "${{ event.data.n }}"}), uses("b"))
    project = Project(parent, plan(uses("x"), pipeline="child"))
    run = project.go({"n": 1}).id
    assert lines(foretold(project, run, data={"n": 2}).effects) == ["invoke go new", "call go/x new", "call b"]
    before = {call.instance: call.idempotency_key for call in project.calls}
    project.calls.clear()
    project.replay(run, Wish(data={"n": 2}))
    project.run_until_idle()
    after = {call.instance: call.idempotency_key for call in project.calls}
    assert {name for name in after if after[name] != before[name]} == {"x"}


def test_a_replay_that_is_too_long_to_foretell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(plan(uses("a", foreach=Foreach("[1, 2, 3, 4]"))))
    run = project.go().id
    monkeypatch.setattr("flowlang.forecast._TURNS", 3)
    with pytest.raises(ReplayError, match="takes more than 3 turns, too many to foretell"):
        foretold(project, run)


def test_where_a_run_failed_nobody_knows_how_it_goes_on() -> None:
    parts = (uses("a"), steps("s", uses("bad"), emit("shop/paid", key="tell")), uses("c", undo=Undo(Uses("z"))))
    project = Project(plan(*parts, on_failure=(uses("alarm"),)), rng=None, limits=None, bad=script(broken()))
    found = foretold(project, project.go().id)
    assert (lines(found.effects), found.unknown) == (["call a", "call bad"], ("bad",))
    assert lines(found.perhaps) == ["emit tell", "call c", "call c.undo", "call alarm"]


def test_a_child_that_failed_is_told_with_what_may_follow_in_it_and_after_it() -> None:
    child = plan(uses("x"), uses("bad"), uses("y"), pipeline="child")
    project = Project(plan(invoke("go", "child"), uses("b")), child, rng=None, limits=None, bad=script(broken()))
    found = foretold(project, project.go().id)
    assert (lines(found.effects), found.unknown) == (["invoke go", "call go/x", "call go/bad"], ("go/bad",))
    assert lines(found.perhaps) == ["call b", "call go/y"]


def test_a_branch_that_lost_a_race_may_win_this_time() -> None:
    project = Project(plan(race("r", uses("a"), steps("x", sleep("1h"), uses("b"))), uses("c")))
    run = project.go().id
    assert lines(foretold(project, run).effects) == ["call a", "call c"]
