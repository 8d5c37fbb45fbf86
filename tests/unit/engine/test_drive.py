"""From rows to turns to commits: what must be committed before a call, facts that are taken once, sealed payloads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.engine import sealed_fields
from flowlang.engine.drive import Held
from flowlang.engine.machine import STEPS_A_TURN
from flowlang.engine.ops import Accepted, Claimed, Commit, Committed, Deploy, Duplicate, Stale
from flowlang.engine.ports import FlushId
from flowlang.engine.route import Router
from flowlang.engine.state import ErrorInfo, Event, RunMeta, ScopeState, decode_state, encode
from flowlang.engine.turn import AttemptEnd, RunEnd, Turn
from flowlang.plan import Foreach, Plan
from flowlang.store.codec import PlainSealer
from tests.unit.engine.building import T0, Middle, Part, Project, emit, fail, plan, sets, sleep, steps, uses


class Hand:
    """A claimed scope of a fresh run of one plan."""

    def __init__(self, made: Plan) -> None:
        self.project = Project(made)
        self.run = self.project.call("p", {})
        row = self.project.claim()
        assert row is not None
        self.row = row
        self.held = Held(row, self.project._programs[row.version], PlainSealer())

    def turn(self, facts: Any = (), **more: Any) -> Turn:
        return self.held.turn(facts, catalog=self.project.catalog, now_ms=T0, rng=Middle(), **more)

    def first(self) -> Turn:
        return self.turn(self.row.facts, flight="lost")

    def commit(self, turn: Turn) -> Commit:
        return self.held.commit(turn, self.project.router())


MUST: list[tuple[str, list[Part], bool]] = [
    ("a call that may be repeated needs no commit", [uses("a")], False),
    ("nor in blocks", [steps("b", uses("a"))], False),
    ("a call of an effect that happens once", [uses("a", effect="once")], True),
    ("a call behind a finished step", [sets("s", v=1), uses("a")], True),
    ("a call behind a skipped step", [sets("s", v=1, condition="false"), uses("a")], True),
    ("a call under a time-out", [steps("b", uses("a"), timeout_ms=1_000)], True),
    ("a call behind an emit", [emit("x/y"), uses("a")], True),
    ("arguments that read the time", [uses("a", given={"t": "${{ now() }}"})], True),
    ("a condition that reads the time", [uses("a", condition="now() > timestamp('2020-01-01T00:00:00Z')")], True),
    ("a step with a finally", [uses("a", final=(sets("f", v=1),))], True),
    ("a sleep", [sleep("1s")], True),
    ("an end", [fail()], True),
]


@pytest.mark.parametrize(("parts", "wanted"), [case[1:] for case in MUST], ids=[case[0] for case in MUST])
def test_a_turn_is_committed_before_its_call_where_a_repetition_would_differ(parts: list[Part], wanted: bool) -> None:
    hand = Hand(plan(*parts))
    assert hand.held.must_commit(hand.first()) is wanted


def test_facts_are_taken_once_however_often_the_inbox_is_shown() -> None:
    hand = Hand(plan(uses("a"), uses("b")))
    hand.first()
    cancel = {"kind": "cancel", "reason": "r"}
    assert hand.turn((*hand.row.facts, cancel), flight="running").stop_call
    over = hand.turn((*hand.row.facts, cancel), attempt=AttemptEnd("a", 1, {}))
    assert hand.commit(over).consumed == len(hand.row.facts) + 1
    hand.held.committed()
    assert hand.held.taken == 0


def test_a_call_that_happens_once_is_marked_as_started_by_its_commit_alone() -> None:
    hand = Hand(plan(uses("a", effect="once")))
    turn = hand.first()
    called = [frame.called for frame in hand.held.state.stack if hasattr(frame, "called")]
    assert called == [False]
    state = decode_state(PlainSealer().open(hand.commit(turn).state, sealed_fields.state("")))
    assert [frame.called for frame in state.stack if hasattr(frame, "called")] == [True]


def test_a_turn_of_very_many_steps_is_cut_into_commits() -> None:
    hand = Hand(plan(*(sets(f"s{n}", n=n) for n in range(STEPS_A_TURN + 5)), uses("a")))
    turn = hand.first()
    assert (turn.status, turn.call, len(turn.records)) == ("ready", None, STEPS_A_TURN)
    assert isinstance(hand.project.apply(hand.commit(turn)), Committed)
    hand.project.run_until_idle()
    assert hand.project.finished(hand.run).status == "succeeded"


def test_the_commit_of_an_end_has_the_outcome_event_and_frees_the_reads() -> None:
    hand = Hand(plan(sets("a", v=1), output="${{ steps.a.output.v }}"))
    turn = hand.first()
    commit = hand.commit(turn)
    assert (commit.status, commit.reads) == ("ended", ())
    assert [accept.event.name for accept in commit.accepts] == ["pipeline/p.succeeded"]
    assert commit.finish is not None
    assert (commit.finish.status, commit.finish.dead) == ("succeeded", None)
    end = msgspec.json.decode(PlainSealer().open(commit.finish.result, sealed_fields.RESULT), type=RunEnd)
    assert end.output == 1


def test_a_failed_end_carries_its_dead_letter() -> None:
    hand = Hand(plan(fail("bad", "why")))
    commit = hand.commit(hand.first())
    assert commit.finish is not None
    assert commit.finish.dead is not None
    body = msgspec.json.decode(PlainSealer().open(commit.finish.dead.body, sealed_fields.DEAD))
    assert (commit.finish.dead.kind, commit.finish.dead.id, body["error"]["code"]) == ("run", hand.run, "bad")


def test_a_commit_made_again_is_the_same_commit() -> None:
    hand = Hand(plan(sets("a", v=1), emit("x/y"), fail()))
    turn = hand.first()
    assert encode(hand.commit(turn)) == encode(hand.commit(turn))


def test_a_commit_that_was_routed_by_an_older_manifest_is_made_again_by_the_active_one() -> None:
    hand = Hand(plan(emit("x/y")))
    turn = hand.first()
    old = hand.project.router()
    listener = plan(uses("heard"), pipeline="listener", on="x/y")
    hand.project.deploy([hand.project._programs[hand.row.version].plan, listener])
    refused = hand.project.apply(hand.held.commit(turn, old))
    assert isinstance(refused, Stale)
    outcome = hand.project.apply(hand.commit(turn))
    assert isinstance(outcome, Committed)
    made = [answer for answer in outcome.accepted if isinstance(answer, Accepted)]
    assert [len(answer.runs) for answer in made] == [1, 0]


def test_what_another_process_deployed_meanwhile_decides_about_emits_and_outcomes() -> None:
    made = plan(emit("x/y"))
    listener = plan(uses("heard"), pipeline="listener", on="x/y")
    chained = plan(uses("chained"), pipeline="chained", on="pipeline/p.succeeded")
    project = Project(made)
    project.handlers |= {"heard": lambda _: None, "chained": lambda _: None}
    other = Project(made, listener, chained)
    manifest = other.catalog.manifest
    run_id = project.call("p")
    plans = {each.digest: each.to_json() for each in (made, listener, chained)}
    project.store.apply(FlushId("deployer", 1), [Deploy(manifest.digest, manifest.to_json(), plans)])
    project.run_until_idle()
    assert project.finished(run_id).status == "succeeded"
    assert sorted(project.order()) == ["chained", "heard"]


def test_events_of_a_commit_have_ids_that_follow_from_run_and_instance() -> None:
    made = plan(emit("x/y", key="e"), emit("x/y", key="f", ident="mine"))
    hand = Hand(made)
    turn = hand.first()
    first, second, outcome = hand.commit(turn).accepts
    again = hand.held.commit(turn, Router(hand.project.catalog, PlainSealer(), T0 + 999)).accepts
    assert [accept.event.id for accept in again] == [first.event.id, second.event.id, outcome.event.id]
    assert len({first.event.id, second.event.id, outcome.event.id}) == 3
    assert first.event.dedupe != second.event.dedupe
    applied = hand.project.apply(hand.commit(turn))
    assert isinstance(applied, Committed)
    assert not any(isinstance(answer, Duplicate) for answer in applied.accepted)


def test_a_row_with_records_and_inputs_becomes_a_view() -> None:
    made = plan(steps("l", uses("a"), foreach=Foreach("[1]", name="it")))
    project = Project(made)
    sealer = PlainSealer()
    version = next(iter(project._programs))
    row = Claimed(
        run="r",
        scope="l[0]",
        fence=1,
        state=sealer.seal(encode(ScopeState(child=0)), "r", sealed_fields.state("l[0]")),
        pipeline="p",
        version=version,
        meta=sealer.seal(encode(RunMeta(Event("e", "x/y"), created_ms=T0)), "r", sealed_fields.META),
        index=4,
        reads={
            "=l[0]": sealer.seal(b'{"n":1}', "r", sealed_fields.item("l[0]")),
            "s": sealer.seal(b'{"status":"skipped"}', "r", sealed_fields.record("s")),
        },
    )
    held = Held(row, project._programs[version], sealer)
    assert (held.view.inputs, held.view.records["s"].status, held.view.index) == ({"l[0]": {"n": 1}}, "skipped", 4)


def test_errors_of_children_reach_their_parent_sealed() -> None:
    hand = Hand(plan(uses("a", foreach=Foreach("[1]"))))
    sealed = PlainSealer().seal(encode(ErrorInfo("bug", "x")), hand.held.row.run, sealed_fields.ERROR)
    turn = hand.first()
    assert [group.total for group in hand.commit(turn).groups] == [1]
    hand.held.committed()
    over = hand.turn(({"kind": "joined", "group": "a", "done": 1, "failed": 1, "closed": True, "error": sealed},))
    assert over.run_end is not None
    assert over.run_end.error is not None
    assert (over.run_end.error.code, over.run_end.error.failed) == ("x", 1)
