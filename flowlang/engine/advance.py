"""The interpreter: what a scope does next. `advance` decides; it calls nothing, waits for nothing and writes nothing.

A turn takes the facts that have come in and runs the scope's stack of frames on until it must stop: at a handler's
call, at a wait, at a group of children, or at its end. All that happened on the way (records, timers, children, emitted
events, the run's end) is in the `Turn`, to be written by one commit. How it goes on is the `Machine`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowlang.clock import Rng
from flowlang.engine import attempts
from flowlang.engine.admitting import admitting
from flowlang.engine.machine import Flight, Machine
from flowlang.engine.outside import Outside
from flowlang.engine.program import Program
from flowlang.engine.state import ScopeState
from flowlang.engine.turn import AttemptEnd, Turn
from flowlang.engine.view import RunView


def advance(
    program: Program,
    view: RunView,
    state: ScopeState,
    facts: Sequence[Mapping[str, Any]],
    *,
    now_ms: int,
    rng: Rng,
    outside: Outside,
    attempt: AttemptEnd | None = None,
    flight: Flight = "none",
    rescues: int = 0,
) -> Turn:
    """Run a scope on.

    Args:
        program: Its pipeline.
        view: Its data; records that the turn writes are added to it.
        state: Its row; changed in place.
        facts: From the front of its inbox, in order. The turn consumes them all.
        now_ms: The store's time.
        rng: For jitter.
        outside: What the active manifest says.
        attempt: How the call in flight ended.
        flight: What is known of the scope's call: one is `running` in this process, there is `none`, or the scope has
            just been claimed and the one in its row, if any, is `lost`.
        rescues: Leases that ended since its last commit.

    Returns:
        What to write, and what to do then.
    """
    machine = Machine(program, view, state, now_ms=now_ms, rng=rng, outside=outside, flight=flight, rescues=rescues)
    early = admitting(machine, facts)
    if early is not None:
        return early
    machine.begin()
    for fact in facts:
        machine.take(fact)
    if attempt is not None:
        attempts.ended(machine, attempt)
    machine.proceed()
    return machine.turn
