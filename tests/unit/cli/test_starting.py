"""Before anything starts: a server that loses runs is refused by every command that would put some there."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang import bootstrap
from flowlang.settings import Settings
from tests.unit.cli.desk import Desk

COMMANDS = (("deploy",), ("deploy", "--dry-run"), ("worker",), ("serve", "--port", "0"), ("dev", "--port", "0"))


@pytest.fixture
def started(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was started; nothing is, so that each command comes to an end."""
    calls: list[str] = []

    def serve(_: Settings, **__: Any) -> int:
        calls.append("serve")
        return 0

    del desk
    monkeypatch.setattr(bootstrap, "serve", serve)
    return calls


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 1_000_000}, "the server may throw runs away (allkeys-lru)"),
        ({"maxmemory_policy": "volatile-ttl"}, "set `maxmemory-policy noeviction`"),
        ({"version": "6.2.1", "server": "redis"}, "FlowLang needs Redis 7"),
        ({"role": "slave"}, "name the primary in FLOWLANG_REDIS_URL"),
    ],
)
def test_nothing_starts_on_a_server_that_loses_runs(
    desk: Desk, started: list[str], command: tuple[str, ...], facts: dict[str, Any], says: str
) -> None:
    before = desk.service.catalog.epoch
    desk.server.update(facts)
    result = desk.call(*command)
    assert (result.exit_code, started) == (2, [])
    assert says in result.stderr
    desk.service.refresh()
    assert desk.service.catalog.epoch == before


def test_what_only_breaks_a_promise_is_a_warning(desk: Desk, started: list[str]) -> None:
    desk.server.update({"aof_enabled": False, "version": "8.1.0"})
    result = desk.call("serve", "--port", "0")
    assert (result.exit_code, started) == (0, ["serve"])
    assert "a restart of the server loses what was accepted; set `appendonly yes`" in result.stderr
    assert "CVE-2025-49844" in result.stderr


def test_a_sound_server_is_nothing_to_speak_of(desk: Desk, started: list[str]) -> None:
    result = desk.call("serve", "--port", "0")
    assert (result.exit_code, result.stderr, started) == (0, "", ["serve"])
