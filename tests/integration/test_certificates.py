"""Fetching a sender's certificate over real sockets: not much of it, not for long, and from nowhere else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from flowlang.errors import ConfigError, Permanent
from flowlang.integrations.outbound.egress import Egress, Entry
from flowlang.server import certificates
from flowlang.server.certificates import Certificates, fetched, trust, trusted_roots
from flowlang.server.problems import HttpProblem
from flowlang.server.signatures.chains import vouched
from flowlang.server.signatures.verdict import Refused
from tests.webhooks.authority import NAME, between, certificate, root
from tests.webhooks.senders import NOW


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


HERE = Egress(allowed=(Entry(None, ip_network("127.0.0.1"), None),))  # as if this machine were a public one


def test_what_is_there_is_fetched(address: str) -> None:
    assert asyncio.run(fetched(f"{address}/good", HERE)) == b"pem"


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["169.254.169.254"], ["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:127.0.0.1"]]
)
def test_a_name_that_leads_into_our_own_network_is_not_followed(address: str, found: list[str]) -> None:
    async def resolve(_name: str, _port: int) -> list[str]:
        return found

    with pytest.raises(Permanent, match=r"no connection to 'api\.paypal\.com'") as refused:
        asyncio.run(fetched(address.replace("127.0.0.1", "api.paypal.com") + "/good", resolve=resolve))
    assert refused.value.code == "egress_refused"
    assert Answers.asked == []


@pytest.mark.parametrize("path", ["/large", "/moved", "/missing"])
def test_what_is_too_large_elsewhere_or_missing_is_no_certificate(address: str, path: str) -> None:
    with pytest.raises((ValueError, Permanent), match=r"certificate|longer"):
        asyncio.run(fetched(address + path, HERE))
    assert Answers.asked == [path]


def test_one_that_does_not_come_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_SECONDS", 0.2)
    with pytest.raises((TimeoutError, httpx.TimeoutException)):
        asyncio.run(fetched(f"{address}/slow", HERE))


def test_what_cannot_be_fetched_is_said_to_be_tried_again_and_not_kept() -> None:
    tries: list[str] = []

    async def fetch(url: str) -> bytes:
        tries.append(url)
        raise [httpx.ConnectError("no"), TimeoutError(), Permanent("no connection")][len(tries) - 1]

    async def three_times() -> None:
        known = Certificates(lambda: 1000, fetch)
        for _ in range(3):
            with pytest.raises(HttpProblem) as caught:
                await known.get("https://api.paypal.com/x")
            assert (caught.value.status, caught.value.code) == (503, "certificate.unavailable")

    asyncio.run(three_times())
    assert len(tries) == 3


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


@pytest.fixture
def read_anew() -> Iterator[None]:
    """What a process reads once is read by this test, and by the next."""
    for each in (trust, trusted_roots):
        each.cache_clear()
    yield
    for each in (trust, trusted_roots):
        each.cache_clear()


@pytest.mark.parametrize(("trusted", "taken"), [(root, True), (between, True), (None, False)])
def test_the_roots_are_the_public_ones_or_those_of_a_file(
    trusted: Any, taken: bool, read_anew: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "roots.pem"
    if trusted is None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    else:
        bundle.write_bytes(trusted().pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    roots = trusted_roots()
    assert roots is not None
    judged = vouched(certificate(), lambda name: name == NAME, roots, NOW)
    assert (judged == Refused("nobody who is trusted vouches for the certificate")) is not taken
    assert isinstance(judged, Refused) is not taken


@pytest.mark.parametrize("content", [None, "no certificates"])
def test_a_file_of_roots_that_cannot_be_read_is_said_to_be_so(
    content: str | None, read_anew: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "roots.pem"
    if content is not None:
        bundle.write_text(content, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with pytest.raises(ConfigError, match="the certificates of SSL_CERT_FILE cannot be read"):
        trusted_roots()
