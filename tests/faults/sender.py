"""Sends events over HTTP as a careful client does: again until it is told that it was taken; and some as a careless one."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from tests.access import bearer

#: Seconds before something is sent again.
PAUSE_S = 0.1
#: Longest wait for an answer.
ANSWER_S = 20.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that is sent.

    Attributes:
        name: Of the event.
        ident: The sender's id, the same each time.
        data: Of the event.
        sure: Sent again until it is answered; else once.
        then: Sent after it.
        late: `then` goes behind all that waits, and is not sent at once.
    """

    name: str
    ident: str
    data: Any
    sure: bool = True
    then: tuple[Delivery, ...] = ()
    late: bool = False
    copies: int = 0  #: sent so many times more, when it was answered


@dataclass
class Sender:
    """Threads that send; a context manager that waits for nothing when it is left.

    Args:
        url: Of the server.
        deliveries: What to send.
        threads: How many send at a time.
        per_s: How many deliveries are begun in a second.
    """

    url: str
    deliveries: Iterable[Delivery]
    threads: int = 6
    per_s: float = 1_000.0
    answered: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._waiting = deque(self.deliveries)
        self._busy = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="sender", daemon=True) for _ in range(self.threads)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_done(self) -> bool:
        """Whether everything was sent and answered."""
        with self._lock:
            return not self._waiting and not self._busy

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, headers=bearer(), trust_env=False, timeout=ANSWER_S) as client:
            while not self._stop.is_set():
                delivery = self._take()
                if delivery is not None:
                    try:
                        self._deliver(client, delivery)
                    except Exception as error:  # noqa: BLE001 - whatever it is, the others go on and it is told of
                        self.refused.append(f"{delivery.ident}: {error!r}")
                    with self._lock:
                        self._busy -= 1
                self._stop.wait(self.threads / self.per_s)

    def _take(self) -> Delivery | None:
        with self._lock:
            if not self._waiting:
                return None
            self._busy += 1
            return self._waiting.popleft()

    def _deliver(self, client: httpx.Client, delivery: Delivery) -> None:
        if self._is_taken(client, delivery):
            self.answered.add(delivery.ident)
        elif not self._stop.is_set():
            self.unanswered.add(delivery.ident)
        again = [Delivery(delivery.name, delivery.ident, delivery.data)] * delivery.copies
        self.counts["copies"] += len(again)
        with self._lock:
            self._waiting.extend((*again, *(delivery.then if delivery.late else ())))
        for following in () if delivery.late else delivery.then:
            self._deliver(client, following)

    def _is_taken(self, client: httpx.Client, delivery: Delivery) -> bool:
        body = {"name": delivery.name, "id": delivery.ident, "data": delivery.data}
        while not self._stop.is_set():
            try:
                response = client.post("/events", json=body)
            except httpx.HTTPError:
                self.counts["no answer"] += 1
            else:
                self.counts[str(response.status_code)] += 1
                if response.status_code == 202:
                    return True
                if response.status_code < 500:
                    self.refused.append(f"{delivery.ident}: {response.status_code} {response.text[:200]}")
                    return False
            if not delivery.sure:
                return False
            self._stop.wait(PAUSE_S)
        return False
