"""Replays: a new run of an earlier one's event, whole or from a step on, linked to it.

The replay of a dead letter has an id that follows from the letter's: asked for twice, at the same time or after a crash
in between, it is one run, and the letter is taken off the list by whoever comes to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowlang.clock import random_token
from flowlang.crashpoints import crashpoint
from flowlang.engine.catalog import Catalog, Starter, starter_of
from flowlang.engine.checkpoints import Again
from flowlang.engine.intake import Delivery
from flowlang.engine.ops import Accept, ResolveDead
from flowlang.engine.ports import RunRows, Sealer, Store
from flowlang.engine.program import Program
from flowlang.engine.replay import Earlier, Forecast, Prepared, Question, ReplayError, Wish, opened, prepare
from flowlang.engine.route import InputError, Router
from flowlang.ids import new_event_id, partition_of
from flowlang.service.answers import DataError, NotFoundError, StartedRun
from flowlang.service.catalogs import Catalogs
from flowlang.service.events import Intake
from flowlang.service.writer import Writer

#: Tells what a prepared replay will do.
Forecaster = Callable[[Question], Forecast]


class Replay(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a replay is, or would be.

    Attributes:
        of: The run replayed.
        pipeline: Its pipeline.
        version: That the replay has.
        start: Where it starts; empty: whole.
        kept: Instances whose checkpoints are kept.
        again: Steps before the start that must run again, and why.
        run: The new run; none when it was only looked at.
        forecast: What it will do, when that was asked for.
    """

    of: str
    pipeline: str
    version: str
    start: str = msgspec.field(name="from", default="")
    kept: tuple[str, ...] = ()
    again: tuple[Again, ...] = ()
    run: StartedRun | None = None
    forecast: Forecast | None = None


class Replays:
    """Makes replays.

    Args:
        store: Answers reads.
        writer: Takes dead letters off the list.
        intake: Makes the runs.
        catalogs: Versions of pipelines.
        sealer: Opens payloads.
        forecaster: Tells what a replay will do; None: nobody can.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        intake: Intake,
        catalogs: Catalogs,
        *,
        sealer: Sealer,
        forecaster: Forecaster | None = None,
    ) -> None:
        self._store = store
        self._writer = writer
        self._intake = intake
        self._catalogs = catalogs
        self._sealer = sealer
        self._forecaster = forecaster

    def replay(self, run: str, wish: Wish, *, key: str | None = None) -> Replay:
        """Make the replay of a run; one that is a dead letter comes off the list.

        Args:
            run: That is replayed.
            wish: How.
            key: The caller's idempotency key: the same for the same run gives the same replay.

        Raises:
            NotFoundError: when the run or its pipeline is not there.
            ReplayError, StartError, DataError: saying why it cannot be replayed so.
        """
        dead = self._store.dead_letter(run) is not None  # asked first: whoever takes it off the list says by what
        rows = self._rows(run)
        row = _row(f"retry\n{run}" if dead else f"replay\n{run}\n{random_token() if key is None else key}", run)
        made: list[tuple[Prepared, Program]] = []

        def make(router: Router) -> Accept:
            _, starter, prepared = self._prepared(rows, wish, router.catalog)
            made[:] = [(prepared, starter.program)]
            return _accept(router, starter, prepared, row)

        crashpoint("replay.asked")
        started = self._intake.secured(self._intake.send([make], raising=True))[0].runs[0]
        crashpoint("replay.made")
        if dead:
            self._writer.send([ResolveDead(run, started.id)])
            crashpoint("replay.resolved")
        prepared, program = made[0]
        return _told(rows, prepared, program, run=started)

    def dry_run(self, run: str, wish: Wish) -> Replay:
        """Tell what the replay of a run would be and do. Raises: as `replay`."""
        rows = self._rows(run)
        catalog = self._catalogs.current()
        earlier, starter, prepared = self._prepared(rows, wish, catalog)
        now_ms, forecast = self._store.now_ms(), None
        _accept(Router(catalog, self._sealer, now_ms), starter, prepared, _row("trial", run))
        if self._forecaster is not None:
            forecast = self._forecaster(Question(earlier, prepared, starter, catalog, now_ms, self._earlier))
        return _told(rows, prepared, starter.program, forecast=forecast)

    def _rows(self, run: str) -> RunRows:
        rows = self._store.run(run)
        if rows is None:
            raise NotFoundError(f"no run {run!r}; one that has expired cannot be replayed")
        if rows.row.replaced_by is not None:
            raise ReplayError(f"run {run} was replayed as {rows.row.replaced_by}: replay that one")
        return rows

    def _prepared(self, rows: RunRows, wish: Wish, catalog: Catalog) -> tuple[Earlier, Starter, Prepared]:
        old = self._catalogs.program(rows.row.version)
        starter = catalog.starter(rows.row.pipeline)
        if wish.same_version:
            if old is None:
                raise NotFoundError(f"version {rows.row.version[:12]} is not stored any more")
            starter = starter_of(old)
        if starter is None:
            raise NotFoundError(
                f"no pipeline {rows.row.pipeline!r} is deployed any more; its old version is, for a same-version replay"
            )
        earlier = opened(rows, self._sealer)
        return earlier, starter, prepare(rows, earlier, old, starter.program, wish)

    def _earlier(self, run: str) -> Earlier | None:
        rows = self._store.run(run)
        return None if rows is None else opened(rows, self._sealer)


def _accept(router: Router, starter: Starter, prepared: Prepared, row: str) -> Accept:
    try:
        return router.replay(starter, prepared.before, Delivery(row), prepared.lineage).accept
    except InputError as error:
        raise DataError(str(error), error.problem.failures) from error


def _told(rows: RunRows, prepared: Prepared, program: Program, **more: Any) -> Replay:
    kept = tuple(prepared.before.records)
    return Replay(rows.row.id, rows.row.pipeline, program.version, prepared.start, kept, prepared.again, **more)


def _row(text: str, run: str) -> str:
    return new_event_id(text, partition_of(run))
