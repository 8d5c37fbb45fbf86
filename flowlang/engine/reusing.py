"""Steps whose output is another run's: asked for in the cache by key before any work, put there after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from flowlang import jsondata
from flowlang.engine.intake import key_text
from flowlang.engine.state import Result, StepFrame, encode
from flowlang.plan import Cache, Step

if TYPE_CHECKING:
    from flowlang.engine.machine import Machine


def ask(machine: Machine, frame: StepFrame, step: Step, cache: Cache) -> None:
    """Ask for an output under the step's key.

    Raises:
        StepError: the key has no value.
    """
    machine.turn.lookups.append((machine.instance(frame), _key(machine, frame, step, cache)))
    machine.to(frame, "looking")


def told(machine: Machine, fact: Mapping[str, Any]) -> None:
    """Take what was found: an output, or nothing, and then the work is done."""
    frame = machine.top_step("looking")
    if frame is None or machine.instance(frame) != fact["id"]:
        return
    body = fact.get("body")
    if body is None:
        machine.run_body(frame)
        return
    frame.reused = True
    machine.log("step.reused", fact["id"])
    output = jsondata.loads(body)
    machine.after_body(frame, Result("ok", msgspec.UNSET if output is None else output))


def keep(machine: Machine, frame: StepFrame, step: Step, output: Any) -> None:
    """Keep the output of a step that has done its work."""
    if step.cache is not None and not frame.reused:
        body = encode(None if output is msgspec.UNSET else output)
        key = _key(machine, frame, step, step.cache)
        machine.turn.cached.append((machine.instance(frame), key, body, step.cache.ttl_ms))


def _key(machine: Machine, frame: StepFrame, step: Step, cache: Cache) -> str:
    value = key_text(machine.ask.expression(frame, "cache.key", cache.key))
    return machine.outside.key_hash("cache", f"{machine.plan.pipeline}/{step.key}", value)
