"""Connections of clients that send too much, too slowly or nothing, or that do not read; and what becomes of others."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from flowlang.server import connections
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from tests.access import bearer, developing
from tests.unit.service.world import World
from tests.unit.worker.test_process import until

HEAD = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n"
PATIENCE_S = 30


@contextlib.contextmanager
def served(most: int = connections.MOST, **more: Any) -> Iterator[HttpServer]:
    world = World()
    app = create_app(world.service, secrets={}, keys=developing(world.store))
    server = HttpServer(app, port=0, connections=most, **more)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with served() as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.Connection, "head_seconds", 0.2)
    monkeypatch.setattr(connections.Connection, "taking_seconds", 0.2)


def dialled(server: HttpServer, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), PATIENCE_S, (source, 0))


def answer_of(raw: socket.socket) -> tuple[int, str]:
    """Status and code of what comes until the server hangs up; 0 and nothing, when that is all that it does."""
    with raw.makefile("rb") as file:
        try:
            content = file.read()
        except ConnectionResetError:
            content = b""
    if not content:
        return 0, ""
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (HEAD + b"a: " + b"x" * 20_000 + b"\r\n\r\n", (431, "head.too-large")),
        (HEAD + b"a: " + b"x" * 20_000, (431, "head.too-large")),
        (HEAD + b"".join(b"a%d: x\r\n" % n for n in range(101)) + b"\r\n", (431, "head.too-large")),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", (431, "head.too-large")),
        (b"GET /" + b"x" * 20_000, (431, "head.too-large")),
        (b"\r\n" * 10_000, (431, "head.too-large")),
        (b"nonsense\r\n\r\n", (400, "http.malformed")),
        (b"GET /livez HTTP/1.1\r\nhost : localhost\r\n\r\n", (400, "http.malformed")),
        (b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", (400, "http.malformed")),
        (b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", (400, "http.malformed")),
        (b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", (400, "http.malformed")),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400, "http.malformed")),
    ],
    ids=range(12),
)  # fmt: skip
def test_a_head_that_is_too_large_or_none_is_refused(
    server: HttpServer, sent: bytes, expected: tuple[int, str]
) -> None:
    with dialled(server) as raw:
        raw.sendall(sent)
        assert answer_of(raw) == expected


def test_a_head_of_the_size_that_is_allowed_is_taken(server: HttpServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/livez", headers={"a": "x" * 15_000}).status_code == 200
        large = b"[" + b" " * 200_000 + b'{"name": "shop/other"}]'
        json_type = {"content-type": "application/json"}
        for _ in range(2):  # a body is none of the head, and the next request has a head of its own
            assert client.post("/events", content=large, headers=bearer() | json_type).status_code == 202


def test_a_request_that_is_refused_before_its_body_came_leaves_the_connection_as_it_was(server: HttpServer) -> None:
    with dialled(server) as raw:
        head = b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n"
        raw.sendall(head)
        assert raw.recv(65_536).startswith(b"HTTP/1.1 401")
        raw.sendall(b"x" * 1_000_000)
        raw.sendall(HEAD + b"\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_body_that_nobody_waits_for_any_more_does_not_come_for_ever(quick: None, server: HttpServer) -> None:
    with dialled(server) as raw:
        raw.sendall(b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 401")
        raw.sendall(b"x")
        assert raw.recv(65_536) == b""


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(b"", (0, "")), (b"G", (408, "head.timeout")), (HEAD, (408, "head.timeout")), (b"\r\n", (408, "head.timeout"))],
    ids=["nothing", "a letter", "no end", "an empty line"],
)
def test_a_client_that_sends_no_whole_head_is_sent_away(
    quick: None, server: HttpServer, sent: bytes, expected: tuple[int, str]
) -> None:
    with dialled(server) as raw:
        raw.sendall(sent)
        assert answer_of(raw) == expected


def test_the_next_head_on_a_connection_has_as_long_as_the_first(quick: None, server: HttpServer) -> None:
    with dialled(server) as raw:
        raw.sendall(HEAD + b"\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 200")
        raw.sendall(HEAD)
        assert answer_of(raw) == (408, "head.timeout")


def test_slow_clients_hold_up_nobody_else(quick: None, server: HttpServer) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(dialled(server)) for _ in range(100)]
        for raw in slow:
            raw.sendall(HEAD)
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            assert client.get("/livez").status_code == 200
        assert {answer_of(raw) for raw in slow} == {(408, "head.timeout")}


def send_for_ever(raw: socket.socket, request: bytes) -> None:
    """Until the server has had enough of it; the socket's time-out is another error."""
    while True:
        raw.sendall(request * 10)


def test_a_client_that_does_not_read_is_hung_up_on(quick: None) -> None:
    world = World()
    for _ in range(200):
        world.service.call("by-hand", {"name": "x"})
    app = create_app(world.service, secrets={}, keys=developing(world.store))
    server = HttpServer(app, port=0)
    server.start()
    request = b"GET /runs?limit=200 HTTP/1.1\r\nhost: localhost\r\nauthorization: " + bearer()["authorization"].encode()
    try:
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            raw.settimeout(PATIENCE_S)
            raw.connect(("127.0.0.1", server.port))
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                send_for_ever(raw, request + b"\r\n\r\n")
    finally:
        server.stop()


def test_there_are_only_so_many_connections_and_the_rest_is_asked_to_come_back() -> None:
    with served(most=3) as server, contextlib.ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=server.url, trust_env=False))
        assert client.get("/livez").status_code == 200
        for _ in range(2):
            raw = stack.enter_context(dialled(server))
            raw.sendall(HEAD)
        with dialled(server) as one_more:
            one_more.sendall(HEAD + b"\r\n")
            content = one_more.recv(65_536)
            assert content.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in content
        assert client.get("/livez").status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one address of their own")
def test_an_address_has_only_so_many_connections_and_takes_nobody_elses() -> None:
    one, other, proxy = "127.0.0.2", "127.0.0.3", "127.0.0.4"

    def whose(peer: str) -> str | None:
        return None if peer == proxy else peer

    with served(of_one=3, whose=whose) as server, contextlib.ExitStack() as stack:

        def asked(source: str) -> tuple[socket.socket, bytes]:
            raw = stack.enter_context(dialled(server, source))
            raw.sendall(HEAD + b"\r\n")
            return raw, raw.recv(65_536)

        open_ones = [asked(one) for _ in range(3)]
        assert [content[:12] for _, content in open_ones] == [b"HTTP/1.1 200"] * 3
        for _ in range(5):  # who is refused does not count, however often they try
            refused, content = asked(one)
            assert content.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in content
            assert b"too many connections of this address" in content
            with contextlib.suppress(ConnectionResetError):  # what it has sent is not read any more
                assert refused.recv(65_536) == b""
        assert [asked(other)[1][:12] for _ in range(4)] == [b"HTTP/1.1 200"] * 3 + [b"HTTP/1.1 503"]
        assert [asked(proxy)[1][:12] for _ in range(8)] == [b"HTTP/1.1 200"] * 8
        for raw, _ in open_ones:
            raw.sendall(HEAD + b"\r\n")
            assert raw.recv(65_536).startswith(b"HTTP/1.1 200"), "those that were let in are served as before"
        closed = open_ones.pop()[0]
        closed.sendall(HEAD + b"connection: close\r\n\r\n")
        with closed.makefile("rb") as file:
            file.read()  # until the server has hung up
        until(lambda: held(server)[one] == 2)
        assert asked(one)[1].startswith(b"HTTP/1.1 200")
        assert asked(one)[1].startswith(b"HTTP/1.1 503")
    assert held(server) == {}


def held(server: HttpServer) -> dict[str, int]:
    """Connections by holder, as the server counts them."""
    return dict(server._server.config.http.held)  # type: ignore[union-attr]  # it is the class that we have given


def test_no_log_has_the_path_of_a_request_since_it_may_hold_a_key(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), httpx.Client(base_url=server.url, trust_env=False) as client:
        client.get("/e/flk_secret")
    assert [record for record in caplog.records if record.name.startswith(("uvicorn", "flowlang"))] == []


EVENT = b'{"name": "shop/other"}'
POST = b"POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: %b\r\n"


def post(body: bytes, more: bytes = b"") -> bytes:
    head = POST % bearer()["authorization"].encode()
    return head + more + b"content-length: %d\r\n\r\n" % len(body) + body


def statuses(raw: socket.socket) -> list[bytes]:
    """Those of all answers that come until the server hangs up."""
    with raw.makefile("rb") as file:
        return re.findall(rb"HTTP/1\.1 (\d+) ", file.read())


def test_requests_that_are_sent_without_waiting_are_answered_in_their_order(server: HttpServer) -> None:
    closing = b"connection: close\r\n"
    with dialled(server) as raw:
        raw.sendall(post(EVENT) + post(b"{") + HEAD + b"\r\n" + post(b"[%b]" % EVENT) + post(b"[]", closing))
        assert statuses(raw) == [b"202", b"400", b"200", b"202", b"400"]


@pytest.mark.parametrize(
    "sent",
    [
        (post(EVENT, b"connection: close\r\n"),),
        (post(EVENT, b"connection: close\r\n")[:-5], EVENT[-5:]),
        (POST.replace(b"HTTP/1.1", b"HTTP/1.0") % bearer()["authorization"].encode()
         + b"content-length: %d\r\n\r\n" % len(EVENT) + EVENT,),
        (POST % bearer()["authorization"].encode() + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n",
         b"%x\r\n%b\r\n0\r\n" % (len(EVENT), EVENT), b"\r\n"),
    ],
    ids=["at once", "in pieces", "of HTTP/1.0", "in chunks"],
)  # fmt: skip
def test_an_event_is_taken_however_its_request_comes(server: HttpServer, sent: tuple[bytes, ...]) -> None:
    with dialled(server) as raw:
        for piece in sent:
            raw.sendall(piece)
        assert statuses(raw) == [b"202"]


def test_who_asks_whether_to_go_on_is_told_so_before_the_body_is_there(server: HttpServer) -> None:
    asking = post(EVENT, b"connection: close\r\nexpect: 100-continue\r\n")
    with dialled(server) as raw:
        raw.sendall(asking.removesuffix(EVENT))
        assert raw.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(EVENT)
        assert statuses(raw) == [b"202"]
    with dialled(server) as raw:
        raw.sendall(asking)  # and not when it is there
        assert statuses(raw)[-1] == b"202"


def test_an_answer_says_when_and_what_it_is_once(server: HttpServer) -> None:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        answer = client.post("/events", content=EVENT, headers=bearer() | {"content-type": "application/json"})
        names = [name.lower() for name, _ in answer.headers.raw]

    assert sorted(names) == [b"cache-control", b"content-length", b"content-type", b"date", b"x-content-type-options"]
    assert int(answer.headers["content-length"]) == len(answer.content)
