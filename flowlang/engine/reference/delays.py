"""Events that are to be accepted later."""

from __future__ import annotations

from flowlang.engine.ops import Delayed
from flowlang.engine.reference.tables import Tables


def put(tables: Tables, event: Delayed) -> None:
    """Keep an event until it is accepted."""
    tables.delayed.put(event.id, tables.now_ms + event.delay_ms)
    tables.delayed_bodies[event.id] = event.body


def take(tables: Tables, event: str) -> bool:
    """Take an event off, and tell whether it was still there: of all that route it, one wins."""
    tables.delayed_bodies.pop(event, None)
    return tables.delayed.drop(event)
