"""Clients of the HTTP edge that go on sending, and what they were answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import httpx

#: Seconds between a refusal and what is sent next.
PATIENT_S = 0.1


@dataclass(frozen=True, slots=True)
class Answered:
    """One request with its answer.

    Attributes:
        sent_ns: When it was sent, by the monotonic clock.
        answered_ns: When the answer was there.
        status: Of HTTP; 0: the connection broke.
        code: Of the problem.
        retry_after: The header.
        runs: That it made, or had made when it was sent before.
    """

    sent_ns: int
    answered_ns: int
    status: int
    code: str = ""
    retry_after: str = ""
    runs: tuple[str, ...] = ()


class Senders:
    """Clients that send one event after the other; a context manager that stops them.

    Args:
        client: Of the edge.
        count: How many at a time.
        names: Of the events, in turn.
        data: What each has besides its number `n`.
        think_s: Seconds between an answer and the next event.
        repeats: Whether an event that was refused is sent again, under its id, until it is taken.
    """

    def __init__(
        self,
        client: httpx.Client,
        count: int,
        names: tuple[str, ...],
        *,
        data: dict[str, Any] | None = None,
        think_s: float = 0.0,
        repeats: bool = False,
    ) -> None:
        self.answers: list[Answered] = []
        self._client = client
        self._names = names
        self._data = data or {}
        self._think_s = think_s
        self._repeats = repeats
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def taken(self) -> list[str]:
        """Runs of the events that were answered with 202."""
        return [run for answer in self.answers if answer.status == 202 for run in answer.runs]

    @property
    def refused(self) -> Counter[str]:
        """How often which code was answered instead."""
        return Counter(answer.code for answer in self.answers if answer.status != 202)

    def _work(self, number: int) -> None:
        sent = 0
        while not self._stop.is_set():
            name = self._names[sent % len(self._names)]
            body = {"name": name, "id": f"{number}-{sent}", "data": {"n": sent, **self._data}}
            answer = self._send(body)
            self.answers.append(answer)
            taken = answer.status == 202
            sent += taken or not self._repeats
            self._stop.wait(self._think_s if taken else PATIENT_S)

    def _send(self, body: dict[str, Any]) -> Answered:
        sent_ns = time.monotonic_ns()
        try:
            response = self._client.post("/events", json=body)
        except httpx.TransportError as error:
            return Answered(sent_ns, time.monotonic_ns(), 0, type(error).__name__)
        at_ns = time.monotonic_ns()
        found = response.json()
        if response.status_code != 202:
            return Answered(
                sent_ns, at_ns, response.status_code, found["code"], response.headers.get("retry-after", "")
            )
        if "runs" in found:
            return Answered(sent_ns, at_ns, 202, runs=tuple(run["id"] for run in found["runs"]))
        kept = self._client.get(f"/events/{found['event']}").json()  # taken before, and the answer was lost
        return Answered(sent_ns, at_ns, 202, runs=tuple(kept["runs"]))
