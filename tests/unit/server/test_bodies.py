"""Reading bodies chunk by chunk: bounds, declared types, clients that vanish or dawdle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from flowlang.server.bodies import ClientGoneError, check_type, header_map, read_body
from flowlang.server.problems import HttpProblem


class Connection:
    """Gives the messages of a request, and counts those that were taken."""

    def __init__(self, messages: Iterable[dict[str, Any]]) -> None:
        self.messages = list(messages)
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        if self.taken == len(self.messages):
            await asyncio.Event().wait()  # a client that sends nothing more
        self.taken += 1
        return self.messages[self.taken - 1]


def parts(*chunks: bytes) -> Connection:
    last = len(chunks) - 1
    return Connection(
        {"type": "http.request", "body": chunk, "more_body": at < last} for at, chunk in enumerate(chunks)
    )


def read(
    connection: Connection, headers: dict[str, str] | None = None, limit: int = 10, seconds: float = 30.0
) -> bytes:
    return asyncio.run(read_body(connection.receive, headers or {}, limit, seconds))


def test_a_body_is_joined_from_its_chunks() -> None:
    assert read(parts(b"abc", b"", b"def")) == b"abcdef"
    assert read(Connection([{"type": "http.request"}])) == b""


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    assert read(parts(b"12345", b"67890"), {"content-length": "10"}) == b"1234567890"


def test_a_declared_length_beyond_the_limit_is_refused_before_anything_is_read() -> None:
    connection = parts(b"x")
    for length in ("11", "9" * 5000):
        with pytest.raises(HttpProblem) as caught:
            read(connection, {"content-length": length})
        assert caught.value.status == 413
    assert connection.taken == 0


def test_without_a_length_reading_stops_at_the_limit() -> None:
    connection = parts(*[b"1234"] * 100)
    with pytest.raises(HttpProblem) as caught:
        read(connection)
    assert caught.value.status == 413
    assert connection.taken == 3


def test_a_client_that_hangs_up_leaves_nothing() -> None:
    with pytest.raises(ClientGoneError):
        read(Connection([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]))


def test_a_client_that_dawdles_is_sent_away() -> None:
    dawdling = Connection([{"type": "http.request", "body": b"{", "more_body": True}])
    with pytest.raises(HttpProblem) as caught:
        read(dawdling, seconds=0.01)
    assert caught.value.status == 408


@pytest.mark.parametrize(
    ("declared", "taken"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/cloudevents+json", True),
        ("text/json", False),
        ("application/jsonx", False),
        ("multipart/form-data", False),
        ("", False),
    ],
)
def test_only_declared_json_is_read(declared: str, taken: bool) -> None:
    if taken:
        check_type({"content-type": declared})
    else:
        with pytest.raises(HttpProblem, match="application/json"):
            check_type({"content-type": declared})


def test_headers_have_lower_case_names_and_doubles_are_joined() -> None:
    assert header_map([(b"X-A", b"1"), (b"x-a", b"2"), (b"B", b"\xe9")]) == {"x-a": "1,2", "b": "é"}
