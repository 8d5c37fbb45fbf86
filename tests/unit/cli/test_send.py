"""Sending one event, or a file of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowlang.plan import EventTrigger, Plan, Step, WaitFor
from tests.unit.cli.desk import Desk, pipeline


@pytest.mark.parametrize(
    "arguments",
    [
        ["member/joined", '{"name": "Ada"}'],
        ["member/joined", "--data", '{"name": "Ada"}'],
        ["member/joined", "-d", "-"],
    ],
)
def test_an_event_starts_runs(desk: Desk, arguments: list[str]) -> None:
    result = desk.call("send", *arguments, text='{"name": "Ada"}')
    assert result.exit_code == 0
    event, run = result.stdout.split()
    assert (event[:4], run[:4]) == ("e00-", "r00-")
    assert result.stderr == "member/joined started 1 run\n"
    desk.sim.run_until_idle()
    assert desk.greeted == ["Ada"]


def test_the_same_id_is_the_same_event(desk: Desk) -> None:
    sent = ["send", "member/joined", '{"name": "Ada"}', "--id", "m1"]
    first, again = (desk.read(*sent)["answer"] for _ in range(2))
    assert (first["status"], again["status"]) == ("accepted", "duplicate")
    assert desk.call(*sent).stderr == "member/joined was sent before\n"


def test_an_event_that_starts_nothing_says_why(desk: Desk) -> None:
    assert desk.call("send", "nobody/listens", "{}").stderr == (
        "nobody/listens started 0 runs\n  no pipeline had a trigger on nobody/listens\n"
    )
    picky = pipeline("picky", triggers=(EventTrigger(("member/left",), "event.data.name == 'Bob'"),))
    desk.sim.deploy([picky])
    result = desk.call("send", "member/left", '{"name": "Ada"}')
    assert result.exit_code == 0
    assert result.stderr == (
        "member/left started 0 runs\n"
        "  picky: the condition is false: `event.data.name == 'Bob'`, where event.data.name is \"Ada\"\n"
    )


def test_an_event_that_a_run_waits_for_says_so(desk: Desk) -> None:
    desk.sim.deploy([Plan("waiting", (Step(0, "left", WaitFor(("member/left",), "true")),), (0,))])
    desk.sim.call("waiting")
    desk.sim.run_ready()
    assert desk.call("send", "member/left", "{}").stderr == "member/left started 0 runs, and 1 wait found it\n"


@pytest.mark.parametrize(
    ("event", "data", "says"),
    [
        ("member/joined", '{"name": 7}', "data.name"),
        ("member/joined", "null", "data"),
        ("pipeline/welcome.succeeded", "{}", "sent only by FlowLang"),
        ("Member Joined", "{}", "name"),
    ],
)
def test_an_event_that_is_not_taken_exits_with_1_and_says_why(desk: Desk, event: str, data: str, says: str) -> None:
    result = desk.call("send", event, data)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {event} was not taken: ")
    assert says in result.stderr
    assert desk.service.runs() == []


def test_data_cannot_be_given_twice_and_an_event_is_needed(desk: Desk) -> None:
    assert "given twice" in desk.call("send", "a/b", "{}", "-d", "{}").stderr
    assert "which event?" in desk.call("send").stderr
    assert desk.call("send").exit_code == 2


def write(path: Path, *lines: object) -> str:
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_a_file_of_whole_events_is_sent_line_by_line(desk: Desk) -> None:
    path = write(
        desk.folder / "events.jsonl",
        {"name": "member/joined", "data": {"name": "Ada"}, "id": "m1"},
        "\n",
        {"name": "member/joined", "data": {"name": "Ada"}, "id": "m1"},
        {"name": "member/joined", "data": {"surname": "Grace"}},
        "{broken\n",
        {"event": "member/joined"},
        {"name": "member/joined", "date": {}},
        {"name": "member/joined", "id": 7},
        {"name": "member/joined", "data": {"name": "Lin"}},
    )
    sent = desk.read("send", "-f", path, status=1)
    assert sent["counts"] == {"accepted": 2, "duplicate": 1, "invalid": 5}
    assert [problem["line"] for problem in sent["problems"]] == [4, 5, 6, 7, 8]
    result = desk.call("send", "-f", path)
    assert result.exit_code == 1
    assert "events.jsonl:4: invalid: " in result.stderr
    assert "unknown key `date`" in result.stderr
    desk.sim.run_until_idle()
    assert sorted(desk.greeted) == ["Ada", "Lin", "Lin"]


def test_a_file_of_data_is_sent_as_one_event_in_batches(desk: Desk) -> None:
    path = write(desk.folder / "names.jsonl", *({"name": f"n{number}"} for number in range(150)))
    result = desk.call("send", "member/joined", "-f", path)
    assert (result.exit_code, result.stdout) == (0, "150 accepted\n")
    assert [line.rpartition(": ")[2] for line in result.stderr.splitlines()] == ["64 lines", "128 lines", "150 lines"]
    assert len(desk.service.runs(limit=200)) == 150


def test_lines_come_from_stdin_as_well(desk: Desk) -> None:
    assert desk.read("send", "member/joined", "-f", "-", text='{"name": "Ada"}\n')["counts"] == {"accepted": 1}
    assert desk.call("send", "-f", "-", text="").stdout == "no lines\n"
    assert desk.call("send", "member/joined", "{}", "-f", "-").exit_code == 2
