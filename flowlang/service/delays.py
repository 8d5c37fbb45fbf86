"""Emitted events whose delay is over: any number of processes may route them; the store takes each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowlang.crashpoints import crashpoint
from flowlang.engine import sealed_fields
from flowlang.engine.intake import decode_delayed
from flowlang.engine.ops import Accept
from flowlang.engine.ports import DelayedRow, Sealer, Store
from flowlang.engine.route import Router
from flowlang.service.answers import Answer
from flowlang.service.events import Intake

#: Events that are routed at a time.
_MOST: Final = 50


def send_due(store: Store, intake: Intake, sealer: Sealer) -> int:
    """Accept all events whose delay is over.

    Args:
        store: Knows them.
        intake: Sends.
        sealer: Opens them.

    Returns:
        How many this process sent.
    """
    sent = 0
    while due := store.delayed(_MOST):
        crashpoint("delayed.due")
        answers = intake.send([_maker(row, sealer) for row in due], begun=True)
        crashpoint("delayed.sent")
        sent += sum(answer.status in {"accepted", "dead_letter"} for answer in answers)
        if len(due) < _MOST:
            break
    return sent


def _maker(row: DelayedRow, sealer: Sealer) -> Callable[[Router], Accept | Answer]:
    waiting = decode_delayed(sealer.open(row.body, sealed_fields.DELAYED, row.id))
    return lambda router: router.delayed(row.id, waiting).accept
