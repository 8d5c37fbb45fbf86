"""Answers kept by `Idempotency-Key`, as the services keep them.

The first call with a key does the work and its answer is kept; the same call again gets that answer; another body
under the same key is refused, and so is a second call while the first is still at work.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.standin.web import Reply, Request, ServiceError

HEADER = "idempotency-key"


class KeptAnswers:
    """Answers by service and key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[str, Reply | None]] = {}

    def begin(self, service: str, key: str, request: Request) -> Reply | None:
        """Return the kept answer of a repeated call, or None when the work is to be done now.

        Raises:
            ServiceError: 422 for the key of another call, 409 while the first call with the key is at work.
        """
        print_ = _fingerprint(request)
        with self._lock:
            if (service, key) not in self._kept:
                self._kept[service, key] = (print_, None)
                return None
            first, reply = self._kept[service, key]
        if first != print_:
            raise ServiceError(422, _error("idempotency_error", "this key was used for another call"))
        if reply is None:
            raise ServiceError(409, _error("idempotency_in_use", "the first call with this key is still at work"))
        return Reply(reply.status, reply.body, {**reply.headers, "Idempotent-Replayed": "true"})

    def end(self, service: str, key: str, reply: Reply | None) -> None:
        """Keep the answer; None forgets the key, since no work was done."""
        with self._lock:
            begun = self._kept.pop((service, key), None)
            if begun is not None and reply is not None:  # a reset meanwhile has forgotten the call
                self._kept[service, key] = (begun[0], reply)

    def clear(self) -> None:
        """Forget all keys."""
        with self._lock:
            self._kept.clear()


def _fingerprint(request: Request) -> str:
    return json.dumps([request.method, request.path, request.body], sort_keys=True)


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message}}
