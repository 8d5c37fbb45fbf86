"""The compiled form of a pipeline: immutable, hashable, stored as JSON, with all names resolved and defaults filled in.

Steps are numbered in written order and refer to each other by number; blocks are tuples of numbers. Expressions stay
CEL text and values stay trees with `${{ }}` in their strings: whoever runs the plan compiles them once
(`engine.program`). A release reads its own `PLAN_FORMAT` and the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from flowlang import jsondata

PLAN_FORMAT = 1


class _Part(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Of a plan. A word that this release does not know would change what the plan says: it is refused."""


class RetryRule(_Part, frozen=True):
    """One policy of a list: the first whose `errors` cover a failure decides about the next attempt.

    `errors` are classes, codes, or a code's prefix with `.*`; empty covers all but `permanent` and `timeout`.
    """

    errors: tuple[str, ...] = ()
    attempts: int | None = None  #: the first try included; None: bounded by `for_ms` alone
    initial_ms: int = 1_000
    factor: float = 2.0
    max_ms: int = 600_000
    jitter: Literal["equal", "full", "none"] = "equal"
    for_ms: int | None = None  #: no attempt starts later than this after the first one's start


class Tolerate(_Part, frozen=True):
    """Failures that do not stop the run. `errors` empty: any failure. The counts are for items of a foreach."""

    errors: tuple[str, ...] = ()
    failed: int | None = None
    failed_percent: float | None = None


class CatchArm(_Part, frozen=True):
    """Handles what the retries did not cure; `errors` empty: any."""

    block: tuple[int, ...]
    errors: tuple[str, ...] = ()
    output: Any = msgspec.UNSET


class Foreach(_Part, frozen=True):
    """Once per item of the list that `items` evaluates to."""

    items: str
    name: str = "item"
    max_parallel: int = 10
    chunk: int | None = None


class Pause(_Part, frozen=True):
    """The pause before the next round of a repeat: `initial_ms`, times `factor` from round to round."""

    initial_ms: int = 0
    factor: float = 1.0
    max_ms: int = 31_536_000_000
    jitter: Literal["equal", "full", "none"] = "none"


class Repeat(_Part, frozen=True):
    """Again until `until` is true; `limit` rounds at most, none of which starts later than `for_ms` after the first."""

    until: str
    limit: int | None = None
    for_ms: int | None = None
    every: Pause = Pause()
    start: Any = None


class Cache(_Part, frozen=True):
    """Reuse an output across runs for `ttl_ms`; `key` is an expression."""

    key: str
    ttl_ms: int


class Concurrency(_Part, frozen=True):
    """How many runs, or attempts of a step, are active at once; of a step only the first three count."""

    limit: int
    key: str | None = None
    scope: Literal["pipeline", "project"] = "pipeline"
    on_limit: Literal["wait", "skip", "cancel_oldest"] = "wait"
    hold: Literal["active", "run"] = "active"


class Throttle(_Part, frozen=True):
    """At most `limit` starts in `period_ms`, `burst` of them at once; the others wait."""

    limit: int
    period_ms: int
    burst: int = 1
    key: str | None = None


class RateLimit(_Part, frozen=True):
    """At most `limit` starts in `period_ms`; the others are skipped."""

    limit: int
    period_ms: int
    key: str | None = None


class Debounce(_Part, frozen=True):
    """The last event after `period_ms` of quiet, at the latest `max_ms` after the first."""

    period_ms: int
    max_ms: int | None = None
    key: str | None = None


class Batch(_Part, frozen=True):
    """One run of up to `size` events, at the latest `period_ms` after the first."""

    size: int
    period_ms: int
    key: str | None = None


class Uses(_Part, frozen=True, tag="uses"):
    """Call a handler. `queue`, `concurrency` and `throttle` are for each attempt."""

    handler: str
    arguments: dict[str, Any] = {}
    effect: Literal["pure", "idempotent", "keyed", "once"] = "idempotent"
    timeout_ms: int = 600_000
    queue: str | None = None
    concurrency: Concurrency | None = None


class Invoke(_Part, frozen=True, tag="invoke"):
    """Run another pipeline; without `wait` its end is not waited for."""

    pipeline: str
    arguments: dict[str, Any] = {}
    wait: bool = True


class WaitFor(_Part, frozen=True, tag="wait_for"):
    """Wait for `count` events; `match` is an expression over `incoming`."""

    events: tuple[str, ...]  #: names; `mux/*` stands for one more segment
    match: str
    since: Literal["run", "step"] = "run"
    count: int = 1
    timeout: str | None = None  #: a duration, or a template that gives one


class Emit(_Part, frozen=True, tag="emit"):
    """Send an event; `ident` is a template, None: derived from run and instance; `delay` a duration or a template."""

    event: str
    data: Any = {}
    ident: str | None = None
    delay: str | None = None


class SetValues(_Part, frozen=True, tag="set"):
    """Computed values."""

    values: dict[str, Any]


class Sleep(_Part, frozen=True, tag="sleep"):
    """A durable timer: a duration such as `1h30m`, a timestamp, or a template that gives one."""

    value: str


class Steps(_Part, frozen=True, tag="steps"):
    """In order."""

    block: tuple[int, ...]


class Parallel(_Part, frozen=True, tag="parallel"):
    """At the same time."""

    branches: tuple[int, ...]


class Race(_Part, frozen=True, tag="race"):
    """The first to succeed wins, the others are cancelled."""

    branches: tuple[int, ...]


class Switch(_Part, frozen=True, tag="switch"):
    """The first whose condition is true; one without a condition is the else."""

    cases: tuple[int, ...]


class Stop(_Part, frozen=True, tag="stop"):
    """End the innermost item, branch, body or run as succeeded, with this output."""

    value: Any = None


class Fail(_Part, frozen=True, tag="fail"):
    """Fail here; `rethrow`: with the error that is being handled."""

    error_class: str = "permanent"
    code: str = "failed"
    message: str = ""
    rethrow: bool = False


Verb = Uses | Invoke | Emit | WaitFor | SetValues | Sleep | Steps | Parallel | Race | Switch | Stop | Fail


class Undo(_Part, frozen=True):
    """Takes back what a step did.

    `verb` is a call of a handler or of a pipeline, its `arguments` computed when the step succeeds; with `unknown` also
    when it is not known whether an attempt took effect.
    """

    verb: Uses | Invoke
    retry: tuple[tuple[RetryRule, ...], ...] = ()
    unknown: bool = False


class Step(_Part, frozen=True):
    """A step with its modifiers, all of them resolved.

    `key` is its id, or `<verb>-<n>` where it has none. `loops` are the numbers of the steps with a foreach or repeat
    that it lies in, from outside in, itself not included; they make the instance `pages[3].notify[17]`. `needs` are the
    positions of siblings in its `parallel` that must have ended before.
    """

    index: int
    key: str
    verb: Verb
    named: bool = True  #: has an id that expressions can select
    loops: tuple[int, ...] = ()
    needs: tuple[int, ...] = ()
    condition: str | None = None
    foreach: Foreach | None = None
    repeat: Repeat | None = None
    collect: Any = msgspec.UNSET
    tolerate: Tolerate | None = None
    cache: Cache | None = None
    catch: tuple[CatchArm, ...] = ()
    finally_: tuple[int, ...] = ()
    retry: tuple[tuple[RetryRule, ...], ...] = ()  #: policies from near to far; see `engine.retry`
    throttle: Throttle | None = None  #: of each attempt, or of each start of an invoked run
    timeout_ms: int | None = None  #: of a container or an `invoke`
    output: Any = msgspec.UNSET
    undo: Undo | None = None


class EventTrigger(_Part, frozen=True, tag="event"):
    """Starts a run for each of these events that the condition lets through."""

    events: tuple[str, ...]  #: names; `mux/*` stands for one more segment
    condition: str | None = None
    data: Any = msgspec.UNSET


class CronTrigger(_Part, frozen=True, tag="cron"):
    """Starts a run for each tick of these schedules."""

    schedules: tuple[str, ...]
    timezone: str = "UTC"
    jitter_ms: int = 0
    missed: Literal["last", "skip", "all"] = "last"
    condition: str | None = None
    data: Any = msgspec.UNSET


Trigger = EventTrigger | CronTrigger


class Idempotency(_Part, frozen=True):
    """The same key gives the same run for `ttl_ms`."""

    key: str
    ttl_ms: int = 86_400_000


class CancelOn(_Part, frozen=True):
    """Events that cancel the run; `match` is an expression over `incoming`."""

    events: tuple[str, ...]
    match: str


class Places(_Part, frozen=True):
    """Where the expressions of a plan are written, so that an error at run time can say it."""

    file: str  #: from the project's root
    steps: tuple[str, ...] = ()  #: path of each step in its document, such as `steps[2].catch[0].steps[1]`
    #: By path of a text with expressions: triples of an offset in it, and line and column of that character; from
    #: there on the characters follow each other, up to the next triple.
    texts: dict[str, tuple[int, ...]] = {}

    def find(self, path: str, offset: int) -> str:
        """Tell where a character of a text is written.

        Args:
            path: Of the text in its document.
            offset: Of the character.

        Returns:
            Such as `pipelines/order.yaml:12:9`; empty when it is not known.
        """
        anchors = self.texts.get(path, ())
        found = ""
        for start, line, column in zip(anchors[::3], anchors[1::3], anchors[2::3], strict=True):
            if start > max(offset, 0) and found:
                break
            found = f"{self.file}:{line}:{column + max(offset, 0) - start}"
        return found


class MarkedHints(_Part, frozen=True):
    """Hints of a handler that mark what must not be shown, as JSON Schemas."""

    arguments: dict[str, Any] = {}  #: those that mark something, by name
    returns: Any = None


class Plan(_Part, frozen=True):
    """A pipeline, compiled."""

    pipeline: str
    steps: tuple[Step, ...]
    block: tuple[int, ...]
    plan_format: int = PLAN_FORMAT
    description: str = ""
    triggers: tuple[Trigger, ...] = ()
    input_schema: Any = None  #: JSON Schema of `event.data` after a trigger's `data`; None: dynamic
    vars: tuple[tuple[str, Any], ...] = ()  #: name and value, in the order in which they are computed
    env: dict[str, str] = {}  #: values of `env` as they were at deploy
    output: Any = msgspec.UNSET
    on_failure: tuple[int, ...] = ()
    compensate: bool = True
    cancel_on: tuple[CancelOn, ...] = ()
    timeout_ms: int | None = None  #: of the whole run, from its start
    expires_ms: int | None = None  #: of waiting before its start
    idempotency: Idempotency | None = None
    rate_limit: RateLimit | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    priority: str | None = None  #: an expression, seconds of advance
    throttle: Throttle | None = None
    concurrency: Concurrency | None = None
    allow: tuple[str, ...] | None = None  #: names of API keys or key groups; None: any
    queue: str = "default"
    retention_ms: int = 7 * 86_400_000
    labels: dict[str, str] = {}
    handlers: dict[str, str] = {}  #: name → digest of the signature that its calls were checked against
    marked: dict[str, MarkedHints] = {}  #: of handlers whose hints mark sensitive data, by handler
    closure: str = ""  #: digest of the event schemas that it was checked against
    places: Places | None = None  #: where it is written; no part of the version, since it changes nothing that runs

    def to_json(self) -> bytes:
        """The stored form."""
        return jsondata.dumps(self._tree())

    @property
    def digest(self) -> str:
        """The version: SHA-256 of the stored form without the places, 64 hex digits."""
        return jsondata.digest(msgspec.structs.replace(self, places=None)._tree())  # noqa: SLF001 - our own

    def _tree(self) -> dict[str, Any]:
        # The format is written also where it is the default, which another release has another one of.
        return {**msgspec.to_builtins(self), "plan_format": self.plan_format}


class PlanFormatError(ValueError):
    """A stored plan is of a format that this release does not read."""


def plan_from_json(data: bytes) -> Plan:
    """Read a stored plan, of this release's format or the one before.

    A format adds words with a default that means what plans without them do, so the one before needs no change.

    Raises:
        PlanFormatError: when its format is another one, or it has words that this release does not know. A worker
            leaves its runs to others.
    """
    tree = jsondata.loads(data)
    found = tree.get("plan_format", 1)
    if found not in {PLAN_FORMAT - 1, PLAN_FORMAT}:
        advice = "update the worker" if found > PLAN_FORMAT else "deploy the pipeline again"
        raise PlanFormatError(f"plan format {found}; this release reads {PLAN_FORMAT - 1} and {PLAN_FORMAT}: {advice}")
    try:
        return msgspec.convert(tree, Plan)
    except msgspec.ValidationError as error:
        raise PlanFormatError(f"no plan that this release reads ({error}): update the worker") from error


def event_patterns(plan: Plan) -> frozenset[str]:
    """Names and patterns of the events that a plan sends or looks at."""
    found: set[str] = set()
    for part in (*plan.triggers, *plan.cancel_on):
        if not isinstance(part, CronTrigger):
            found.update(part.events)
    for step in plan.steps:
        if isinstance(step.verb, Emit):
            found.add(step.verb.event)
        elif isinstance(step.verb, WaitFor):
            found.update(step.verb.events)
    return frozenset(found)


def calls(plan: Plan) -> Iterator[Uses]:
    """The calls of handlers of a plan, those that undo others included."""
    for step in plan.steps:
        for verb in (step.verb, None if step.undo is None else step.undo.verb):
            if isinstance(verb, Uses):
                yield verb


def queues_of(plan: Plan) -> frozenset[str]:
    """The queues that a pipeline's work is in: its own, and those of its steps' attempts."""
    steps = {call.queue for call in calls(plan) if call.queue is not None}
    return frozenset({plan.queue, *steps})


class EventSchema(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON Schema of an event's data and where it is written."""

    name: str
    schema: Any
    path: str = ""


class WebhookOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a project says of how a webhook's sender signs; which of it counts is the provider's."""

    url: str = ""  #: as the sender calls it
    webhook_id: str = ""
    allow_sha1: bool = False
    header: str = ""  #: that holds the signature, in lower case
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    timestamp: str = ""  #: header of the time, in lower case
    signed: str = ""  #: what is signed, such as `{timestamp}.{body}`
    tolerance_ms: int = 300_000
    delivery: str = ""  #: header of the delivery's id, in lower case
    content: tuple[str, ...] = ()  #: kinds of body, `json` and `form`; empty: those of the provider


#: Of a webhook whose provider alone says how it signs.
NO_OPTIONS = WebhookOptions()


class WebhookSource(msgspec.Struct, frozen=True, omit_defaults=True):
    """A webhook of `flowlang.yaml`: who signs, and how a body becomes an event."""

    name: str
    provider: str  #: `stripe`, `standard-webhooks`, …, or `unsigned`
    secrets: tuple[str, ...] = ()  #: names in `secrets.*`, tried in order
    event: str = ""  #: template over `body` and `headers`
    ident: str | None = None
    data: Any = "${{ body }}"
    dedupe_ms: int = 7 * 86_400_000
    until: dict[str, int] = {}  #: secret → the last moment in which it counts, ms; without one it always does
    options: WebhookOptions = NO_OPTIONS


class Awaited(msgspec.Struct, frozen=True, omit_defaults=True):
    """Runs may wait for events of this name; `path` leads to what they compare, empty where they take any."""

    event: str  #: or a pattern such as `mux/*`
    path: tuple[str, ...] = ()


class QueueRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a queue's work is taken: lower orders first."""

    order: int = 10
    share: int = 0  #: percent of each worker's threads that are its own
    limit: int | None = None  #: attempts at a time, over all workers


class SlackReceiver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Is told of dead letters: by an incoming webhook, or with a token in a channel. Its texts are templates."""

    when: tuple[str, ...] = ("dead_letter",)  #: or `bug`: only of runs that failed by one
    webhook: str = ""
    channel: str = ""
    token: str = ""


class OtlpReceiver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gets spans of runs and attempts."""

    url: str
    headers: dict[str, str] = {}


class PosthogReceiver(msgspec.Struct, frozen=True, omit_defaults=True):
    """Gets the outcomes of runs."""

    url: str
    key: str


class Observe(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who is told of runs."""

    slack: SlackReceiver | None = None
    otlp: OtlpReceiver | None = None
    posthog: PosthogReceiver | None = None
    env: dict[str, str] = {}  #: values of `env` that their templates read, as they were at deploy


#: When an event counts as taken: stored, on the server's disk, or with a replica as well.
Durability = Literal["none", "fsync", "replica"]


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is active: by this alone events are routed, ticks are fired and webhooks are read."""

    project: str
    pipelines: dict[str, str]  #: pipeline → digest of its plan
    events: tuple[EventSchema, ...] = ()
    webhooks: tuple[WebhookSource, ...] = ()
    awaited: tuple[Awaited, ...] = ()  #: by versions that are live and not among the pipelines
    queues: dict[str, QueueRule] = {}  #: those that the project names
    limits: dict[str, int] = {}  #: bytes, counts or ms, by their names in `flowlang.yaml`
    errors: dict[str, str] = {}  #: exception of the project's libraries → class
    secrets: tuple[str, ...] = ("env", "files")  #: where secrets are looked up, in this order
    durable: Durability = "none"  #: what must be true of an event before its sender is answered
    observe: Observe | None = None

    def to_json(self) -> bytes:
        """The stored form."""
        return jsondata.dumps(msgspec.to_builtins(self))

    @property
    def digest(self) -> str:
        """SHA-256 of the stored form."""
        return jsondata.digest(msgspec.to_builtins(self))


def manifest_from_json(data: bytes) -> Manifest:
    """Read a stored manifest."""
    return msgspec.convert(jsondata.loads(data), Manifest)
