"""F7: ticks of five schedulers that are killed and paused and whose clocks are wrong, over both changes of the clock."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from flowlang.clock import rfc3339
from flowlang.engine.ports import Store
from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.contract.conftest import moved_clock
from tests.proofs.figure import Figure, Proof, Say
from tests.proofs.schedulers import HOUR, MINUTE, Schedulers, cron

ODDS = 0.1
SKEW_MS = 2 * MINUTE
ZONES = ("Europe/Vienna", "America/New_York", "Australia/Lord_Howe")


@dataclass(frozen=True, slots=True)
class Fired:
    """The runs that ticks have made.

    Attributes:
        hourly: Ticks of the schedule of each full hour.
        daily: By zone, ticks of half past two in the night there.
        kills: Of processes.
        changes: Of the clock, in all zones together.
    """

    hourly: list[str]
    daily: dict[str, list[str]]
    kills: int
    changes: int


def measure(size: int, seed: int, say: Say) -> Figure:
    """Fire so many hourly ticks, and those of each night in three zones: in memory, and on a server."""
    texts, holds = [], True
    for where, fired, start_ms in (("in memory", *_in_memory(size, seed)), ("on a server", *_on_server(size, seed))):
        wrong = verdict(fired, start_ms, size)
        nights = sum(map(len, fired.daily.values()))
        text = f"{where} {len(fired.hourly):,} runs of {size:,} hourly ticks"
        more = (
            f"{nights:,} of nights in {len(ZONES)} zones, {fired.kills:,} kills, {fired.changes} changes of the clock"
        )
        say(f"{text}, {more}: {wrong or 'each tick once'}")
        texts.append(text)
        holds = holds and not wrong and fired.kills > size // 50
    return Figure(f"{', '.join(texts)}; 5 schedulers, skew ±{SKEW_MS // 1000} s", holds)


def verdict(fired: Fired, start_ms: int, size: int) -> str:
    """What is wrong with the ticks, by the calendar and not by the schedule's own arithmetic; empty: nothing."""
    first_ms = start_ms - start_ms % HOUR + HOUR
    if fired.hourly != [rfc3339(first_ms + number * HOUR) for number in range(size)]:
        return f"{_amiss(fired.hourly)} of the hourly ticks"
    for zone, ticks in fired.daily.items():
        days = [datetime.fromisoformat(tick).astimezone(ZoneInfo(zone)).date() for tick in ticks]
        whole = [days[0] + timedelta(days=number) for number in range((days[-1] - days[0]).days + 1)] if days else []
        if not days or days != whole or not size // 24 - 1 <= len(days) <= size // 24 + 2:
            return f"{_amiss(ticks)} of the nights in {zone}"
    return ""


def _amiss(ticks: Sequence[str]) -> str:
    doubled = len(ticks) - len(set(ticks))
    return f"{doubled} doubled, {len(ticks):,} in all"


def _in_memory(size: int, seed: int) -> tuple[Fired, int]:
    return _fire(size, seed)


def _on_server(size: int, seed: int) -> tuple[Fired, int]:
    with (
        tempfile.TemporaryDirectory(prefix="flowlang-f7-") as folder,
        EmbeddedServer(Path(folder)) as server,
        contextlib.closing(RedisStore(server.url, test_clock=True)) as store,
    ):
        advance = moved_clock(store)
        now = datetime.fromtimestamp(store.now_ms() / 1000, UTC)
        new_year = datetime(now.year + 1, 1, 1, tzinfo=UTC)
        advance(int((new_year - now).total_seconds() * 1000) + 1_000)  # from there both changes lie in the next months
        return _fire(size, seed, store, advance)


def _fire(
    size: int, seed: int, store: Store | None = None, advance: Callable[[int], None] | None = None
) -> tuple[Fired, int]:
    world = Schedulers(
        cron("hourly", "0 * * * *", ZONES[0], "all", jitter_ms=10 * MINUTE),
        *(cron(f"daily-{number}", "30 2 * * *", zone, "all") for number, zone in enumerate(ZONES)),
        odds=ODDS,
        store=store,
        advance=advance,
        seed=seed,
    )
    skews = [-SKEW_MS, -SKEW_MS // 2, 0, SKEW_MS // 2, SKEW_MS]
    now_ms = world.start
    seen = [now_ms + skew for skew in skews]  # what each takes the time for: a paused one goes on where it was
    end = world.start - world.start % HOUR + size * HOUR + 30 * MINUTE
    while now_ms < end:
        step = min(world.rng.randrange(1, 9 * HOUR), end - now_ms)
        world.advance(step)
        now_ms += step
        for which in world.rng.sample(range(5), 3):
            if world.rng.random() >= 0.3:
                seen[which] = now_ms + skews[which]
            world.look(which, seen[which])
    world.odds = 0.0
    for which in range(5):
        world.processes[which] = world.process()
        world.look(which)
    daily = {zone: world.ticks(f"daily-{number}") for number, zone in enumerate(ZONES)}
    changes = sum(_changes(zone, world.start, end) for zone in ZONES)
    return Fired(world.ticks("hourly"), daily, world.killed, changes), world.start


def _changes(zone: str, start_ms: int, end_ms: int) -> int:
    """How often the clock is changed in a zone between two moments."""
    found = ZoneInfo(zone)
    offsets = [datetime.fromtimestamp(at / 1000, found).utcoffset() for at in range(start_ms, end_ms, 6 * HOUR)]
    return sum(one != other for one, other in pairwise(offsets))


PROOF = Proof(
    name="F7",
    claim="5 schedulers, kills, pauses, skew ±120 s, both changes of the clock: exactly one run a tick",
    measure=measure,
    small=7_500,  # from New Year until both changes have come in all zones
    full=10_000,
)
