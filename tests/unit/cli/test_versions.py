"""Versions of pipelines on the command line."""

from __future__ import annotations

from flowlang.engine.ops import ClaimRequest
from flowlang.engine.ports import FlushId
from tests.unit.cli.desk import FAREWELL, WELCOME, Desk, loaded, pipeline


def rows(desk: Desk, *arguments: str) -> list[tuple[str, str, bool]]:
    return [(row["pipeline"], row["version"], row["active"]) for row in desk.read("versions", *arguments)["versions"]]


def test_versions_are_listed_by_pipeline_the_active_one_first(desk: Desk) -> None:
    desk.service.call("welcome", {"name": "Ada"})
    desk.clock.advance(60_000)
    newer = pipeline("welcome", labels={"n": "2"})
    desk.project = loaded(newer, FAREWELL)
    assert desk.call("deploy").exit_code == 0
    assert rows(desk) == [
        ("farewell", FAREWELL.digest, True),
        ("welcome", newer.digest, True),
        ("welcome", WELCOME.digest, False),
    ]
    assert rows(desk, "farewell") == [("farewell", FAREWELL.digest, True)]
    lines = desk.call("versions", "welcome").stdout.splitlines()
    assert [line.split()[0:2] for line in lines] == [
        ["PIPELINE", "VERSION"], ["welcome", newer.digest[:12]], ["welcome", WELCOME.digest[:12]],
    ]  # fmt: skip
    assert lines[1].rstrip().endswith("active")


def test_what_nothing_needs_is_dropped_when_asked(desk: Desk) -> None:
    result = desk.call("versions", "--prune")
    assert (result.exit_code, result.stderr) == (0, "dropped 0 versions\n")
    newer = pipeline("welcome", labels={"n": "2"})
    desk.sim.deploy([newer, FAREWELL])
    assert "not needed" in desk.call("versions").stdout
    assert desk.read("versions", "--prune")["dropped"] == [WELCOME.digest]
    assert (("welcome", WELCOME.digest, False)) not in rows(desk)


def test_rows_that_no_worker_can_run_are_shown(desk: Desk) -> None:
    desk.service.call("welcome", {"name": "Ada"})
    request = ClaimRequest("w", ("default",), 1, 10_000, 1, 0, refuses=(WELCOME.digest,))
    assert desk.store.apply(FlushId("w", 1), [], request).claimed == ()
    assert "no worker can run 1" in desk.call("versions", "welcome").stdout
    assert desk.read("versions", "welcome")["versions"][0]["unserved"] == 1


def test_an_unknown_pipeline_has_no_versions(desk: Desk) -> None:
    result = desk.call("versions", "nothing")
    assert (result.exit_code, result.stderr) == (0, "no such pipeline\n")
