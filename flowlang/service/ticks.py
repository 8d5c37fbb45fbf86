"""Firing schedules: any number of processes may do it at any time; the store takes each tick once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from flowlang.crashpoints import crashpoint
from flowlang.engine.admission import tick_event
from flowlang.engine.catalog import CronEntry
from flowlang.engine.ops import Accept
from flowlang.engine.ports import Store
from flowlang.engine.route import Router
from flowlang.engine.schedule import ScheduleError, Tick
from flowlang.service.answers import Answer
from flowlang.service.catalogs import Catalogs
from flowlang.service.events import Intake

log = logging.getLogger(__name__)

#: Longest time without a look into the store: should it have lost its last seconds, lost ticks are fired again.
_LOOK_MS: Final = 60_000


class TickReport(msgspec.Struct, frozen=True):
    """What a look at the schedules came to."""

    fired: int  #: ticks that this process fired
    next_ms: int | None  #: when the next one starts a run; None when nothing is scheduled


class Scheduler:
    """One process's look at the schedules; not safe for threads, and needs no agreement with other processes.

    Args:
        store: Knows the last tick of each schedule.
        intake: Sends.
        catalogs: The active manifest.
    """

    def __init__(self, store: Store, intake: Intake, catalogs: Catalogs) -> None:
        self._store = store
        self._intake = intake
        self._catalogs = catalogs
        self._quiet: tuple[int, int, TickReport] | None = None  # epoch, until when, what to answer

    def look(self, now_ms: int) -> TickReport:
        """Fire what is due.

        Args:
            now_ms: The store's time.
        """
        catalog = self._catalogs.current()
        if self._quiet is not None and self._quiet[0] == catalog.epoch and now_ms < self._quiet[1]:
            return self._quiet[2]
        self._quiet = None
        last = self._store.crons()
        if last.keys() != catalog.crons.keys():  # another deploy is active; the next look goes by it
            self._catalogs.refresh()
        due: list[tuple[CronEntry, Tick]] = []
        starts: list[int] = []
        for key in sorted(last.keys() & catalog.crons.keys()):
            entry = catalog.crons[key]
            try:
                due.extend((entry, tick) for tick in entry.schedule.due(last[key], now_ms))
                starts.append(entry.schedule.wake_ms(now_ms))
            except ScheduleError:
                log.exception("schedule cannot be used: %s", key)
        report = TickReport(self._fire(due), min(starts, default=None))
        if not due and last.keys() == catalog.crons.keys():
            until = min(now_ms + _LOOK_MS, report.next_ms or now_ms + _LOOK_MS)
            self._quiet = (catalog.epoch, until, report)
        return report

    def _fire(self, due: list[tuple[CronEntry, Tick]]) -> int:
        if not due:
            return 0
        crashpoint("tick.due")
        answers = self._intake.send([_maker(entry, tick) for entry, tick in due], begun=True)
        crashpoint("tick.fired")
        return sum(1 for answer in answers if answer.status in {"accepted", "dead_letter"})


def _maker(entry: CronEntry, tick: Tick) -> Callable[[Router], Accept | Answer]:
    def make(router: Router) -> Accept | Answer:
        current = router.catalog.crons.get(entry.key)
        if current is None:
            return Answer("refused", message=f"{entry.key} is not deployed any more")
        return router.tick(current, tick_event(entry.key, tick, router.now_ms), tick).accept

    return make
