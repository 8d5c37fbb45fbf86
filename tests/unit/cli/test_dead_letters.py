"""Looking at what failed for good, and sending it again."""

from __future__ import annotations

import pytest

from tests.unit.cli.desk import Desk


@pytest.fixture
def failed(desk: Desk) -> list[str]:
    """Two failed runs of `welcome`, one of `farewell`, oldest first."""
    runs = []
    for name in ("welcome", "welcome", "farewell"):
        runs.append(desk.sim.call(name, {"name": "nobody"}))
        desk.sim.run_until_idle()
        desk.clock.advance(1000)
    return runs


def test_they_are_listed_newest_first_and_in_pages(desk: Desk, failed: list[str]) -> None:
    page = desk.read("dead-letters", "list", "--limit", "2")
    assert [letter["id"] for letter in page["dead_letters"]] == [failed[2], failed[1]]
    rest = desk.read("dead-letters", "list", "--limit", "2", "--before", page["next"])
    assert ([letter["id"] for letter in rest["dead_letters"]], rest["next"]) == ([failed[0]], None)
    table = desk.call("dead-letters", "list", "--name", "farewell").stdout.splitlines()
    assert [line.split()[:3] for line in table[1:]] == [[failed[2], "run", "farewell"]]


def test_no_dead_letters_is_said(desk: Desk) -> None:
    assert desk.call("dead-letters", "list").stderr == "no dead letters\n"


def test_one_is_shown_with_its_reason_and_what_to_do(desk: Desk, failed: list[str]) -> None:
    result = desk.call("dead-letters", "show", failed[0])
    assert "permanent/greet.nobody: nobody is there" in result.stdout
    assert f"flowlang dead-letters retry {failed[0]}" in result.stderr
    assert desk.read("dead-letters", "show", failed[0])["dead_letter"]["error"]["code"] == "greet.nobody"
    assert desk.call("dead-letters", "show", "r00-nothing").exit_code == 1


def test_a_retry_makes_a_new_run_and_takes_it_off_the_list(desk: Desk, failed: list[str]) -> None:
    retried = desk.read("dead-letters", "retry", failed[0])["retried"]
    (run,) = retried[0]["answer"]["runs"]
    assert desk.service.run(run["id"]).run.replay_of == failed[0]
    assert failed[0] not in [letter.id for letter in desk.service.dead_letters()]


def test_all_of_a_name_are_retried_when_confirmed(desk: Desk, failed: list[str]) -> None:
    again = ["dead-letters", "retry", "--all", "--name", "welcome"]
    preview = desk.call(*again, "--dry-run")
    assert "2 dead letters would be sent again" in preview.stderr
    assert [letter["id"] for letter in desk.read(*again, "--dry-run")["would_retry"]] == [failed[1], failed[0]]
    assert desk.call(*again, text="n\n").exit_code == 130
    assert len(desk.service.dead_letters()) == 3
    assert desk.call(*again, text="y\n").exit_code == 0
    assert [letter.id for letter in desk.service.dead_letters()] == [failed[2]]
    assert desk.call("dead-letters", "retry", "--all", "-y").exit_code == 0
    assert desk.service.dead_letters() == []


def test_one_that_cannot_be_retried_does_not_hold_up_the_rest(desk: Desk, failed: list[str]) -> None:
    desk.sim.deploy([plan for plan in desk.project.plans.values() if plan.pipeline == "welcome"])
    result = desk.call("dead-letters", "retry", failed[2], failed[0])
    assert result.exit_code == 1
    assert f"{failed[2]}: no pipeline 'farewell' is deployed any more" in result.stderr
    assert result.stdout.startswith(failed[0])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["r00-a", "--all"],
        ["r00-a", "--name", "welcome"],
        ["r00-a", "r00-b", "--data", "{}"],
        ["--all", "--data", "{}"],
    ],
)
def test_contradictions_are_misuse(desk: Desk, arguments: list[str]) -> None:
    assert desk.call("dead-letters", "retry", *arguments).exit_code == 2
