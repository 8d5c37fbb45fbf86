"""The ledger: every call of a route with the right key, in the order in which the services answered or refused it.

It is the witness outside the store: what really happened at the services, whatever the workers remember. With a file,
each line is on the disk before the caller gets its answer.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Args:
        seq: Place in the order of all calls, from 1.
        route: Name of the route, such as `stripe.cancel_subscription`.
        method: HTTP method.
        path: Path with query.
        key: The `Idempotency-Key`, empty without one.
        body: The body as parsed.
        status: Status answered; 0 when the connection was cut.
        did: Whether the service did its work now: false for refusals, and for answers given again by key.
        fault: Whether a scripted fault met it.
    """

    seq: int
    route: str
    method: str
    path: str
    key: str
    body: Any
    status: int
    did: bool
    fault: bool

    def to_json(self) -> dict[str, Any]:
        """Return the call as plain JSON data."""
        return asdict(self)


class Ledger:
    """The calls since the start or the last reset. Thread-safe.

    Args:
        path: File to append each call to, one JSON object a line; it outlives resets and restarts.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._seq = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if path else None

    def record(self, **fields: Any) -> Call:
        """Write a call down; its `seq` is given here."""
        with self._lock:
            self._seq += 1
            call = Call(seq=self._seq, **fields)
            self._calls.append(call)
            if self._file is not None:
                os.write(self._file, json.dumps(call.to_json()).encode() + b"\n")
                os.fsync(self._file)
        return call

    def calls(self, route: str = "") -> list[Call]:
        """Return the calls, of one route when it is named."""
        with self._lock:
            return [call for call in self._calls if not route or call.route == route]

    def clear(self) -> None:
        """Forget the calls; the file keeps them, and `seq` goes on."""
        with self._lock:
            self._calls.clear()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
