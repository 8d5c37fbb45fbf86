"""Replaying from the command line: one run, and dead letters by filter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang.forecast import forecast
from flowlang.plan import Plan, Step, Uses
from flowlang.service import Service
from tests.unit.cli.desk import WELCOME, Desk, pipeline


@pytest.fixture
def foretelling(desk: Desk) -> Desk:
    """A desk whose service can tell what a replay will do."""
    desk.service = Service(desk.store, desk.sim.sealer, pause=lambda _: None, forecaster=forecast)
    return desk


def ended(desk: Desk, name: str, of: str = "welcome") -> str:
    """A run that has ended; of `nobody` it fails."""
    run = desk.sim.call(of, {"name": name})
    desk.sim.run_until_idle()
    desk.clock.advance(1000)
    return run


def test_a_run_is_replayed_with_a_link_to_it(desk: Desk) -> None:
    run = ended(desk, "Ada")
    (told,) = desk.read("replay", run)["replayed"]
    assert (told["id"], told["ok"]) == (run, True)
    desk.sim.run_until_idle()
    again = desk.service.run(told["replay"]["run"]["id"])
    assert (again.run.replay_of, again.output) == (run, "Welcome, Ada!")
    assert desk.greeted == ["Ada", "Ada"]


def test_a_replay_has_the_edited_input(desk: Desk) -> None:
    run = ended(desk, "nobody")
    (told,) = desk.read("replay", run, "--input", '{"name": "Ada"}')["replayed"]
    desk.sim.run_until_idle()
    assert desk.service.run(told["replay"]["run"]["id"]).output == "Welcome, Ada!"
    assert desk.service.dead_letters() == []


def test_a_dead_letter_is_replayed_once_and_the_second_time_it_is_said(desk: Desk) -> None:
    run = ended(desk, "nobody")
    first = desk.call("replay", run)
    assert (first.exit_code, first.stdout.split()[:2]) == (0, [run, "->"])
    new = first.stdout.split()[2]
    second = desk.call("replay", run)
    assert (second.exit_code, f"run {run} was replayed as {new}: replay that one" in second.stderr) == (1, True)


def test_a_step_that_is_not_there_is_refused(desk: Desk) -> None:
    result = desk.call("replay", ended(desk, "Ada"), "--from", "ship")
    assert result.exit_code == 1
    assert "the pipeline has no step 'ship'; it has greet" in result.stderr


def test_a_dry_run_names_the_effects_and_makes_nothing(foretelling: Desk) -> None:
    run = ended(foretelling, "Ada")
    result = foretelling.call("replay", run, "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].split() == ["call", "greet", "greet", "idempotent"]
    (told,) = foretelling.read("replay", run, "--dry-run", "--input", '{"name": "Bea"}')["would_replay"]
    assert told["replay"]["forecast"]["effects"][0]["new_key"]
    assert len(foretelling.service.runs()) == 1


def test_what_is_not_known_is_said(foretelling: Desk) -> None:
    result = foretelling.call("replay", ended(foretelling, "nobody"), "--dry-run")
    assert "how greet will end is not known" in result.stderr


def test_what_must_run_again_is_listed_with_the_reason(desk: Desk) -> None:
    run = ended(desk, "Ada")
    desk.sim.deploy([two_steps(WELCOME)])
    desk.service.refresh()
    result = desk.call("replay", run, "--from", "after")
    assert (result.exit_code, "hello must run again: it is new, or was renamed" in result.stderr) == (0, True)
    same = desk.call("replay", run, "--from", "greet", "--same-version")
    assert same.exit_code == 0


def two_steps(plan: Plan) -> Plan:
    """The same with its step renamed, and one more."""
    call = Uses("greet", {"name": "${{ event.data.name }}"})
    return msgspec.structs.replace(
        plan, steps=(Step(0, "hello", call), Step(1, "after", call)), block=(0, 1), output=msgspec.UNSET
    )


# Many at once -------------------------------------------------------------------------------------------------------

FILTERS: list[tuple[list[str], list[int]]] = [
    ([], [2, 1, 0]),
    (["--pipeline", "farewell"], [2]),
    (["--code", "greet.*"], [2, 1, 0]),
    (["--code", "permanent"], [2, 1, 0]),
    (["--code", "smtp.*"], []),
    (["--since", "1500ms"], [2]),
    (["--limit", "2"], [2, 1]),
]


@pytest.mark.parametrize(("filters", "chosen"), FILTERS)
def test_dead_letters_are_chosen_by_filter(foretelling: Desk, filters: list[str], chosen: list[int]) -> None:
    runs = [ended(foretelling, "nobody", of) for of in ("welcome", "welcome", "farewell")]
    wanted = [runs[number] for number in chosen]
    previewed = foretelling.read("replay", "--dead", *filters, "--dry-run")["would_replay"]
    assert [told["id"] for told in previewed] == wanted
    assert [told["id"] for told in foretelling.read("replay", "--dead", *filters, "-y")["replayed"]] == wanted
    assert {letter.id for letter in foretelling.service.dead_letters()} == set(runs) - set(wanted)


def test_many_are_replayed_only_when_confirmed(desk: Desk) -> None:
    ended(desk, "nobody")
    assert desk.call("replay", "--dead", text="n\n").exit_code == 130
    assert len(desk.service.dead_letters()) == 1
    assert desk.call("replay", "--dead", text="y\n").exit_code == 0
    assert desk.service.dead_letters() == []


def test_what_was_interrupted_is_gone_on_with(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [ended(desk, "nobody") for _ in range(3)]
    replay, calls = desk.service.replay, []

    def interrupted(run: str, wish: Any) -> Any:
        calls.append(run)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return replay(run, wish)

    monkeypatch.setattr(desk.service, "replay", interrupted)
    result = desk.call("replay", "--dead", "-y")
    assert (result.exit_code, result.stdout.split()[0]) == (130, runs[2])
    monkeypatch.setattr(desk.service, "replay", replay)
    assert [told["id"] for told in desk.read("replay", "--dead", "-y")["replayed"]] == [runs[1], runs[0]]
    assert len(desk.service.runs()) == 6


def test_one_that_cannot_be_replayed_does_not_hold_up_the_rest(desk: Desk) -> None:
    runs = [ended(desk, "nobody", of) for of in ("welcome", "farewell")]
    desk.sim.deploy([pipeline("welcome")])
    desk.service.refresh()
    result = desk.call("replay", "--dead", "-y")
    assert result.exit_code == 1
    assert f"{runs[1]}: no pipeline 'farewell' is deployed any more" in result.stderr
    assert "1 of 2 could not be done" in result.stderr
    assert [letter.id for letter in desk.service.dead_letters()] == [runs[1]]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["r00-a", "--dead"],
        ["r00-a", "--code", "x"],
        ["r00-a", "r00-b", "--input", "{}"],
        ["--dead", "--input", "1"],
    ],
)
def test_contradictions_are_misuse(desk: Desk, arguments: list[str]) -> None:
    assert desk.call("replay", *arguments).exit_code == 2


# Correcting and discarding ------------------------------------------------------------------------------------------


def test_dead_letters_are_corrected_by_an_expression(desk: Desk) -> None:
    runs = [ended(desk, "nobody") for _ in range(2)]
    edit = ["dead-letters", "retry", "--all", "--edit", '{"name": event.data.name + " else"}']
    previewed = desk.read(*edit, "--dry-run")["would_retry"]
    assert [(told["id"], told["data"]) for told in previewed] == [(run, {"name": "nobody else"}) for run in runs[::-1]]
    assert desk.call(*edit, "-y").exit_code == 0
    desk.sim.run_until_idle()
    assert desk.greeted[2:] == ["nobody else", "nobody else"]
    assert desk.service.dead_letters() == []


def test_an_expression_that_does_not_fit_leaves_the_letters_where_they_are(desk: Desk) -> None:
    run = ended(desk, "nobody")
    result = desk.call("dead-letters", "retry", "--all", "-y", "--edit", "event.data.missing")
    assert (result.exit_code, f"{run}: --edit: " in result.stderr) == (1, True)
    assert desk.call("dead-letters", "retry", "--all", "-y", "--edit", "event.data.").exit_code == 2
    assert len(desk.service.dead_letters()) == 1


def test_discarded_ones_are_not_sent_again(desk: Desk) -> None:
    runs = [ended(desk, "nobody", of) for of in ("welcome", "farewell")]
    assert desk.call("dead-letters", "discard", runs[0]).stderr == f"{runs[0]}: is discarded\n"
    assert desk.call("dead-letters", "discard", runs[0]).exit_code == 1
    previewed = desk.read("dead-letters", "discard", "--all", "--name", "farewell", "--dry-run")
    assert [told["id"] for told in previewed["would_discard"]] == [runs[1]]
    assert desk.call("dead-letters", "discard", "--all", "--kind", "run", "-y").exit_code == 0
    assert (desk.service.dead_letters(), len(desk.service.runs())) == ([], 2)


# Cancelling ---------------------------------------------------------------------------------------------------------


def test_runs_are_cancelled_by_filter_and_again_when_that_was_interrupted(desk: Desk) -> None:
    runs = {of: [desk.sim.call(of, {"name": "Ada"}) for _ in range(2)] for of in ("welcome", "farewell")}
    cancel = ["cancel", "--all", "--pipeline", "welcome"]
    previewed = desk.read(*cancel, "--dry-run")["would_cancel"]
    assert {row["id"] for row in previewed} == set(runs["welcome"])
    assert desk.call(*cancel, "--status", "running", "-y").exit_code == 0
    told = desk.read(*cancel, "-y")["cancelled"]
    assert all(each["ok"] and each["changed"] for each in told)
    desk.sim.run_until_idle()
    assert {run.id for run in desk.service.runs(status="cancelled")} == set(runs["welcome"])
    assert desk.read(*cancel, "-y")["cancelled"] == []
    assert desk.greeted == ["Ada", "Ada"]


@pytest.mark.parametrize("arguments", [[], ["r00-a", "--all"], ["r00-a", "--pipeline", "welcome"]])
def test_contradictions_of_cancel_are_misuse(desk: Desk, arguments: list[str]) -> None:
    assert desk.call("cancel", *arguments).exit_code == 2
