"""Tells Slack of dead letters: each once, whichever process finds it first.

The letters themselves are in the store, so this looks there instead of listening to commits: no crash between the two
loses one, and those that the HTTP edge makes are seen as well.
"""

from __future__ import annotations

from collections.abc import Callable

from flowlang.engine import sealed_fields
from flowlang.engine.ports import DeadRow, Sealer, Store
from flowlang.plan import SlackReceiver
from flowlang.worker.observing.receivers import is_bug, slack_text

#: A process that starts looks so far back; what is older was told of, or is old news. Milliseconds.
BACK_MS = 600_000
#: So many letters of one look are told of; of a flood the newest ones say enough.
MOST = 20
#: How long it is remembered that a letter was told of: longer than anybody looks back.
REMEMBERED_MS = 86_400_000


class Letters:
    """Finds dead letters that nobody was told of.

    Args:
        store: Has them.
        sealer: Opens them.
        tell: Takes the text about one.
        drop: Told how many were passed over.
    """

    def __init__(
        self, store: Store, sealer: Sealer, tell: Callable[[str], object], drop: Callable[[int], object]
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._tell = tell
        self._drop = drop
        self._since_ms: int | None = None

    def look(self, receiver: SlackReceiver) -> None:
        """Tell of the letters that have come since the last look. Raises: StoreError."""
        since_ms = self._since_ms
        if since_ms is None:
            since_ms = self._store.now_ms() - BACK_MS
        rows = [row for row in self._store.dead_letters(limit=MOST + 1) if row.at_ms >= since_ms]
        for row in reversed(rows[:MOST]):
            if self._is_meant(row, receiver) and self._store.once(f"slack:{row.id}", REMEMBERED_MS):
                self._tell(slack_text(row, self._opened(row)))
        if len(rows) > MOST:
            self._drop(len(rows) - MOST)
        if rows:
            self._since_ms = rows[0].at_ms  # others may come with the same time
        else:
            self._since_ms = since_ms

    def _is_meant(self, row: DeadRow, receiver: SlackReceiver) -> bool:
        return "dead_letter" in receiver.when or is_bug(row, self._opened(row))

    def _opened(self, row: DeadRow) -> bytes:
        return self._sealer.open(row.body, sealed_fields.DEAD, row.id)
