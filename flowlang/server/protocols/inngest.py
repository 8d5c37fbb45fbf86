"""Inngest's event API: what its SDKs send to `POST /e/{key}`, and the answer that they read.

A request that an SDK sends again has the same seed in a header, from which the ids of events without one follow, so
that such a request makes no second event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from flowlang.engine.schemas import Failure
from flowlang.server.problems import HttpProblem, Reply, json_reply, problem_reply
from flowlang.server.protocols.names import event_name
from flowlang.service import Answer, DataError, IncomingEvent
from flowlang.telemetry import read_trace

PREFIX: Final = "/e/"
SEED: Final = "x-inngest-event-id-seed"
MOST: Final = 1000  #: events of one request
#: The last millisecond of the year 9999.
_LAST_MS: Final = 253_402_300_799_999


class Sent(msgspec.Struct, frozen=True):
    """An event as an SDK writes it; other keys are for Inngest's own services."""

    name: str
    data: Any = None
    id: str = ""
    ts: int = 0
    user: Any = None


class Taken(msgspec.Struct, frozen=True):
    """The answer to a request: the ids under which its events are kept."""

    ids: tuple[str, ...]
    status: int = 200


def read_events(headers: Mapping[str, str], tree: Any) -> list[IncomingEvent | DataError]:
    """The events of a request.

    Args:
        headers: With lower-case names.
        tree: The body: an event or a list of them.

    Returns:
        For each an event, or what is wrong with it.

    Raises:
        DataError: when there are more than a request may hold.
    """
    if isinstance(tree, list) and len(tree) > MOST:
        raise DataError(f"a list has up to {MOST} events, this one has {len(tree)}")
    trace = read_trace(headers)
    seed = headers.get(SEED, "")
    found: list[IncomingEvent | DataError] = []
    for at, item in enumerate(tree if isinstance(tree, list) else [tree]):
        try:
            sent = msgspec.convert(item, Sent)
        except msgspec.ValidationError as error:
            found.append(DataError(str(error), (Failure("(root)", str(error)),)))
            continue
        if not 0 <= sent.ts <= _LAST_MS:
            why = "a time is in milliseconds since 1970, until the year 9999"
            found.append(DataError(f"ts: {why}", (Failure("ts", why),)))
            continue
        found.append(
            IncomingEvent(
                name=event_name(sent.name),
                data={} if sent.data is None else sent.data,
                id=sent.id or (_seeded(seed, at) if seed else None),
                user=sent.user,
                time_ms=sent.ts or None,
                trace=trace,
            )
        )
    return found


def reply_to(answers: Sequence[Answer]) -> Reply:
    """What an SDK is answered: it reads `ids`, and takes an `error` for the reason why not all were taken.

    Args:
        answers: To the events, in order.

    Returns:
        200 or 400. No SDK sends again what was answered by 400, so those that were taken stay taken.
    """
    ids = [answer.event for answer in answers if answer.stored]
    refused = [(at, answer) for at, answer in enumerate(answers) if not answer.stored]
    if not refused:
        return json_reply(200, Taken(tuple(ids)))
    said = "; ".join(f"event {at}: {answer.message}" for at, answer in refused[:_SAID])
    more = f"; and {len(refused) - _SAID} more" if len(refused) > _SAID else ""
    error = f"{len(refused)} of {len(answers)} not taken: {said}{more}"
    return problem_reply(HttpProblem(400, "data.invalid", error), {"ids": ids, "error": error})


#: Refusals that an answer tells one by one.
_SAID: Final = 5


def refusal(path: str, problem: HttpProblem) -> dict[str, Any]:
    """What a problem document has to hold besides, for an SDK to see that nothing was taken.

    Args:
        path: Of the request; of others nothing is asked.
        problem: Why it is refused.
    """
    if not path.startswith(PREFIX):
        return {}
    return {"ids": [], "error": problem.detail or HTTPStatus(problem.status).phrase}


def _seeded(seed: str, at: int) -> str:
    return "seed-" + hashlib.sha256(f"{seed}\n{at}".encode()).hexdigest()[:32]
