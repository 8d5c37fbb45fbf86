"""What `doctor` judges: each fact that breaks a promise is found, and comes with what to do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowlang import bootstrap
from flowlang.bootstrap import Health
from flowlang.cli.checks import (
    Check,
    api_keys_check,
    dead_check,
    deployed_check,
    durable_check,
    server_checks,
    work_checks,
)
from flowlang.engine.ports import ApiKeyRow, Grants, Stats, WorkerRow
from flowlang.settings import Settings
from tests.unit.cli.desk import SOUND, Desk

SETTINGS = Settings(redis_url="redis://:hunter2@store/0")


def health(test_clock_ms: int = 0, broker_error: str | None = None, *, same: bool = False, **server: Any) -> Health:
    return Health({**SOUND, **server}, test_clock_ms, broker_error, same)


def judged(name: str, facts: Health, settings: Settings = SETTINGS) -> Check:
    (found,) = [check for check in server_checks(facts, settings) if check.name == name]
    return found


def test_a_sound_server_is_ok_and_shown_without_its_password() -> None:
    checks = list(server_checks(health(), SETTINGS))
    assert [check.status for check in checks] == ["ok"] * 8
    assert checks[0].message == "Valkey 9.1.2 at redis://:***@store/0"


@pytest.mark.parametrize(
    ("name", "facts", "status", "says"),
    [
        ("store", health(server="redis", version="6.2.1"), "fail", "needs Redis 7"),
        ("store", health(server="redis", version="7.0.15"), "ok", ""),
        ("store", health(role="slave"), "fail", "primary"),
        ("store", health(mode="cluster"), "fail", "a server that is none"),
        ("eviction", health(maxmemory_policy="allkeys-lru", maxmemory=1_000_000), "fail", "noeviction"),
        ("eviction", health(maxmemory_policy="volatile-lru"), "fail", "noeviction"),
        ("fixes", health(server="redis", version="7.0.15"), "warn", "update"),
        ("fixes", health(server="redis", version="7.2.11"), "ok", ""),
        ("fixes", health(server="redis", version="8.4.0"), "warn", "update"),
        ("fixes", health(server="redis", version="8.6.3"), "ok", ""),
        ("fixes", health(server="redis", version="9.0.0"), "ok", ""),
        ("fixes", health(server="valkey", version="8.1.3"), "warn", "update"),
        ("fixes", health(server="valkey", version="8.1.10"), "ok", ""),
        ("eviction", health(maxmemory_policy=None), "ok", ""),
        ("memory", health(maxmemory=5_000_000), "warn", "90 %"),
        ("memory", health(maxmemory=4_400_000), "fail", "raise `maxmemory` at once"),
        ("memory", health(maxmemory=8_000_000), "ok", ""),
        ("persistence", health(aof_enabled=False), "fail", "appendonly yes"),
        ("persistence", health(appendfsync="no"), "warn", "everysec"),
        ("persistence", health(appendfsync=None), "ok", ""),
        ("clock", health(clock_difference_ms=-1_001), "warn", "NTP"),
        ("clock", health(clock_difference_ms=1_000), "ok", ""),
        ("clock", health(clock_difference_ms=300_000), "fail", "NTP"),
        ("test clock", health(test_clock_ms=60_000), "warn", "FLOWLANG_ENV=test"),
        ("broker", health(broker_error="Connection refused"), "fail", "FLOWLANG_BROKER_URL"),
        ("broker", health(same=True), "warn", "a database of its own"),
    ],
)
def test_a_server_that_breaks_a_promise_is_found(name: str, facts: Health, status: str, says: str) -> None:
    check = judged(name, facts)
    assert check.status == status
    assert says in check.advice
    assert bool(check.advice) == (status != "ok")


def test_tests_may_move_the_time() -> None:
    settings = Settings(redis_url="redis://store", environment="test")
    assert judged("test clock", health(test_clock_ms=60_000), settings).status == "ok"


def stats(*, waited_s: int | None = None, workers: int = 0, dead: int = 0) -> Stats:
    ready = {} if waited_s is None else {"default": 3}
    since = {} if waited_s is None else {"default": 1_000_000 - waited_s * 1000}
    rows = tuple(WorkerRow(f"w{number}", 8, 2, 999_000) for number in range(workers))
    return Stats(now_ms=1_000_000, epoch=1, ready=ready, oldest_ready_ms=since, workers=rows, dead=dead)


@pytest.mark.parametrize(
    ("facts", "statuses"),
    [
        (stats(workers=2), ["ok", "ok"]),
        (stats(), ["warn", "ok"]),
        (stats(waited_s=1), ["fail", "ok"]),
        (stats(waited_s=60), ["fail", "fail"]),
        (stats(waited_s=1, workers=1), ["ok", "ok"]),
        (stats(waited_s=60, workers=1), ["ok", "warn"]),
    ],
)
def test_work_that_nobody_does_is_found(facts: Stats, statuses: list[str]) -> None:
    assert [check.status for check in work_checks(facts)] == statuses


def test_versions_that_no_worker_can_run_are_named() -> None:
    facts = msgspec.structs.replace(stats(workers=1), ready={"default": 7}, unserved={"ab" * 32: 4, "cd" * 32: 3})
    check = next(check for check in work_checks(facts) if check.name == "versions")
    assert check.status == "fail"
    assert check.message == "no worker can run what is ready of 2 versions: abababababab (4), cdcdcdcdcdcd (3)"
    assert [each.name for each in work_checks(msgspec.structs.replace(facts, workers=()))] == ["workers", "work"]


def test_workers_and_the_queues_that_wait_are_counted() -> None:
    workers, work = work_checks(stats(waited_s=60, workers=2))
    assert workers.message == "2 processes with 16 threads, 4 at work"
    assert work.message == "3 ready and not taken: default since 60 s"


@pytest.mark.parametrize(
    ("days", "status", "says"),
    [
        ({}, "ok", "there are none"),
        ({"a": None}, "ok", "1 API key can be used"),
        ({"a": 8, "b": 30}, "ok", "2 API keys can be used"),
        ({"a": 6, "b": 30}, "warn", "within a week, nobody gets in as a"),
        ({"a": 6, "a (new)": 30}, "ok", "2 API keys can be used"),
        ({"a": -1}, "ok", "there are none"),
        ({"b": 1, "a": 2}, "warn", "nobody gets in as a, b"),
    ],
)
def test_keys_that_will_soon_be_of_no_use_are_named(days: dict[str, int | None], status: str, says: str) -> None:
    now_ms, day_ms = 1_000_000_000_000, 86_400_000
    rows = [
        ApiKeyRow(
            name, name.removesuffix(" (new)"), "", Grants(), 0, (), None if left is None else now_ms + left * day_ms
        )
        for name, left in days.items()
    ]
    check = api_keys_check(rows, now_ms)
    assert (check.status, says in check.message) == (status, True)


def test_dead_letters_want_a_look() -> None:
    assert dead_check(stats()).status == "ok"
    assert dead_check(stats(dead=2)).message == "2 dead letters wait for a person"


@pytest.mark.parametrize(("dead", "status", "says"), [(7, "warn", False), (8, "warn", True), (10, "fail", True)])
def test_dead_letters_are_compared_with_their_limit_before_it_is_reached(dead: int, status: str, says: bool) -> None:
    check = dead_check(stats(dead=dead), 10)

    assert check.status == status
    assert ("`limits.dead_letters` in flowlang.yaml is 10" in check.message) is says


@pytest.mark.parametrize(
    ("active", "digest", "local", "status"),
    [
        (None, None, "d1", "fail"),
        ({"welcome": "v1"}, "d1", "d1", "ok"),
        ({"welcome": "v1"}, "d1", "d2", "warn"),
        ({"welcome": "v1"}, "d1", None, "ok"),
    ],
)
def test_what_is_active_is_compared_with_the_folder(
    active: dict[str, str] | None, digest: str | None, local: str | None, status: str
) -> None:
    assert deployed_check(active, 3, digest, local).status == status


def test_doctor_shows_each_check_and_fails_when_one_does(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.server["aof_enabled"] = False
    result = desk.call("doctor")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")].count("fail") == 1
    assert any(line.startswith("fail  persistence") for line in lines)
    assert "-> set `appendonly yes`" in result.stdout
    checks = {check["name"]: check for check in desk.read("doctor", status=1)["checks"]}
    assert checks["persistence"]["status"] == "fail"
    assert checks["python"] == {**checks["python"], "status": "ok", "advice": None}
    assert set(checks) == {
        "python", "packages", "settings", "project", "handlers", "store", "fixes", "eviction", "memory", "persistence", "clock",
        "test clock", "broker", "deployed", "durable", "api keys", "workers", "work", "dead letters",
    }  # fmt: skip


def test_doctor_is_content_when_only_warnings_are_left(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "health", lambda _, **_more: health())
    assert desk.call("doctor").exit_code == 0


def test_doctor_goes_on_without_a_store_and_without_a_project(desk: Desk) -> None:
    (desk.folder / "flowlang.yaml").unlink()
    desk.away = True
    checks = {check["name"]: check for check in desk.read("doctor", status=1)["checks"]}
    assert (checks["project"]["status"], checks["store"]["status"]) == ("fail", "fail")
    assert "store:6379" in checks["store"]["message"]
    assert "hunter2" not in str(checks)


def test_doctor_names_misspelt_variables(desk: Desk) -> None:
    result = desk.call("doctor", env={"FLOWLANG_REDIS_ULR": "redis://x"})
    assert "did you mean FLOWLANG_REDIS_URL?" in result.stdout


def test_doctor_imports_handlers_and_keeps_what_they_print_apart(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "health", lambda _, **_more: health())
    (desk.folder / "handlers").mkdir()
    (desk.folder / "handlers/noisy.py").write_text("print('hello')\nimport nothing_of_that_name\n")
    result = desk.call("doctor")
    assert result.exit_code == 1
    assert "hello" in result.stderr
    assert "hello" not in result.stdout
    assert "noisy.py:2: importing it raised ModuleNotFoundError" in result.stdout


@pytest.mark.parametrize(
    ("durability", "why_not", "replicas", "status", "says"),
    [
        ("none", "", 0, "ok", "when the server has it"),
        ("fsync", "", 0, "ok", "on the server's disk"),
        ("fsync", "set its `appendonly yes`", 0, "fail", "set its `appendonly yes`"),
        ("replica", "", 0, "fail", "none is connected"),
        ("replica", "", 1, "ok", "a replica has it"),
    ],
)
def test_the_server_is_held_to_durable(durability: str, why_not: str, replicas: int, status: str, says: str) -> None:
    check = durable_check(durability, why_not, replicas)

    assert (check.status, says in check.message) == (status, True)
