"""Fetching a sender's certificate over real sockets: not much of it, not for long, and from nowhere else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from flowlang.server import certificates
from flowlang.server.certificates import Certificates, fetched
from flowlang.server.problems import HttpProblem


class Answers(BaseHTTPRequestHandler):
    """What is at each path."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        status, body = {
            "/good": (200, b"pem"),
            "/large": (200, b"x" * 70_000),
            "/moved": (302, b""),
            "/missing": (404, b"no"),
            "/slow": (200, b"half"),
        }[self.path]
        self.send_response(status)
        self.send_header("location", "/good")
        self.send_header("content-length", str(len(body) + (self.path == "/slow")))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/slow":
            self.server.held.wait(30)  # type: ignore[attr-defined]  # of the fixture

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    Answers.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.held = threading.Event()  # type: ignore[attr-defined]  # see Answers
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.held.set()  # type: ignore[attr-defined]  # see Answers
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_is_there_is_fetched(address: str) -> None:
    assert asyncio.run(fetched(f"{address}/good")) == b"pem"


@pytest.mark.parametrize("path", ["/large", "/moved", "/missing"])
def test_what_is_too_large_elsewhere_or_missing_is_no_certificate(address: str, path: str) -> None:
    with pytest.raises(ValueError, match="certificate"):
        asyncio.run(fetched(address + path))
    assert Answers.asked == [path]


def test_one_that_does_not_come_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_SECONDS", 0.2)
    with pytest.raises((TimeoutError, httpx.TimeoutException)):
        asyncio.run(fetched(f"{address}/slow"))


def test_what_cannot_be_fetched_is_said_to_be_tried_again_and_not_kept() -> None:
    tries: list[str] = []

    async def fetch(url: str) -> bytes:
        tries.append(url)
        raise httpx.ConnectError("no") if len(tries) == 1 else TimeoutError

    async def twice() -> None:
        known = Certificates(lambda: 1000, fetch)
        for _ in range(2):
            with pytest.raises(HttpProblem) as caught:
                await known.get("https://api.paypal.com/x")
            assert (caught.value.status, caught.value.code) == (503, "certificate.unavailable")

    asyncio.run(twice())
    assert len(tries) == 2


def test_a_certificate_is_kept_for_a_day_and_so_many_of_them() -> None:
    now = [0]
    tries: list[str] = []

    async def fetch(url: str) -> bytes:
        tries.append(url)
        return url.encode()

    async def ask(known: Certificates, *urls: str) -> None:
        for url in urls:
            now[0] += 10
            pem = await known.get(url)
            assert pem == url.encode()
            known.keep(url, pem)

    async def story() -> None:
        known = Certificates(lambda: now[0], fetch)
        await ask(known, "a", "a", "a")
        assert tries == ["a"]
        now[0] += 86_400
        await ask(known, "a")
        assert tries == ["a", "a"]
        await ask(known, *(str(number) for number in range(16)), "a")
        assert tries.count("a") == 3

    asyncio.run(story())


def test_what_has_verified_nothing_is_not_kept_and_what_has_outlasts_an_outage() -> None:
    now = [0]
    answers: list[bytes | Exception] = [b"first", b"second", httpx.ConnectError("no"), b"third"]

    async def fetch(_: str) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def story() -> None:
        known = Certificates(lambda: now[0], fetch)
        assert await known.get("a") == b"first"
        assert await known.get("a") == b"second"
        known.keep("a", b"second")
        assert await known.get("a") == b"second"
        now[0] += 86_400
        assert await known.get("a") == b"second"  # there is no other to be had
        assert await known.get("a") == b"third"

    asyncio.run(story())
