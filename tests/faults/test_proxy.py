"""The proxy hurts as it was told to, and otherwise passes everything on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.waiting import until
from tests.faults.proxy import NONE, FaultProxy, Odds


class Echo:
    """A server that answers each line by the same in capitals, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    self.asked.append(line)
                    connection.sendall(line.upper())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with contextlib.closing(Echo()) as server:
        yield server


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.port, seed=3) as between:
        yield between


@pytest.fixture
def dial(proxy: FaultProxy) -> Iterator[Callable[[], socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=30))


Dial = Callable[[], socket.socket]


def ask(connection: socket.socket, text: bytes = b"hello\n") -> bytes:
    """Send, and read what comes; empty when the connection is gone."""
    connection.sendall(text)
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def test_without_faults_everything_passes(proxy: FaultProxy, dial: Dial) -> None:
    first, second = dial(), dial()
    assert [ask(first), ask(second), ask(first, b"again\n")] == [b"HELLO\n", b"HELLO\n", b"AGAIN\n"]
    assert proxy.done == {"exchanges": 3}


def test_much_at_a_time_passes_whole(dial: Dial) -> None:
    connection = dial()
    text = b"x" * 3_000_000 + b"\n"
    sender = threading.Thread(target=connection.sendall, args=(text,))
    sender.start()
    found = b""
    while len(found) < len(text):
        found += connection.recv(1 << 20)
    sender.join()
    assert found == text.upper()


def test_a_swallowed_answer_was_given(echo: Echo, proxy: FaultProxy, dial: Dial) -> None:
    proxy.next("swallow")
    assert ask(dial()) == b""
    assert echo.asked == [b"hello\n"]
    assert ask(dial()) == b"HELLO\n"


def test_a_request_that_is_cut_arrives_by_half(echo: Echo, proxy: FaultProxy, dial: Dial) -> None:
    proxy.next("cut")
    assert ask(dial(), b"1234\n5678\n") == b""
    until(lambda: echo.asked, "the half")
    assert echo.asked == [b"1234\n"]


def test_a_half_open_connection_is_silent_until_it_is_healed(echo: Echo, proxy: FaultProxy, dial: Dial) -> None:
    proxy.next("half_open")
    connection = dial()
    connection.sendall(b"hello\n")
    until(lambda: proxy.done["half_open"], "the fault")
    connection.setblocking(False)  # noqa: FBT003 - the socket's own signature
    with pytest.raises(BlockingIOError):
        connection.recv(1)
    assert ask(dial()) == b"HELLO\n"
    connection.settimeout(30)
    proxy.heal()
    assert ask(connection) == b""
    assert echo.asked == [b"hello\n"]


def test_a_delayed_answer_comes_late_and_what_follows_comes_behind_it(proxy: FaultProxy, dial: Dial) -> None:
    proxy.odds = Odds(delay_ms=200)
    proxy.next("delay")
    connection = dial()
    began = time.monotonic()
    connection.sendall(b"a\n")
    until(lambda: proxy.done["exchanges"] == 1, "the first")
    connection.sendall(b"b\n")
    found = b""
    while len(found) < 4:
        found += connection.recv(10)
    assert found == b"A\nB\n"
    assert time.monotonic() - began >= 0.2


def test_a_throttled_connection_passes_everything_at_its_pace(proxy: FaultProxy, dial: Dial) -> None:
    proxy.odds = Odds(bytes_per_s=10_000)
    began = time.monotonic()
    assert ask(dial(), b"y" * 999 + b"\n") == b"Y" * 999 + b"\n"
    assert time.monotonic() - began >= 0.2  # 1,000 bytes there and 1,000 back


def test_refused_means_that_nobody_is_connected_or_gets_connected(proxy: FaultProxy, dial: Dial) -> None:
    connection = dial()
    assert ask(connection) == b"HELLO\n"
    proxy.refuse()
    assert ask(connection) == b""
    with pytest.raises(ConnectionRefusedError):
        dial()
    proxy.accept()
    assert ask(dial()) == b"HELLO\n"


def test_all_connections_can_be_cut_at_once(proxy: FaultProxy, dial: Dial) -> None:
    connections = [dial() for _ in range(5)]
    assert [ask(each) for each in connections] == [b"HELLO\n"] * 5
    proxy.cut_all()
    assert [ask(each) for each in connections] == [b""] * 5


def test_faults_are_drawn_by_seed_and_odds(echo: Echo) -> None:
    def lost(seed: int) -> list[int]:
        with FaultProxy(echo.port, odds=Odds(swallow=0.2, cut=0.1), seed=seed) as between:
            found = []
            for number in range(60):
                with socket.create_connection(("127.0.0.1", between.port), timeout=30) as connection:
                    if ask(connection) == b"":
                        found.append(number)
            assert between.done["swallow"] + between.done["cut"] == len(found)
            return found

    first = lost(1)
    assert 5 <= len(first) <= 35
    assert lost(1) == first
    assert lost(2) != first


def test_faults_may_be_meant_for_some_requests_only_and_switched_off(proxy: FaultProxy, dial: Dial) -> None:
    proxy.odds = Odds(swallow=1.0, only=lambda request: request.startswith(b"write"))
    assert ask(dial(), b"read\n") == b"READ\n"
    assert ask(dial(), b"write\n") == b""
    proxy.odds = NONE
    assert ask(dial(), b"write\n") == b"WRITE\n"


def test_a_server_that_is_away_cuts_the_client_off(echo: Echo, proxy: FaultProxy, dial: Dial) -> None:
    assert ask(dial()) == b"HELLO\n"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        FaultProxy(port) as between,
        socket.create_connection(("127.0.0.1", between.port), timeout=30) as connection,
    ):
        assert ask(connection) == b""


def test_a_url_keeps_its_login_and_its_path(proxy: FaultProxy) -> None:
    assert proxy.in_front_of("redis://:secret@127.0.0.1:6379/2") == f"redis://:secret@127.0.0.1:{proxy.port}/2"
    assert proxy.in_front_of("http://127.0.0.1:80") == f"http://127.0.0.1:{proxy.port}"
