"""From a plan's flow control to the gates that a run or an attempt asks for; each limiter is one function.

The order is the language's: on events rate limit, debounce, batch; then on the run throttle and concurrency.
`idempotency` is no gate: it is a once-key of the run's creation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from flowlang.engine import sealed_fields
from flowlang.engine.catalog import Catalog
from flowlang.engine.intake import key_text
from flowlang.engine.ops import Gate, Pace, Slot, Window
from flowlang.engine.ports import Sealer
from flowlang.engine.state import ErrorInfo, encode
from flowlang.engine.turn import RunEnd, Wanted
from flowlang.plan import Batch, Concurrency, Debounce, Plan, RateLimit, Step, Throttle, Uses

#: Gives the value of a key: which one (`concurrency.key`), and its expression.
Evaluate = Callable[[str, str], Any]

#: Seconds of advance that a run can be given, either way (language.md §2).
MAX_PRIORITY_S = 600


def event_gates(plan: Plan, evaluate: Evaluate) -> tuple[Wanted, ...]:
    """The gates of an event, in their order."""
    found = []
    if plan.rate_limit is not None:
        found.append(_rate_limit(plan, plan.rate_limit, evaluate))
    if plan.debounce is not None:
        found.append(_debounce(plan, plan.debounce, evaluate))
    if plan.batch is not None:
        found.append(_batch(plan, plan.batch, evaluate))
    return tuple(found)


def run_gates(plan: Plan, evaluate: Evaluate) -> tuple[Wanted, ...]:
    """The gates of a run, in their order."""
    found = []
    if plan.throttle is not None:
        found.append(_throttle(plan.pipeline, plan.throttle, evaluate))
    if plan.concurrency is not None:
        found.append(_run_concurrency(plan, plan.concurrency, evaluate))
    return tuple(found)


def step_gates(plan: Plan, step: Step, evaluate: Evaluate) -> tuple[Wanted, ...]:
    """The gates of an attempt of a step, or of the start of the run that it invokes; in their order."""
    owner = f"{plan.pipeline}/{step.key}"
    found = []
    if step.throttle is not None:
        found.append(_throttle(owner, step.throttle, evaluate))
    if isinstance(step.verb, Uses) and step.verb.concurrency is not None:
        rule = step.verb.concurrency
        found.append(_place(owner, rule, Slot("", rule.limit), evaluate))
    return tuple(found)


def has_step_gates(step: Step) -> bool:
    """Whether attempts of a step ask for gates."""
    return step.throttle is not None or (isinstance(step.verb, Uses) and step.verb.concurrency is not None)


def sealed(wanted: Wanted, catalog: Catalog, sealer: Sealer, run: str) -> Gate:
    """The gate as the store takes it: its key hashed, the result of a refused run sealed."""
    gate = msgspec.structs.replace(wanted.gate, key=catalog.key_hash(wanted.kind, wanted.owner, wanted.text))
    if wanted.refusal is None:
        return gate
    result = sealer.seal(encode(RunEnd("skipped", error=wanted.refusal)), run, sealed_fields.RESULT)
    return msgspec.structs.replace(gate, refusal=result)


def priority_ms(value: Any) -> int | None:
    """The advance that a `priority` gives; None when it is no number. What is beyond the bounds counts as the bound."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(max(-MAX_PRIORITY_S, min(MAX_PRIORITY_S, value)) * 1000)


def _text(where: str, key: str | None, evaluate: Evaluate) -> str:
    return "" if key is None else key_text(evaluate(f"{where}.key", key))


def _refused(code: str, message: str) -> ErrorInfo:
    return ErrorInfo("resource", code, message)


def _rate_limit(plan: Plan, rule: RateLimit, evaluate: Evaluate) -> Wanted:
    gate = Pace("", rule.limit, rule.period_ms, rule.limit, wait=False)
    refusal = _refused("skipped.rate_limit", f"more than {rule.limit} starts in {rule.period_ms} ms")
    return Wanted(gate, "rate_limit", plan.pipeline, _text("rate_limit", rule.key, evaluate), refusal)


def _debounce(plan: Plan, rule: Debounce, evaluate: Evaluate) -> Wanted:
    gate = Window("", rule.period_ms, max_ms=rule.max_ms)
    refusal = _refused("skipped.debounce", "a later event started the run")
    return Wanted(gate, "debounce", plan.pipeline, _text("debounce", rule.key, evaluate), refusal)


def _batch(plan: Plan, rule: Batch, evaluate: Evaluate) -> Wanted:
    gate = Window("", rule.period_ms, size=rule.size)
    refusal = _refused("skipped.batch", "the run of the batch has this event")
    return Wanted(gate, "batch", plan.pipeline, _text("batch", rule.key, evaluate), refusal)


def _throttle(owner: str, rule: Throttle, evaluate: Evaluate) -> Wanted:
    gate = Pace("", rule.limit, rule.period_ms, rule.burst)
    return Wanted(gate, "throttle", owner, _text("throttle", rule.key, evaluate))


def _run_concurrency(plan: Plan, rule: Concurrency, evaluate: Evaluate) -> Wanted:
    gate = Slot("", rule.limit, rule.on_limit, active=rule.hold == "active")
    refusal = _refused("skipped.concurrency", f"{rule.limit} runs are at work")
    return _place(plan.pipeline, rule, gate, evaluate, refusal if rule.on_limit == "skip" else None)


def _place(owner: str, rule: Concurrency, gate: Slot, evaluate: Evaluate, refusal: ErrorInfo | None = None) -> Wanted:
    text = _text("concurrency", rule.key, evaluate)
    if rule.scope == "project":
        return Wanted(gate, "concurrency.project", "", text, refusal)
    return Wanted(gate, "concurrency", owner, text, refusal)
