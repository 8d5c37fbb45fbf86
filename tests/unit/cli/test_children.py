"""Child processes: their command lines and environment, and what is said about them."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest

from flowlang.cli import children
from flowlang.cli.console import Console
from flowlang.settings import Settings
from flowlang.worker.supervisor import ChildEvent

SETTINGS = Settings(redis_url="redis://store/0", processes=2, threads=3, lease=timedelta(seconds=5))


def test_workers_get_the_settings_as_they_were_found() -> None:
    specs = children.workers(SETTINGS)
    assert [spec.name for spec in specs] == ["worker-1", "worker-2"]
    assert {spec.argv for spec in specs} == {(sys.executable, "-m", "flowlang.app", "--threads", "3")}
    assert specs[0].env is not None
    found = Settings.from_env(specs[0].env)
    assert (found.redis_url, found.lease, found.threads) == ("redis://store/0", timedelta(seconds=5), 3)


def test_queues_are_passed_on() -> None:
    (spec, *_) = children.workers(Settings(redis_url="redis://store", queues=("critical", "default")))
    assert spec.argv[-2:] == ("--queues", "critical,default")


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (ChildEvent("started", "worker-1", 7), "worker-1 runs (process 7)"),
        (ChildEvent("exited", "worker-1", 7, 0), "worker-1 (process 7) has ended with status 0"),
        (ChildEvent("exited", "worker-1", 7, -9), "worker-1 (process 7) has ended by SIGKILL"),
        (ChildEvent("exited", "worker-1", 7, -99), "worker-1 (process 7) has ended by signal 99"),
        (ChildEvent("delayed", "http", None, None, 0.5), "http ends again and again; the next start is in 0.5 s"),
        (ChildEvent("stopping", "http", 7), "http is told to stop"),
        (ChildEvent("killed", "http", 7), "http (process 7) did not stop in time and is killed"),
        (ChildEvent("failed", "http", None, None, 2.0), "http cannot be started; the next try is in 2 s"),
    ],
)
def test_what_happens_is_said_in_words(event: ChildEvent, says: str) -> None:
    assert children.sentence(event) == says


def test_a_child_that_ends_as_it_was_told_to_needs_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    tell = children.told(Console({}))
    for event in (
        ChildEvent("stopping", "http", 7),
        ChildEvent("exited", "http", 7, 0),
        ChildEvent("stopping", "worker-1", 8),
        ChildEvent("exited", "worker-1", 8, 1),
    ):
        tell(event)
    assert capsys.readouterr().err == "worker-1 (process 8) has ended with status 1\n"


def test_programs_are_told_everything_and_people_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    events = [ChildEvent("started", "worker-1", 7), ChildEvent("exited", "worker-1", 7, -9)]
    for event in events:
        children.told(Console({}, as_json=True, as_lines=True))(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line["pid"], line.get("exit")) for line in lines] == [
        ("started", 7, None),
        ("exited", 7, -9),
    ]
    for event in events:
        children.told(Console({}))(event)
    assert capsys.readouterr() == ("", "worker-1 (process 7) has ended by SIGKILL\n")
