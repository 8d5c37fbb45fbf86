"""The active manifest made ready for use: who starts by which event, who owns which prefix, which schedules tick.

Built once an epoch from the stored manifest and plans, never from local files. What a match leads to is `route`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from flowlang.engine.awaiting import AwaitedEvents, awaited_by
from flowlang.engine.marks import NO_MARKS, Marks
from flowlang.engine.program import Program
from flowlang.engine.schedule import Schedule
from flowlang.engine.schemas import EventValidator
from flowlang.expr import Expression, ValueTemplate, compile_expression, compile_value
from flowlang.ids import keyed_hash
from flowlang.plan import CronTrigger, EventTrigger, Manifest, Trigger, WebhookSource

#: Event names: segments joined by `/`.
EVENT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")
MAX_EVENT_NAME = 200

TICK = "schedule/tick"
#: Prefixes that belong to FlowLang: nobody may send them, and no `*` stands for what lies under them.
RESERVED = ("pipeline", "schedule")
OUTCOMES = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Starter:
    """What it takes to start a pipeline, compiled."""

    program: Program
    check_input: EventValidator
    variables: tuple[tuple[str, ValueTemplate], ...]
    labels: ValueTemplate | None
    key: Expression | None

    @property
    def pipeline(self) -> str:
        """The pipeline's id."""
        return self.program.plan.pipeline


def starter_of(program: Program) -> Starter:
    """Make a version of a pipeline ready to be started, active or not."""
    plan = program.plan
    return Starter(
        program=program,
        check_input=EventValidator(plan.input_schema),
        variables=tuple((name, compile_value(value)) for name, value in plan.vars),
        labels=compile_value(plan.labels) if plan.labels else None,
        key=compile_expression(plan.idempotency.key) if plan.idempotency else None,
    )


@dataclass(frozen=True, slots=True)
class Subscription:
    """One trigger of one pipeline, compiled."""

    starter: Starter
    index: int  #: among the pipeline's triggers, in written order
    condition: Expression | None
    data: ValueTemplate | None


@dataclass(frozen=True, slots=True)
class CronEntry:
    """The schedule of one trigger.

    The key is the same over deploys for as long as the pipeline has a trigger of these cron texts and this time zone,
    wherever it is written.
    """

    key: str
    schedule: Schedule
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook with its templates over `body` and `headers` compiled."""

    source: WebhookSource
    event: ValueTemplate
    ident: ValueTemplate | None
    data: ValueTemplate


class Catalog:
    """The active manifest, ready to use; immutable and safe to share between threads.

    Args:
        manifest: As deployed.
        epoch: Of its deploy; every accept that it leads to carries it.
        programs: Pipeline → its active program; all that the manifest names.
        salt: The store's secret, without which hashes of users' keys cannot be guessed.

    Raises:
        KeyError: when a program is missing.
        SchemaError, CelError: when a stored schema or expression does not compile: it was not deployed by `deploy`.
    """

    def __init__(self, manifest: Manifest, epoch: int, programs: Mapping[str, Program], salt: bytes = b"") -> None:
        self.manifest = manifest
        self.epoch = epoch
        self._salt = salt
        self._starters = {name: starter_of(programs[name]) for name in sorted(manifest.pipelines)}
        self._validators = {entry.name: EventValidator(entry.schema) for entry in manifest.events}
        self._marks = {entry.name: Marks(entry.schema) for entry in manifest.events}
        self._marks |= {
            f"pipeline/{name}.called": Marks(starter.program.plan.input_schema)
            for name, starter in self._starters.items()
        }
        self.marks_anything = any(self._marks.values())  #: whether any event has a field that must not be shown
        self._webhooks = {source.name: _webhook(source) for source in manifest.webhooks}
        self._exact: dict[str, list[Subscription]] = {}
        self._under: dict[str, list[Subscription]] = {}
        plans = (starter.program.plan for starter in self._starters.values())
        self.awaited = AwaitedEvents((*manifest.awaited, *(each for plan in plans for each in awaited_by(plan))))
        self._triggers: dict[tuple[str, int], Subscription] = {}
        self.crons: dict[str, CronEntry] = {}
        for starter in self._starters.values():
            for index, trigger in enumerate(starter.program.plan.triggers):
                self._add(Subscription(starter, index, *_compiled(trigger)), trigger)
        self._known = {name: self._found(name) for name in self._exact}

    def _add(self, subscription: Subscription, trigger: Trigger) -> None:
        self._triggers[subscription.starter.pipeline, subscription.index] = subscription
        if isinstance(trigger, CronTrigger):
            entry = _cron(subscription, trigger, self.crons)
            self.crons[entry.key] = entry
            return
        for name in dict.fromkeys(trigger.events):
            prefix, _, last = name.rpartition("/")
            table, key = (self._under, prefix) if last == "*" else (self._exact, name)
            table.setdefault(key, []).append(subscription)

    def subscribers(self, event: str) -> tuple[Subscription, ...]:
        """The triggers that look at an event, by pipeline and written order, each once."""
        known = self._known.get(event)
        return self._found(event) if known is None else known

    def _found(self, event: str) -> tuple[Subscription, ...]:
        found = list(self._exact.get(event, ()))
        prefix = event.rpartition("/")[0]
        if prefix.partition("/")[0] not in RESERVED:
            found.extend(self._under.get(prefix, ()))
        unique = {(each.starter.pipeline, each.index): each for each in found}
        return tuple(unique[key] for key in sorted(unique))

    def trigger(self, pipeline: str, index: int) -> Subscription | None:
        """One trigger, by its place."""
        return self._triggers.get((pipeline, index))

    def starter(self, pipeline: str) -> Starter | None:
        """An active pipeline."""
        return self._starters.get(pipeline)

    def pipelines(self) -> Iterator[Starter]:
        """All active pipelines, by name."""
        yield from self._starters.values()

    def validator(self, event: str) -> EventValidator | None:
        """What checks an event's data; None for one without a schema."""
        return self._validators.get(event)

    def marks(self, event: str) -> Marks:
        """What the schema of an event marks as sensitive."""
        return self._marks.get(event, NO_MARKS)

    def webhook(self, name: str) -> Webhook | None:
        """A webhook of the project."""
        return self._webhooks.get(name)

    def owner(self, event: str) -> str | None:
        """Who alone may send an event: `FlowLang`, the webhook that owns its prefix, or None when anybody may."""
        first = event.partition("/")[0]
        if first in RESERVED and "/" in event:
            return "FlowLang"
        return f"the webhook {first!r}" if first in self._webhooks and "/" in event else None

    def key_hash(self, kind: str, name: str, key: str) -> str:
        """Hash a user's key: what it is for, the source or pipeline that it belongs to, its text."""
        return keyed_hash(kind, name, key, salt=self._salt)

    def limit(self, name: str, default: int) -> int:
        """A limit of the project, by its name in `flowlang.yaml`."""
        return self.manifest.limits.get(name, default)


def is_event_name(text: str) -> bool:
    """Whether a text can name an event."""
    return len(text) <= MAX_EVENT_NAME and EVENT_NAME.fullmatch(text) is not None


def own_outcomes(pipeline: str) -> tuple[str, ...]:
    """The outcome events of a pipeline, which never start itself."""
    return tuple(f"pipeline/{pipeline}.{outcome}" for outcome in OUTCOMES)


def _compiled(trigger: EventTrigger | CronTrigger) -> tuple[Expression | None, ValueTemplate | None]:
    condition = None if trigger.condition is None else compile_expression(trigger.condition)
    data = None if trigger.data is msgspec.UNSET else compile_value(trigger.data)
    return condition, data


def _cron(subscription: Subscription, trigger: CronTrigger, taken: Mapping[str, CronEntry]) -> CronEntry:
    crons = tuple(dict.fromkeys(trigger.schedules))
    named = "#".join((subscription.starter.pipeline, *crons, trigger.timezone))
    # Triggers that share all of this differ in `if` or `data`; each has ticks of its own.
    key = next(key for number in count(1) if (key := named if number == 1 else f"{named}#{number}") not in taken)
    return CronEntry(key, Schedule(crons, trigger.timezone, trigger.jitter_ms, trigger.missed, key), subscription)


def _webhook(source: WebhookSource) -> Webhook:
    # Without a template the name is fixed by the prefix that the webhook owns.
    event: Any = source.event or f"{source.name}/received"
    ident = None if source.ident is None else compile_value(source.ident)
    return Webhook(source, compile_value(event), ident, compile_value(source.data))
