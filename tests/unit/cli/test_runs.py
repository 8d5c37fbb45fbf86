"""Calling pipelines, and listing, showing and cancelling runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flowlang.cli import waiting
from flowlang.cli.commands import run as run_command
from flowlang.cli.waiting import await_end
from flowlang.service import Service
from flowlang.service.views import RunDetail
from tests.unit.cli.desk import Desk


def test_a_call_answers_with_the_runs_id(desk: Desk) -> None:
    result = desk.call("run", "welcome", "--data", '{"name": "Ada"}')
    assert result.exit_code == 0
    assert result.stdout.startswith("r00-")
    assert f"flowlang runs show {result.stdout.strip()}" in result.stderr
    desk.sim.run_until_idle()
    assert desk.greeted == ["Ada"]


@pytest.mark.parametrize("source", ["text", "file", "stdin"])
def test_data_is_taken_as_text_from_a_file_or_from_stdin(desk: Desk, source: str) -> None:
    path = desk.folder / "data.json"
    path.write_text('{"name": "Ada"}')
    given = {"text": '{"name": "Ada"}', "file": f"@{path}", "stdin": "-"}[source]
    assert desk.call("run", "welcome", "-d", given, text='{"name": "Ada"}').exit_code == 0
    desk.sim.run_until_idle()
    assert desk.greeted == ["Ada"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{name: Ada}", "quote it for the shell"),
        ('{"a": 1, "a": 2}', "written twice"),
        ("@nowhere.json", "nowhere.json cannot be read"),
    ],
)
def test_data_that_cannot_be_read_is_misuse(desk: Desk, given: str, says: str) -> None:
    result = desk.call("run", "welcome", "--data", given)
    assert result.exit_code == 2
    assert says in result.stderr


def test_the_same_key_gives_the_same_run(desk: Desk) -> None:
    first, again = (desk.read("run", "welcome", "-d", '{"name": "Ada"}', "--key", "k")["run"] for _ in range(2))
    assert (first["new"], again["new"]) == (True, False)
    assert first["id"] == again["id"]


def test_an_unknown_pipeline_is_refused(desk: Desk) -> None:
    result = desk.call("run", "welcom")
    assert (result.exit_code, result.stderr) == (1, "error: no pipeline 'welcom' is deployed\n")


@pytest.mark.parametrize(("name", "status", "ends"), [("Ada", 0, "succeeded"), ("nobody", 1, "failed")])
def test_waiting_ends_with_the_run_and_says_how_it_went(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, status: int, ends: str
) -> None:
    def await_now(service: Service, run: str, timeout: float | None, show: Callable[[str], None]) -> RunDetail:
        return await_end(service, run, timeout, show, lambda _: desk.sim.run_until_idle())

    monkeypatch.setattr(run_command, "await_end", await_now)
    shown = desk.read("run", "welcome", "-d", f'{{"name": "{name}"}}', "--wait", status=status)
    assert shown["run"]["status"] == ends
    assert shown["steps"][0]["status"] == ends
    result = desk.call("run", "welcome", "-d", f'{{"name": "{name}"}}', "--wait")
    assert result.exit_code == status
    assert ends in result.stdout
    assert ": pending, 0 steps ended" in result.stderr


def test_waiting_gives_up_after_its_time_and_the_run_goes_on(desk: Desk) -> None:
    result = desk.call("run", "welcome", "-d", '{"name": "Ada"}', "--timeout", "0s")
    assert result.exit_code == 1
    assert "it has not ended" in result.stderr
    assert "pending" in result.stdout


def test_looks_at_a_run_become_rarer(desk: Desk) -> None:
    run = desk.sim.call("welcome", {"name": "busy"})
    desk.sim.run_ready()
    pauses: list[float] = []
    states: list[str] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            desk.sim.run_until_idle()

    assert await_end(desk.service, run, None, states.append, pause).run.status == "failed"
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (waiting._FIRST_S, waiting._LONGEST_S)
    assert set(states) == {"running, 0 steps ended, greet is tried again later"}


def test_runs_are_listed_newest_first_and_in_pages(desk: Desk) -> None:
    assert desk.call("runs", "list").stderr == "no runs yet\n"
    ids = []
    for name in ("Ada", "nobody", "Grace"):
        ids.append(desk.sim.call("welcome", {"name": name}))
        desk.clock.advance(1000)
    desk.sim.run_until_idle()
    page = desk.read("runs", "list", "--limit", "2")
    assert [run["id"] for run in page["runs"]] == [ids[2], ids[1]]
    rest = desk.read("runs", "list", "--limit", "2", "--before", page["next"])
    assert ([run["id"] for run in rest["runs"]], rest["next"]) == ([ids[0]], None)
    failed = desk.read("runs", "list", "--status", "failed", "--pipeline", "welcome")
    assert [run["id"] for run in failed["runs"]] == [ids[1]]
    table = desk.call("runs", "list", "--limit", "1")
    assert table.stdout.splitlines()[0].split() == ["RUN", "PIPELINE", "STATUS", "CREATED", "TOOK"]
    assert table.stdout.splitlines()[1].split()[:3] == [ids[2], "welcome", "succeeded"]
    assert f"--before {ids[2]}" in table.stderr
    assert desk.call("runs", "list", "--pipeline", "farewell").stderr == "no such runs\n"


def test_a_run_is_shown_with_its_steps_errors_and_journal(desk: Desk) -> None:
    run = desk.sim.call("welcome", {"name": "nobody"})
    desk.sim.run_until_idle()
    text = desk.call("runs", "show", run).stdout
    assert "permanent/greet.nobody: nobody is there" in text
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("greet")] == [["greet", "failed", "1"]]
    assert "attempt.failed" not in text
    assert "attempt.failed" in desk.call("runs", "show", run, "--journal").stdout
    assert "journal" not in desk.read("runs", "show", run)
    assert desk.read("runs", "show", run, "--journal")["journal"][-1]["kind"] == "run.ended"


def test_a_run_that_waits_for_its_next_attempt_says_until_when(desk: Desk) -> None:
    run = desk.sim.call("welcome", {"name": "busy"})
    desk.sim.run_ready()
    text = desk.call("runs", "show", run).stdout
    assert "next attempt 2026-01-01 00:01:00" in text
    assert "retry:greet until 2026-01-01 00:01:00" in text


def test_a_run_that_is_not_there_is_said_so(desk: Desk) -> None:
    result = desk.call("runs", "show", "r00-nothing")
    assert (result.exit_code, result.stderr) == (1, "error: no run 'r00-nothing'\n")


def test_runs_are_cancelled_once(desk: Desk) -> None:
    run = desk.sim.call("welcome", {"name": "Ada"})
    assert desk.call("runs", "cancel", run).stderr == f"{run}: is being cancelled\n"
    desk.sim.run_until_idle()
    assert desk.service.run(run).run.status == "cancelled"
    assert desk.read("runs", "cancel", run, status=1) == {"cancelled": [{"id": run, "ok": False, "changed": False}]}


def test_an_ended_run_is_deleted_when_that_is_meant(desk: Desk) -> None:
    run = desk.sim.call("welcome", {"name": "Ada"})
    assert (
        desk.call("runs", "delete", run, "--yes").stderr == f"error: {run}: run {run} has not ended: cancel it first\n"
    )
    desk.sim.run_until_idle()
    assert desk.call("runs", "delete", run, text="n\n").exit_code == 130
    assert desk.service.run(run).run.status == "succeeded"
    assert desk.read("runs", "delete", run, "--yes")["deleted"] == [{"id": run, "ok": True}]
    assert desk.call("runs", "show", run).exit_code == 1
    assert desk.call("runs", "delete", run, "--yes").exit_code == 1
