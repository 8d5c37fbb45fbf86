"""Inngest's event API: what its SDKs write, and the answers that they read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.server.protocols.inngest import SEED, read_events, reply_to
from flowlang.service import Answer, DataError, IncomingEvent

SEEDED = {SEED: "1789000000000,c2VlZA=="}


def told(answers: list[Answer]) -> tuple[int, dict[str, Any]]:
    reply = reply_to(answers)
    return reply.status, json.loads(reply.body)


def one(**event: Any) -> IncomingEvent | DataError:
    (item,) = read_events({}, {"name": "shop/order.placed"} | event)
    return item


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"data": {"n": 1}}, IncomingEvent("shop/order.placed", {"n": 1})),
        ({}, IncomingEvent("shop/order.placed", {})),
        ({"data": None, "id": "", "ts": 0}, IncomingEvent("shop/order.placed", {})),
        ({"id": "o-1"}, IncomingEvent("shop/order.placed", id="o-1")),
        ({"ts": 1_522_949_460_000}, IncomingEvent("shop/order.placed", time_ms=1_522_949_460_000)),
        ({"user": {"id": "u1"}, "v": "2026-01-01"}, IncomingEvent("shop/order.placed", user={"id": "u1"})),
        ({"name": "order.placed"}, IncomingEvent("order.placed")),
        ({"name": "Shop/OrderPlaced"}, IncomingEvent("shop/orderplaced")),
    ],
)
def test_an_event_of_an_sdk_is_one_of_ours(sent: dict[str, Any], expected: IncomingEvent) -> None:
    assert one(**sent) == expected


@pytest.mark.parametrize("sent", [{"name": 7}, {"id": 7}, {"ts": "now"}, {"ts": -1}, {"ts": 10**18}])
def test_what_is_no_event_is_told_apart(sent: dict[str, Any]) -> None:
    assert isinstance(one(**sent), DataError)
    assert [type(item) for item in read_events({}, [{"name": "a"}, {}, 7])] == [IncomingEvent, DataError, DataError]


def test_a_request_has_no_more_events_than_it_may() -> None:
    assert len(read_events({}, [{"name": "a"}] * 1000)) == 1000
    with pytest.raises(DataError, match="up to 1000 events, this one has 1001"):
        read_events({}, [{"name": "a"}] * 1001)


def test_a_request_that_is_sent_again_has_the_same_ids_and_another_one_others() -> None:
    def ids(headers: dict[str, str]) -> list[str | None]:
        items = read_events(headers, [{"name": "a"}, {"name": "a"}, {"name": "a", "id": "mine"}])
        return [item.id for item in items if isinstance(item, IncomingEvent)]

    first = ids(SEEDED)
    assert first == ids(SEEDED)
    assert len(set(first)) == 3
    assert first[2] == "mine"
    assert set(first) & set(ids({SEED: "1789000000001,c2VlZA=="})) == {"mine"}
    assert ids({}) == [None, None, "mine"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["name", "data", "id", "ts", "user", "v"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(_JSON, st.text(max_size=40))
def test_no_body_is_too_strange(tree: Any, seed: str) -> None:
    items = read_events({SEED: seed}, tree)
    assert len(items) == (len(tree) if isinstance(tree, list) else 1)
    assert items == read_events({SEED: seed}, tree) or any(isinstance(item, DataError) for item in items)


def test_all_taken_is_200_with_the_ids_in_order() -> None:
    answers = [Answer("accepted", "e00-a"), Answer("duplicate", "e00-b"), Answer("dead_letter", "e00-c")]
    assert told(answers) == (200, {"ids": ["e00-a", "e00-b", "e00-c"], "status": 200})
    assert told([]) == (200, {"ids": [], "status": 200})


def test_what_was_not_taken_is_named_beside_the_ids_of_what_was() -> None:
    status, body = told([Answer("accepted", "e00-a"), Answer("invalid", message="no such field")])
    assert (status, body["ids"], body["code"]) == (400, ["e00-a"], "data.invalid")
    assert body["error"] == "1 of 2 not taken: event 1: no such field"
    _, many = told([Answer("invalid", message="x")] * 9)
    assert many["error"].endswith("event 4: x; and 4 more")
