"""`flowlang fsck` says what was found, what it means and what to do, and fails when there is anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang import bootstrap
from flowlang.engine.fsck import MEANINGS, Finding, Report
from flowlang.errors import StoreUnavailableError
from flowlang.settings import Settings
from flowlang.store.fsck import check_server
from flowlang.worker.embedded import EmbeddedServer
from tests.unit.cli.desk import Desk

LOST = Finding("wait-lost", "run r00-1, scope main", "its wait w is not in wait:k")


def found(monkeypatch: pytest.MonkeyPatch, *findings: Finding, unread: int = 0) -> None:
    monkeypatch.setattr(bootstrap, "fsck", lambda _: Report(findings, 3, 12, unread))


def test_a_store_that_agrees_is_content(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch)

    result = desk.call("fsck")

    assert (result.exit_code, result.stdout) == (
        0,
        "ok    3 runs and 12 entries of indexes were read: all of it agrees\n",
    )
    assert desk.read("fsck") == {"runs": 3, "entries": 12, "unread": 0, "findings": []}


def test_each_finding_says_what_it_means_and_what_to_do(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, LOST, unread=1)

    result = desk.call("fsck")

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"fail  wait-lost: {MEANINGS['wait-lost'].means}",
        "      run r00-1, scope main: its wait w is not in wait:k",
        f"      -> {MEANINGS['wait-lost'].do}",
        "fail  3 runs and 12 entries of indexes were read, 1 run changed too fast to be judged: 1 finding",
    ]
    (shown,) = desk.read("fsck", status=1)["findings"]
    assert shown == {
        "code": "wait-lost",
        "where": LOST.where,
        "what": LOST.what,
        "means": MEANINGS["wait-lost"].means,
        "do": MEANINGS["wait-lost"].do,
    }


def test_people_are_shown_twenty_of_a_kind_and_programs_all(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, *(Finding("stuck", f"run r{number:02}", "why") for number in range(25)))

    assert "and 5 more; --json shows all" in desk.call("fsck").stdout
    assert len(desk.read("fsck", status=1)["findings"]) == 25


def test_a_store_that_does_not_answer_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Settings) -> Report:
        raise StoreUnavailableError("Connection refused")

    monkeypatch.setattr(bootstrap, "fsck", away)
    result = desk.call("fsck")
    assert result.exit_code == 2
    assert "store:6379" in result.stderr


def test_the_store_of_the_settings_is_read(valkey_server: EmbeddedServer, redis_url: str, tmp_path: Path) -> None:
    settings = Settings.from_env({"FLOWLANG_REDIS_URL": redis_url, "FLOWLANG_PROJECT": str(tmp_path)}, {}, None)

    assert bootstrap.fsck(settings) == Report((), 0, 0, 0)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailableError):
        check_server("redis://127.0.0.1:1/0", namespace="flowlang", now_ms=lambda: 0, pause=lambda _: None)
