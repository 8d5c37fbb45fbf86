"""A replay as it is prepared: what of the earlier run it takes over, what it computes anew, and what it will do.

Pure: the run's rows and both versions are arguments. `Router.replay` makes the run of what is prepared here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from flowlang import jsondata
from flowlang.engine import sealed_fields
from flowlang.engine.catalog import Catalog, Starter
from flowlang.engine.checkpoints import Again, checkpoints
from flowlang.engine.intake import Lineage
from flowlang.engine.ports import RunRows, Sealer
from flowlang.engine.program import Program
from flowlang.engine.recalling import PAST
from flowlang.engine.route import Before
from flowlang.engine.state import ErrorInfo, Past, Record, RunMeta, decode_meta, decode_past, decode_record
from flowlang.engine.turn import decode_run_end
from flowlang.errors import FlowError

_LIVE = frozenset({"pending", "running"})
_ENDED = frozenset({"step.ended", "step.skipped"})
_UNDONE = frozenset({"step.undoing", "step.undone"})
_UNDO = ".undo"


class ReplayError(FlowError):
    """A run cannot be replayed so."""


class Wish(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a run is to be replayed.

    Attributes:
        start: Step instance to start from; None: whole.
        data: What its event's data is to be; unset: as it was.
        same_version: On the version that the run had, not on the active one.
        new_keys: With new idempotency keys for all steps.
    """

    start: str | None = msgspec.field(name="from", default=None)
    data: Any = msgspec.UNSET
    same_version: bool = False
    new_keys: bool = False


class Effect(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a replay does outside of itself."""

    kind: Literal["call", "emit", "invoke"]
    step: str  #: instance; of an invoked run under that of its step: `ship/book`
    target: str  #: handler, event or pipeline
    effect: str = ""  #: of a handler
    new_key: bool = False  #: its idempotency key is not that of the run replayed


class Forecast(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a replay will do, if what is done again ends as it did.

    Attributes:
        effects: In the order in which they happen, each once, however many attempts it takes.
        unknown: Instances that had not ended well, or never ran: how they will end is not known.
        perhaps: What may follow, depending on how those end.
    """

    effects: tuple[Effect, ...] = ()
    unknown: tuple[str, ...] = ()
    perhaps: tuple[Effect, ...] = ()


class Earlier(msgspec.Struct, frozen=True):
    """A run that has ended, opened.

    Attributes:
        run: Its id.
        meta: What it began with.
        created_ms: When it was created.
        status: How it has ended.
        error: What it failed with.
        records: Of its step instances, those without an id included; undos left out.
        pasts: What its instances were given, and which runs their keys derived from.
        undone: Instances whose undo ran or was tried.
    """

    run: str
    meta: RunMeta
    created_ms: int
    status: str
    error: ErrorInfo | None
    records: dict[str, Record]
    pasts: dict[str, Past]
    undone: tuple[str, ...]


class Question(msgspec.Struct, frozen=True):
    """What a forecast is asked for.

    Attributes:
        earlier: The run replayed.
        prepared: Its replay.
        starter: Of the version that the replay will have.
        catalog: The active manifest.
        now_ms: The store's time.
        find: Opens another run that is kept.
    """

    earlier: Earlier
    prepared: Prepared
    starter: Starter
    catalog: Catalog
    now_ms: int
    find: Callable[[str], Earlier | None]


class Prepared(msgspec.Struct, frozen=True):
    """A replay, ready to be made.

    Attributes:
        before: What it has from the earlier run.
        lineage: What it inherits.
        start: Where it starts; "": whole.
        again: Steps before the start that must run again, and why.
    """

    before: Before
    lineage: Lineage
    start: str = ""
    again: tuple[Again, ...] = ()


def opened(rows: RunRows, sealer: Sealer) -> Earlier:
    """Open all that is kept of a run."""
    run, pasts, records = rows.row.id, {}, {}
    for name, payload in rows.records.items():
        if name.startswith(PAST):
            past = decode_past(sealer.open(payload, sealed_fields.record(name), run))
            origin = run if past.fresh else past.origin
            pasts[name.removeprefix(PAST)] = Past(past.given, origin)
        else:
            records[name] = decode_record(sealer.open(payload, sealed_fields.record(name), run))
    undone: dict[str, None] = {}
    for entry in (jsondata.loads(sealer.open(sealed, sealed_fields.JOURNAL, run)) for sealed in rows.journal):
        kind, step = entry["kind"], entry.get("step", "")
        if kind in _UNDONE:
            undone[step.removesuffix(_UNDO)] = None
            records.pop(step, None)
        elif kind in _ENDED:
            status = entry.get("status", "skipped")
            records.setdefault(step, Record(status, started_ms=entry["at"], ended_ms=entry["at"]))
            if "given" in entry:
                pasts[step] = Past(entry["given"], entry.get("origin", ""))
    meta = decode_meta(sealer.open(rows.row.meta, sealed_fields.META, run))
    result = rows.row.result
    error = decode_run_end(sealer.open(result, sealed_fields.RESULT, run)).error if result else None
    return Earlier(run, meta, rows.row.created_ms, rows.row.status, error, records, pasts, tuple(undone))


def prepare(rows: RunRows, earlier: Earlier, old: Program | None, new: Program, wish: Wish) -> Prepared:
    """Decide what a replay takes over.

    Args:
        rows: Of the run, as they are kept.
        earlier: The same, opened.
        old: The version that it had; None when its plan is not kept any more.
        new: The version that the replay will have.
        wish: How.

    Raises:
        ReplayError, StartError: saying why it cannot be, and what can.
    """
    _check(rows, earlier, wish)
    meta = earlier.meta
    records: dict[str, Record] = {}
    start, again = "", tuple[Again, ...]()
    if wish.start is not None:
        found = checkpoints(new, old, earlier.records, wish.start)
        records, start, again = found.records, found.start, found.again
    edited = wish.data is not msgspec.UNSET
    before = Before(
        event=msgspec.structs.replace(meta.event, data=wish.data) if edited else meta.event,
        events=meta.events,
        vars={} if edited else _vars(meta.vars, old, new),
        records=records,
        pasts={} if wish.new_keys else earlier.pasts,
    )
    lineage = Lineage(
        origin="" if wish.new_keys else meta.origin or earlier.run,
        root_ms=meta.root_ms or earlier.created_ms,
        root_event=meta.root_event or meta.event_row,
        replay_of=earlier.run,
        undone=() if wish.new_keys else earlier.undone,
    )
    return Prepared(before, lineage, start, again)


def _check(rows: RunRows, earlier: Earlier, wish: Wish) -> None:
    if rows.row.status in _LIVE:
        raise ReplayError(f"run {earlier.run} has not ended: wait for its end, or cancel it")
    if rows.row.merged_into is not None:
        raise ReplayError(f"the event of run {earlier.run} went into run {rows.row.merged_into}: replay that one")
    if earlier.meta.events and wish.data is not msgspec.UNSET:
        raise ReplayError("the run is of a batch, of which no single event's data can be edited: send the events anew")
    if wish.start is not None and earlier.undone:
        listed = ", ".join(sorted(earlier.undone)[:3])
        raise ReplayError(f"what the run did was taken back ({listed}): it can be replayed as a whole only")


def _vars(values: Mapping[str, Any], old: Program | None, new: Program) -> dict[str, Any]:
    """The computed values that stay: those of names that are defined as they were."""
    if old is None or old.version == new.version:
        return dict(values)
    before = dict(old.plan.vars)
    same = (name for name, value in new.plan.vars if name in before and before[name] == value)
    return {name: values[name] for name in same if name in values}
