"""The calls of a client as generators: they yield requests and pauses, and are told the answers.

So the same lines run in threads and in coroutines, over HTTP and directly, and a test needs no clock. What is asked
again is the same request with the same ids, so that it does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from flowlang import jsondata
from flowlang.client.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    ProblemError,
    RunNotSucceededError,
    UnreachableError,
    WaitTimeoutError,
    problem,
    problem_of,
)
from flowlang.client.requests import (
    CallPipeline,
    CancelRun,
    DeleteRun,
    Event,
    GetRun,
    ListRuns,
    Lost,
    ReplayRun,
    Reply,
    Request,
    SendEvents,
    events_of,
    in_requests,
)
from flowlang.client.results import Page, Replayed, Run, Sent, SentList, Started
from flowlang.clock import Clock, Rng, SystemClock, monotonic_ms, random_token, system_rng

T = TypeVar("T")

#: Tells the headers `traceparent` and `tracestate` of where the program is; others are left out.
Trace: TypeAlias = Callable[[], Mapping[str, str]]

#: Statuses that say: not now.
LATER: Final = frozenset({429, 502, 503, 504})

#: Pauses between two looks at a run that is waited for, seconds: the first, and the longest.
FIRST_LOOK_S: Final = 0.05
LONGEST_LOOK_S: Final = 2.0

#: Seconds that a request waits for a run at most; what is between may hang up on one that takes longer.
WAIT_S: Final = 30.0

#: Statuses of what is between us and the server, and has lost its patience with it.
CUT_OFF: Final = frozenset({502, 504})

#: What an answer says in a list, as a problem of its own.
_REFUSALS: Final = {
    "invalid": (400, "data.invalid"),
    "refused": (403, "event.refused"),
    "too_large": (413, "body.too-large"),
}


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Operation: TypeAlias = Generator[Request | Pause, Reply | Lost | None, T]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often something is asked for again, and when.

    Attributes:
        tries: At most so many, the first one included.
        first: Seconds before the second try; doubled before each further one, with jitter.
        longest: Seconds of the longest pause. A server that asks for a longer one is not asked again.
    """

    tries: int = 5
    first: float = 0.2
    longest: float = 30.0

    def pause(self, tried: int, asked: float | None, rng: Rng) -> float | None:
        """Seconds until the next try.

        Args:
            tried: Tries so far.
            asked: Seconds that the server asks for.
            rng: For the jitter.

        Returns:
            None when there is no further try.
        """
        if tried >= self.tries or (asked is not None and asked > self.longest):
            return None
        own: float = min(self.longest, self.first * 2.0 ** (tried - 1)) * (0.5 + rng.random() / 2)
        return own if asked is None else max(own, asked)


class Operations:
    """Makes the calls.

    Args:
        patience: How often something is asked for again.
        token: Draws ids and keys.
        rng: For jitter.
        clock: For dates in `Retry-After`.
        elapsed_ms: A clock that never goes back, for time-outs.
        trace: Tells the headers of the place in a trace where the program is; read once a call.
    """

    def __init__(
        self,
        patience: Patience,
        *,
        token: Callable[[], str] = random_token,
        rng: Rng | None = None,
        clock: Clock | None = None,
        elapsed_ms: Callable[[], float] = monotonic_ms,
        trace: Trace | None = None,
    ) -> None:
        self._patience = patience
        self.token = token
        self._rng = rng or system_rng()
        self._clock = clock or SystemClock()
        self._elapsed_ms = elapsed_ms
        self._trace = trace or dict

    def send(self, event: Event) -> Operation[Sent]:
        """Send one event. Raises: ProblemError, also for one that was not stored."""
        (sent,) = yield from self.send_many([event])
        if not sent.stored:
            status, code = _REFUSALS[sent.status]
            raise problem(status, code, sent.message, sent.failures)
        return sent

    def send_many(self, given: Iterable[Event | Mapping[str, Any]]) -> Operation[list[Sent]]:
        """Send events, as many in a request as it may hold."""
        events, trace = events_of(given, self.token), self._traced()
        answers: list[Sent] = []
        for batch in in_requests(events):
            try:
                reply = yield from self._asked(SendEvents(batch, trace))
            except InvalidError as error:
                if error.code != "body.too-large" or len(batch) > 1:
                    raise
                answers.append(Sent("too_large", message=error.detail))
            else:
                answers += _read(reply, SentList).events
        return answers

    def call(self, pipeline: str, data: Any, key: str | None) -> Operation[Started]:
        """Start a pipeline."""
        jsondata.check(data)
        reply = yield from self._asked(CallPipeline(pipeline, data, key or self.token(), self._traced()))
        return _read(reply, Started)

    def call_and_wait(
        self, pipeline: str, data: Any, key: str | None, seconds: float, *, reveal: bool = False
    ) -> Operation[Run]:
        """Start a pipeline and wait for its end."""
        started = yield from self.call(pipeline, data, key)
        return (yield from self.wait(started.id, seconds, reveal=reveal))

    def wait(self, run: str, seconds: float, *, reveal: bool = False) -> Operation[Run]:
        """Wait until a run has ended; that of a run that was merged into another one is the other's end.

        A server lets the request wait. What answers at once, such as the store or a server that is about to stop, is
        asked again after a pause; what is between and hangs up, with requests that wait for half as long.
        """
        until_ms = self._elapsed_ms() + seconds * 1000
        pause, longest = FIRST_LOOK_S, WAIT_S
        while True:
            asked_ms = self._elapsed_ms()
            wait = max(0.0, min(longest, round((until_ms - asked_ms) / 1000, 3)))
            reply = (yield GetRun(run, reveal, wait)) if wait else None
            if isinstance(reply, Lost) or (reply is not None and reply.status in CUT_OFF):
                longest = longest / 2 if longest > 1 else 0.0
            if isinstance(reply, Reply) and reply.status not in LATER:
                found = _run_of(reply)
            else:  # it is asked for without waiting, and then with patience
                found = yield from self.run(run, reveal=reveal)
            if found.run.merged_into is not None:
                run = found.run.merged_into
                continue
            if found.status == "succeeded":
                return found
            if found.run.ended:
                raise RunNotSucceededError(found)
            now_ms = self._elapsed_ms()
            left = (until_ms - now_ms) / 1000
            if left <= 0:
                raise WaitTimeoutError(found, seconds)
            if wait and now_ms - asked_ms >= wait * 1000 / 2:  # it has waited
                continue
            yield Pause(min(pause, left))
            pause = min(LONGEST_LOOK_S, pause * 1.5)

    def run(self, run: str, *, reveal: bool = False) -> Operation[Run]:
        """Look at a run."""
        return _read((yield from self._asked(GetRun(run, reveal))), Run)

    def page(self, request: ListRuns) -> Operation[Page]:
        """Look at a page of runs."""
        return _read((yield from self._asked(request)), Page)

    def cancel(self, run: str) -> Operation[bool]:
        """Cancel a run; false when it had ended."""
        try:
            yield from self._asked(CancelRun(run))
        except ConflictError as error:
            if error.code != "run.ended":
                raise
            return False
        return True

    def delete(self, run: str) -> Operation[None]:
        """Delete an ended run for good."""
        yield from self._asked(DeleteRun(run), gone=True)

    def replay(self, request: ReplayRun) -> Operation[Replayed]:
        """Run an ended run again."""
        if request.data is not msgspec.UNSET:
            jsondata.check(request.data)
        return _read((yield from self._asked(request)), Replayed)

    def _traced(self) -> dict[str, str]:
        told = {name.lower(): value for name, value in self._trace().items()}
        return {name: told[name] for name in ("traceparent", "tracestate") if name in told}

    def _asked(self, request: Request, *, gone: bool = False) -> Operation[Reply]:
        """Ask until there is an answer. `gone`: 404 for what was asked before means that it was done then."""
        tried = 0
        while True:
            reply = yield request
            tried += 1
            if isinstance(reply, Lost):
                pause = self._patience.pause(tried, None, self._rng)
                if pause is None:
                    raise UnreachableError(f"no answer after {tried} tries: {reply.why}")
            else:
                assert reply is not None
                if reply.status < 300:
                    return reply
                error = problem_of(reply.status, reply.body)
                if gone and tried > 1 and isinstance(error, MissingError):
                    return reply
                pause = self._pause_for(error, tried, reply.retry_after)
                if pause is None:
                    raise error
            yield Pause(pause)

    def _pause_for(self, error: ProblemError, tried: int, retry_after: str) -> float | None:
        if error.status not in LATER:
            return None
        return self._patience.pause(tried, seconds_of(retry_after, self._clock.now_ms()), self._rng)


def seconds_of(retry_after: str, now_ms: int) -> float | None:
    """The seconds that a `Retry-After` asks for: it has a number or a date; None when it has neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_ms / 1000)
    except (ValueError, OverflowError):
        return None


def _run_of(reply: Reply) -> Run:
    if reply.status >= 300:
        raise problem_of(reply.status, reply.body)
    return _read(reply, Run)


def _read(reply: Reply, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=shape)
    except msgspec.DecodeError as error:
        raise ProblemError(reply.status, "http", f"what answers is not FlowLang: {error}") from error
