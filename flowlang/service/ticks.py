"""Firing schedules: any number of processes may do it at any time; the store takes each tick once."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from flowlang.engine.admission import tick_event
from flowlang.engine.catalog import CronEntry
from flowlang.engine.ops import Accept
from flowlang.engine.ports import Store
from flowlang.engine.route import Router
from flowlang.engine.schedule import ScheduleError, Tick, due_ticks, next_tick_ms
from flowlang.service.answers import Answer
from flowlang.service.catalogs import Catalogs
from flowlang.service.events import Intake

log = logging.getLogger(__name__)


class TickReport(msgspec.Struct, frozen=True):
    """What a look at the schedules came to."""

    fired: int  #: ticks that this process fired
    next_ms: int | None  #: when the next one is due


def fire_due(store: Store, intake: Intake, catalogs: Catalogs, now_ms: int) -> TickReport:
    """Fire what is due.

    Args:
        store: Knows the last tick of each schedule.
        intake: Sends.
        catalogs: The active manifest.
        now_ms: The store's time.
    """
    makers: list[Callable[[Router], Accept | Answer]] = []
    upcoming: list[int] = []
    crons = catalogs.current().crons
    for key, last_ms in store.crons().items():
        entry = crons.get(key)
        if entry is None:  # deployed a moment ago; the next look knows it
            catalogs.refresh()
            continue
        try:
            makers.extend(_maker(entry, tick) for tick in due_ticks(entry.schedule, entry.timezone, last_ms, now_ms))
            upcoming.append(next_tick_ms(entry.schedule, entry.timezone, now_ms))
        except ScheduleError:
            log.exception("schedule cannot be used: %s", key)
    answers = intake.send(makers) if makers else []
    fired = sum(1 for answer in answers if answer.status in {"accepted", "dead_letter"})
    return TickReport(fired, min(upcoming, default=None))


def _maker(entry: CronEntry, tick: Tick) -> Callable[[Router], Accept | Answer]:
    def make(router: Router) -> Accept | Answer:
        current = router.catalog.crons.get(entry.key)
        if current is None:
            return Answer("refused", message=f"{entry.key} is not deployed any more")
        return router.tick(current, tick_event(entry.key, tick, router.now_ms), tick).accept

    return make
