"""Emitted events whose delay is over: any number of processes may route them; the store takes each once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from flowlang.crashpoints import crashpoint
from flowlang.engine import sealed_fields
from flowlang.engine.intake import decode_delayed
from flowlang.engine.ops import Accept
from flowlang.engine.ports import DelayedRow, Sealer, Store
from flowlang.engine.route import Router
from flowlang.errors import FlowError
from flowlang.service.answers import Answer
from flowlang.service.events import Intake

log = logging.getLogger(__name__)

#: Events that are routed at a time.
_MOST: Final = 50


class Delays:
    """Sends events whose delay is over; of a process only one thread may do so.

    Args:
        store: Knows them.
        intake: Sends.
        sealer: Opens them.
    """

    def __init__(self, store: Store, intake: Intake, sealer: Sealer) -> None:
        self._store = store
        self._intake = intake
        self._sealer = sealer
        self._left: frozenset[str] = frozenset()  #: those that could not be opened here when last looked at

    def send_due(self) -> int:
        """Accept all events whose delay is over; returns how many this process sent.

        One that cannot be opened here, such as for want of its key, is left to other processes and holds up nobody.
        """
        sent, limit, left = 0, _MOST, set[str]()
        while due := self._store.delayed(limit):
            found = [self._maker(row, left) for row in due if row.id not in left]
            makers = [maker for maker in found if maker is not None]
            if makers:
                crashpoint("delayed.due")
                answers = self._intake.send(makers, begun=True)
                crashpoint("delayed.sent")
                sent += sum(answer.status in {"accepted", "dead_letter"} for answer in answers)
            if len(due) < limit:
                break
            limit = _MOST + len(left)
        self._left = frozenset(left)
        return sent

    def _maker(self, row: DelayedRow, left: set[str]) -> Callable[[Router], Accept | Answer] | None:
        try:
            waiting = decode_delayed(self._sealer.open(row.body, sealed_fields.DELAYED, row.id))
        except FlowError as error:
            left.add(row.id)
            if row.id not in self._left:
                log.warning("the delayed event %s is left to other processes: %s", row.id, error)
            return None
        return lambda router: router.delayed(row.id, waiting).accept
