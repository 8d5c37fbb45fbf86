"""What goes past ASGI's messages is what would go by them, and nothing that would make two answers of one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flowlang.server.exchange import EXTENSION, Exchange, exchange_of


class Wire:
    def __init__(self) -> None:
        self.sent = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.closed = True


def cycle(**about: Any) -> Any:
    found = {
        "scope": {"method": "POST"}, "transport": Wire(), "flow": SimpleNamespace(write_paused=False),
        "default_headers": [(b"date", b"today")], "message_event": asyncio.Event(), "disconnected": False,
        "keep_alive": True, "waiting_for_100_continue": False, "body": bytearray(b"{}"), "more_body": False,
        "response_started": False, "response_complete": False, "on_response": lambda: None,
    }  # fmt: skip
    return cast("Any", SimpleNamespace(**(found | about)))


def test_a_body_is_given_once_and_only_when_all_of_it_is_there() -> None:
    assert Exchange(cycle(more_body=True)).whole() is None
    assert Exchange(cycle(disconnected=True)).whole() is None
    whole = cycle()
    assert Exchange(whole).whole() == b"{}"
    assert whole.body == b""


def test_an_answer_is_one_write() -> None:
    done: list[bool] = []
    one = cycle(on_response=lambda: done.append(True))

    assert Exchange(one).answer(202, {"content-type": "application/json"}, b"{}")
    assert one.transport.sent == (
        b"HTTP/1.1 202 Accepted\r\ndate: today\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert (one.response_complete, one.transport.closed, done) == (True, False, [True])


def test_an_answer_without_content_has_no_length() -> None:
    one = cycle()

    assert Exchange(one).answer(204, {}, b"")
    assert one.transport.sent == b"HTTP/1.1 204 No Content\r\ndate: today\r\n\r\n"


def test_the_last_answer_on_a_connection_says_so() -> None:
    last = cycle(keep_alive=False)

    assert Exchange(last).answer(200, {}, b"")
    assert b"\r\nconnection: close\r\n" in last.transport.sent
    assert last.transport.closed


@pytest.mark.parametrize(
    "about",
    [
        {"response_started": True},
        {"flow": SimpleNamespace(write_paused=True)},
        {"scope": {"method": "HEAD"}},
    ],
    ids=["begun", "the client does not read", "without a body"],
)
def test_what_has_to_wait_or_to_be_left_out_goes_by_messages(about: dict[str, Any]) -> None:
    one = cycle(**about)

    assert not Exchange(one).answer(200, {}, b"x")
    assert one.transport.sent == b""


def test_nobody_is_answered_who_has_gone() -> None:
    gone = cycle(disconnected=True)

    assert Exchange(gone).answer(200, {}, b"x")
    assert gone.transport.sent == b""


@pytest.mark.parametrize(
    ("name", "value"),
    [("location", "/runs/1\r\nset-cookie: a=b"), ("location", "a\nb"), ("location", "a\0"), ("a b", "c"), ("a:", "c")],
)
def test_no_header_makes_another_one(name: str, value: str) -> None:
    one = cycle()

    with pytest.raises(ValueError, match="cannot be sent"):
        Exchange(one).answer(200, {name: value}, b"")
    assert one.transport.sent == b""


class Connected:
    async def receive(self) -> None: ...

    async def send(self, message: Any) -> None: ...


def test_whatever_stands_around_the_application_sees_all_messages() -> None:
    connected, other = Connected(), Connected()
    exchange = Exchange(cast("Any", connected))
    scope = {"extensions": {EXTENSION: exchange}}

    assert exchange_of(scope, connected.receive, connected.send) is exchange
    assert exchange_of(scope, other.receive, connected.send) is None
    assert exchange_of(scope, connected.receive, other.send) is None
    assert exchange_of({}, connected.receive, connected.send) is None
    assert exchange_of({"extensions": {}}, connected.receive, connected.send) is None
