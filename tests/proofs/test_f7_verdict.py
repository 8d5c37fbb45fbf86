from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from flowlang.clock import rfc3339
from tests.proofs.f7 import ZONES, Fired, verdict
from tests.proofs.schedulers import HOUR

START_MS = 1_767_225_600_000
SIZE = 7_500


def night(zone: str, number: int) -> str:
    """Half past two of a night; where the clock skips it, the moment an hour later has the same day."""
    local = datetime(2026, 1, 1, 2, 30, tzinfo=ZoneInfo(zone)) + timedelta(days=number)
    return rfc3339(int(local.astimezone(UTC).timestamp() * 1000))


def right() -> Fired:
    hourly = [rfc3339(START_MS + number * HOUR) for number in range(1, SIZE + 1)]
    return Fired(hourly, {zone: [night(zone, number) for number in range(SIZE // 24)] for zone in ZONES}, 300, 6)


def test_one_run_a_tick_is_right() -> None:
    assert verdict(right(), START_MS, SIZE) == ""


@pytest.mark.parametrize("at", [0, 100, SIZE - 1])
def test_an_hourly_tick_too_few_or_too_many_is_seen(at: int) -> None:
    hourly = right().hourly
    lost = dataclasses.replace(right(), hourly=hourly[:at] + hourly[at + 1 :])
    doubled = dataclasses.replace(right(), hourly=sorted([*hourly, hourly[at]]))
    assert verdict(lost, START_MS, SIZE) == "0 doubled, 7,499 in all of the hourly ticks"
    assert verdict(doubled, START_MS, SIZE) == "1 doubled, 7,501 in all of the hourly ticks"


@pytest.mark.parametrize("zone", ZONES)
def test_a_night_too_few_or_too_many_is_seen(zone: str) -> None:
    nights = right().daily[zone]
    for wrong in ([], nights[:50] + nights[51:], sorted([*nights, nights[50]]), nights[:100]):
        daily = {**right().daily, zone: wrong}
        assert f"nights in {zone}" in verdict(dataclasses.replace(right(), daily=daily), START_MS, SIZE)
