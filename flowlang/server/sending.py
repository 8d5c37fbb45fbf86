"""`POST /events`: from a request to events, whichever way they are written, and from the answers to a reply.

Reading and replying are pure; `taken` is what happens between. A list is answered item by item: 202 when all of it is
stored, 207 when some is not; a single event has the status of its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from flowlang import jsondata
from flowlang.engine.schemas import Failure
from flowlang.server.bodies import check_type
from flowlang.server.descriptions import LIST_ITEMS, EventBody
from flowlang.server.gathering import Gathering
from flowlang.server.problems import HttpProblem, Reply, json_reply
from flowlang.server.protocols import cloudevents
from flowlang.service import Answer, Caller, DataError, IncomingEvent, Service
from flowlang.telemetry import read_trace

LIST_KEYS: Final = 400_000  #: of a list; each of its events may have as many as one that is sent alone
_KEY_BYTES: Final = 5  #: that a key takes at least, as in `"":0,`
KEY_HEADER: Final = "idempotency-key"

_REFUSED = {"invalid": (400, "data.invalid"), "refused": (403, "event.refused"), "too_large": (413, "body.too-large")}

Shape = TypeVar("Shape")

#: An event, or why what was sent is none.
Item: TypeAlias = IncomingEvent | DataError


class Posted(msgspec.Struct, frozen=True):
    """What a request carries.

    Attributes:
        items: In order.
        is_list: Whether they are answered one by one, also when there is only one.
        key: The request's idempotency key.
    """

    items: tuple[Item, ...]
    is_list: bool = False
    key: str | None = None


def check_headers(headers: Mapping[str, str]) -> None:
    """Check, before the body is read, that it is written in a way that is read here. Raises: HttpProblem, 415."""
    if cloudevents.mode_of(headers) == "binary":
        cloudevents.check_content(headers)
    else:
        check_type(headers)


def read_posted(headers: Mapping[str, str], body: bytes) -> Posted:
    """Read what a request carries.

    Args:
        headers: With lower-case names; `check_headers` has passed them.
        body: As it came.

    Raises:
        JsonError: when it is no JSON that we take.
        DataError: when it is no event and no list of them, or the idempotency key is no id.
    """
    key = headers.get(KEY_HEADER)
    mode = cloudevents.mode_of(headers)
    if mode == "binary":
        items: list[Item] = [cloudevents.from_binary(headers, body)]
        return Posted(_placed(items, headers), key=key)
    tree = read_tree(body)
    if mode == "batch" and not isinstance(tree, list):
        raise DataError("a batch of CloudEvents is a list")
    is_list = isinstance(tree, list) and mode != "structured"
    read = cloudevents.from_json if mode else event_from
    if not is_list:
        return Posted(_placed([_keyed(read(tree), key)], headers), key=key)
    if not 1 <= len(tree) <= LIST_ITEMS:
        raise DataError(f"a list has 1 to {LIST_ITEMS} events, this one has {len(tree)}")
    items = bounded([_tried(read, item) for item in tree], body)
    if key is not None:
        items = [_keyed(item, f"{key}/{at}") for at, item in enumerate(items)]
    return Posted(_placed(items, headers), is_list=True, key=key)


def read_tree(body: bytes) -> Any:
    """Read an event, or a list of them, which may have more keys; see `bounded`. Raises: JsonError."""
    return jsondata.loads_strict(body, max_keys=LIST_KEYS if body.lstrip()[:1] == b"[" else jsondata.MAX_KEYS)


def bounded(items: list[Item], body: bytes) -> list[Item]:
    """The items of a list, without the events that have more keys than one that comes alone may have."""
    if len(body) <= jsondata.MAX_KEYS * _KEY_BYTES:
        return items
    return [_bounded(item) for item in items]


def event_from(tree: Any) -> IncomingEvent:
    """Read an event of ours. Raises: DataError."""
    body = converted(tree, EventBody)
    return IncomingEvent(body.name, body.data, body.id, body.user)


def converted(tree: Any, shape: type[Shape]) -> Shape:
    """Read a body of a known shape.

    Args:
        tree: As it was read.
        shape: What it has to be.

    Raises:
        DataError: saying where it is not.
    """
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        where = path.rstrip("`").lstrip(".") or "(root)"
        raise DataError(f"{where}: {message}", (Failure(where, message),)) from error


def taken(service: Service, items: Sequence[Item], caller: Caller) -> list[Answer]:
    """Have the events among some items taken.

    Args:
        service: Takes them.
        items: In order.
        caller: Who sends them.

    Returns:
        An answer to each.

    Raises:
        StoreError, NotDeployedError: for the caller to answer.
    """
    events = _events(items)
    return _answers(items, service.ingest(events, caller=caller) if events else [])


async def gathered(service: Service, gathering: Gathering, items: Sequence[Item], caller: Caller) -> list[Answer]:
    """Have the events among some items taken, with those of other requests; else as `taken`."""
    events = _events(items)
    return _answers(items, await gathering.take(service.sent(events, caller=caller)) if events else [])


def _events(items: Sequence[Item]) -> list[IncomingEvent]:
    return [item for item in items if isinstance(item, IncomingEvent)]


def _answers(items: Sequence[Item], stored: Sequence[Answer]) -> list[Answer]:
    """An answer to each item, those to events given."""
    left = iter(stored)
    return [
        Answer("invalid", message=str(item), failures=item.failures) if isinstance(item, DataError) else next(left)
        for item in items
    ]


def check_repeats(service: Service, posted: Posted, answers: Sequence[Answer]) -> None:
    """Check that what an idempotency key was used for before is what was sent now.

    Raises:
        HttpProblem: 422 when it is another event.
    """
    if posted.key is None:
        return
    for item, answer in zip(posted.items, answers, strict=True):
        if isinstance(item, IncomingEvent) and answer.status == "duplicate" and not service.repeats(answer.event, item):
            raise HttpProblem(
                422, "idempotency.reused", "the idempotency key was used for another event; take a new key for this one"
            )


def reply_to(posted: Posted, answers: Sequence[Answer]) -> Reply:
    """The reply to a request.

    Raises:
        HttpProblem: for a single event that was not stored.
    """
    if posted.is_list:
        status = 202 if all(answer.stored for answer in answers) else 207
        return json_reply(status, {"events": answers})
    (answer,) = answers
    if answer.status in _REFUSED:
        status, code = _REFUSED[answer.status]
        raise HttpProblem(status, code, answer.message, failures=answer.failures)
    return json_reply(202, answer)


def _tried(read: Callable[[Any], IncomingEvent], tree: Any) -> Item:
    try:
        return read(tree)
    except DataError as error:
        return error


def _bounded(item: Item) -> Item:
    if isinstance(item, IncomingEvent) and jsondata.count_keys(item.data) > jsondata.MAX_KEYS:
        return DataError(f"an event has up to {jsondata.MAX_KEYS} keys")
    return item


def _keyed(item: Item, key: str | None) -> Item:
    """An item with the key in place of the id that it does not have."""
    if key is None or isinstance(item, DataError) or item.id is not None:
        return item
    return msgspec.structs.replace(item, id=key)


def _placed(items: Sequence[Item], headers: Mapping[str, str]) -> tuple[Item, ...]:
    """The items in the trace of their request, where they name none of their own."""
    trace = read_trace(headers)
    if trace is None:
        return tuple(items)
    return tuple(
        item if isinstance(item, DataError) or item.trace is not None else msgspec.structs.replace(item, trace=trace)
        for item in items
    )
