"""`http.request` against real servers: what is sent, what comes back, and what becomes of trouble."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang import Permanent
from flowlang.integrations.http import _target, request
from flowlang.integrations.outbound.body import read_bounded
from tests.built_in.asking import call, failure
from tests.egress.services import Answering, Say, Seen, serving


def echo(seen: Seen) -> Say:
    """Answers are told by the path: `/404`, `/429?`."""
    status = seen.path.strip("/").partition("?")[0]
    return Say(int(status) if status.isdigit() else 200)


@pytest.fixture
def service() -> Iterator[Answering]:
    with serving(echo) as there:
        yield there


# ---- what is sent


def test_a_request_carries_what_the_step_says(service: Answering) -> None:
    call(
        request,
        {
            "url": service.url("/v1/?fixed=1"),
            "method": "POST",
            "path": ["users", "a/b?c#d", 7],
            "query": {"q": "ä &", "n": 3, "yes": True, "none": None, "many": ["a", 2]},
            "headers": {"X-Tenant": "t1"},
            "json": {"name": "Ä"},
            "auth": {"bearer": "token-1"},
        },
        key="key-9",
    )
    (seen,) = service.seen
    assert seen.method == "POST"
    assert seen.path == "/v1/users/a%2Fb%3Fc%23d/7?fixed=1&q=%C3%A4+%26&n=3&yes=true&many=a&many=2"
    assert seen.body == '{"name":"Ä"}'.encode()
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-tenant"] == "t1"
    assert seen.headers["authorization"] == "Bearer token-1"
    assert seen.headers["idempotency-key"] == "key-9"
    assert seen.headers["host"] == f"127.0.0.1:{service.port}"
    assert seen.headers["user-agent"].startswith("flowlang/")


def test_a_request_goes_on_in_the_trace_of_its_run_unless_the_step_says_another(service: Answering) -> None:
    place = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "v=1"}
    call(request, {"url": service.url("/")}, trace_headers=place)
    call(request, {"url": service.url("/"), "headers": {"Traceparent": "mine"}}, trace_headers=place)
    call(request, {"url": service.url("/")})
    sent = [(seen.headers.get("traceparent"), seen.headers.get("tracestate")) for seen in service.seen]
    assert sent == [(place["traceparent"], "v=1"), ("mine", None), (None, None)]


@pytest.mark.parametrize(("arguments", "body", "kind"), [
    ({"form": {"a": "1 2", "b": True}}, b"a=1+2&b=true", "application/x-www-form-urlencoded"),
    ({"body": "plain ä"}, "plain ä".encode(), "text/plain; charset=utf-8"),
    ({"body": "<a/>", "headers": {"Content-Type": "application/xml"}}, b"<a/>", "application/xml"),
    ({}, b"", None),
])  # fmt: skip
def test_a_body_is_json_a_form_or_text(service: Answering, arguments: Any, body: bytes, kind: str | None) -> None:
    call(request, {"url": service.url(), "method": "PUT", **arguments})
    assert service.seen[0].body == body
    assert service.seen[0].headers.get("content-type") == kind


@pytest.mark.parametrize(("method", "more", "sent"), [
    ("GET", {}, None), ("HEAD", {}, None), ("OPTIONS", {}, None), ("POST", {}, "key-1"), ("PUT", {}, "key-1"), ("PATCH", {}, "key-1"),
    ("DELETE", {}, "key-1"), ("POST", {"idempotency_header": ""}, None), ("POST", {"headers": {"Idempotency-Key": "mine"}}, "mine"),
])  # fmt: skip
def test_what_changes_something_carries_the_step_s_key(
    service: Answering, method: str, more: Any, sent: str | None
) -> None:
    call(request, {"url": service.url(), "method": method, **more})
    assert service.seen[0].headers.get("idempotency-key") == sent


def test_a_user_and_a_password_are_sent_as_basic(service: Answering) -> None:
    call(request, {"url": service.url(), "auth": {"user": "ada", "password": "p:ä"}})
    assert base64.b64decode(service.seen[0].headers["authorization"].removeprefix("Basic ")) == "ada:p:ä".encode()


@pytest.mark.parametrize(("arguments", "code"), [
    ({"headers": {"X-A": "1\r\nX-B: 2"}}, "http.header"), ({"headers": {"X-A": "1\n"}}, "http.header"), ({"headers": {"X A": "1"}}, "http.header"),
    ({"headers": {"Host": "other"}}, "http.header"), ({"headers": {"Transfer-Encoding": "chunked"}}, "http.header"),
    ({"headers": {"Content-Length": "3"}}, "http.header"), ({"headers": {"X-A:": "1"}}, "http.header"), ({"headers": {"X-A": "ä"}}, "http.header"),
    ({"idempotency_header": "a\r\nb", "method": "POST"}, "http.header"), ({"auth": {"bearer": "a\r\nb"}}, "http.header"), ({"auth": {"bearer": ""}}, "http.header"),
    ({"auth": {"user": "a:b", "password": "c"}}, "http.header"), ({"auth": {}}, "http.header"), ({"auth": {"bearer": "a", "user": "b"}}, "http.header"),
    ({"path": [".."]}, "http.url"), ({"path": ["a", "."]}, "http.url"), ({"path": [""]}, "http.url"), ({"json": 1, "body": "x"}, "http.body"),
    ({"method": "TRACE"}, "handler.arguments"), ({"follow": 4}, "handler.arguments"), ({"auth": {"token": "x"}}, "handler.arguments"),
    ({"max_bytes": 10**9}, "handler.arguments"),
])  # fmt: skip
def test_what_no_request_may_hold_is_refused_before_one_is_made(service: Answering, arguments: Any, code: str) -> None:
    failed = failure(request, {"url": service.url(), **arguments})
    assert (failed.error_class, failed.code) == ("permanent", code)
    assert service.accepted == 0


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=30)
def test_no_text_in_a_path_or_a_query_reaches_another_place(segment: str, value: str) -> None:
    try:
        target = _target("https://api.example.com/v1/users", [segment], {"q": value})
    except (Permanent, UnicodeEncodeError):
        return
    assert (target.scheme, target.host, target.port) == ("https", "api.example.com", None)
    assert target.raw_path.startswith(b"/v1/users/")
    assert target.raw_path.count(b"/") == 3
    assert dict(target.params) == {"q": value}


# ---- what comes back


@pytest.mark.parametrize(("kind", "body", "field", "value"), [
    ("application/json", b'{"a": [1, 2.5, null]}', "json", {"a": [1, 2.5, None]}),
    ("application/problem+json; charset=utf-8", b'{"title": "x"}', "json", {"title": "x"}),
    ("application/json", b"18446744073709551616", "json", 18446744073709551616.0),
    ("text/plain; charset=iso-8859-1", "ä".encode("latin-1"), "text", "ä"),
    ("text/plain; charset=no-such", "ä".encode(), "text", "ä"),
    ("text/plain; charset=hex", b"61", "text", "61"),
    ("text/html", b"<p>\xff</p>", "text", "<p>\ufffd</p>"),
    ("application/atom+xml", b"<a/>", "text", "<a/>"),
    ("image/png", b"\x89PNG", "base64", base64.b64encode(b"\x89PNG").decode()),
    ("", b"\x00", "base64", "AA=="),
])  # fmt: skip
def test_an_answer_is_json_text_or_bytes(kind: str, body: bytes, field: str, value: Any) -> None:
    with serving(lambda _: Say(headers={"content-type": kind}, body=body)) as service:
        answer = call(request, {"url": service.url()})
    assert answer[field] == value
    assert [name for name in ("json", "text", "base64") if answer[name] is not None] == [field]


@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"a": Infinity}', b"\xff", b"[" * 100_000, b"1" * 5_000])
def test_an_answer_that_says_json_and_is_none_is_tried_again(body: bytes) -> None:
    with serving(lambda _: Say(headers={"content-type": "application/json"}, body=body)) as service:
        failed = failure(request, {"url": service.url()})
    assert (failed.error_class, failed.code) == ("transient", "http.body")


def test_later_steps_see_the_headers_that_were_chosen() -> None:
    sent = {"etag": '"1"', "set-cookie": "session=secret", "x-total": "7"}
    with serving(lambda _: Say(headers=sent)) as service:
        assert call(request, {"url": service.url()})["headers"] == {"etag": '"1"'}
        assert call(request, {"url": service.url(), "keep": ["X-Total", "x-none"]})["headers"] == {"x-total": "7"}


# ---- what becomes of trouble


STATUSES = [
    (400, "permanent"), (401, "permanent"), (404, "permanent"), (408, "transient"), (409, "resource"), (410, "permanent"), (422, "permanent"),
    (423, "resource"), (425, "transient"), (429, "transient"), (500, "transient"), (502, "transient"), (503, "resource"), (504, "transient"),
    (301, "permanent"), (304, "permanent"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error_class"), STATUSES)
def test_a_status_that_is_not_expected_fails_with_its_class(service: Answering, status: int, error_class: str) -> None:
    failed = failure(request, {"url": service.url(f"/{status}?token=t0p")})
    assert (failed.error_class, failed.code) == (error_class, f"http.{status}")
    assert failed.message.endswith(f"GET http://127.0.0.1:{service.port} was answered with {status}")
    assert "t0p" not in failed.message


def test_a_status_that_is_expected_is_an_answer_and_another_is_not(service: Answering) -> None:
    assert call(request, {"url": service.url("/404"), "expect": [200, 404]})["status"] == 404
    assert failure(request, {"url": service.url("/201"), "expect": [200]}).code == "http.201"


@pytest.mark.parametrize(("value", "seconds"), [
    ("7", 7.0), ("Tue, 01 Jan 2030 00:01:00 GMT", 60.0), ("99999999999", 7 * 86_400.0), ("Mon, 01 Jan 2029 00:00:00 GMT", 0.0),
    ("soon", None), ("-5", None),
])  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_a_service_says_when_to_come_back_within_bounds(value: str, seconds: float | None, status: int) -> None:
    with serving(lambda _: Say(status, {"retry-after": value})) as service:
        assert failure(request, {"url": service.url()}).retry_after_seconds == seconds


def test_nobody_at_the_port_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    failed = failure(request, {"url": f"http://127.0.0.1:{port}/"})
    assert (failed.error_class, failed.code) == ("transient", "http.network")


def test_a_name_that_nobody_knows_is_transient() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    failed = failure(request, {"url": "http://gone.example/"}, resolve=unknown)
    assert (failed.error_class, failed.code) == ("transient", "os.dns")


@pytest.mark.parametrize("said", ["nothing", "headers", "half of the body", "the name is not found"])
def test_the_whole_request_has_the_time_of_the_attempt(said: str) -> None:
    over = threading.Event()
    try:
        if said == "the name is not found":

            async def never(host: str, port: int) -> Sequence[str]:
                await asyncio.Event().wait()
                return []

            failed = failure(request, {"url": "http://slow.example/"}, seconds=0.1, resolve=never)
        else:
            parts = {"headers": (over,), "half of the body": (b"x" * 100, over), "nothing": ()}[said]

            def slow(_: Seen) -> Say:
                if said == "nothing":
                    over.wait(20)
                return Say(parts=parts)

            with serving(slow) as service:
                failed = failure(request, {"url": service.url()}, seconds=0.2)
                over.set()
    finally:
        over.set()
    assert (failed.error_class, failed.code) == ("transient", "http.timeout")


def test_an_answer_that_ends_early_is_transient() -> None:
    with serving(lambda _: Say(headers={"content-length": "100"}, parts=(b"x",))) as service:
        failed = failure(request, {"url": service.url()})
    assert (failed.error_class, failed.code) == ("transient", "http.network")


# ---- bounds


def endless(over: threading.Event) -> Iterator[bytes]:
    while not over.is_set():
        yield b"x" * 65_536


@pytest.mark.parametrize("told", [True, False])
def test_a_long_answer_is_not_read_to_its_end(told: bool) -> None:
    over = threading.Event()
    sent: list[int] = []

    def parts() -> Iterator[bytes]:
        for part in endless(over):
            sent.append(len(part))
            yield part

    class Endless(tuple[bytes, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[bytes]:
            return parts()

    headers = {"content-length": str(10**12)} if told else {}
    with serving(lambda _: Say(headers=headers, parts=Endless())) as service:
        failed = failure(request, {"url": service.url(), "max_bytes": 200_000})
        over.set()
    assert (failed.error_class, failed.code) == ("permanent", "http.too_large")
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip"])
def test_a_bomb_is_not_unpacked(coding: str) -> None:
    zeros = bytes(200_000_000)
    packed = gzip.compress(zeros, 1) if "gzip" in coding else zlib.compress(zeros, 1)
    del zeros
    assert len(packed) < 1_000_000
    with serving(lambda _: Say(headers={"content-encoding": coding}, body=packed)) as service:
        failed = failure(request, {"url": service.url(), "max_bytes": 1_000_000})
    assert (failed.error_class, failed.code) == ("permanent", "http.too_large")


@given(st.binary(max_size=5_000), st.sampled_from(["gzip", "deflate", ""]), st.integers(1, 6_000), st.integers(1, 900))
def test_a_body_is_read_whole_or_refused(body: bytes, coding: str, bound: int, step: int) -> None:
    packed = {"gzip": gzip.compress(body, mtime=0), "deflate": zlib.compress(body), "": body}[coding]

    async def parts() -> Any:
        for at in range(0, len(packed), step):
            yield packed[at : at + step]

    fits = len(body) <= bound and len(packed) <= bound
    with nullcontext() if fits else pytest.raises(Permanent, match="longer than"):
        assert asyncio.run(read_bounded(parts(), coding, bound)) == body


@pytest.mark.parametrize(("coding", "body"), [
    ("gzip", b"no gzip"), ("br", b"x"), ("gzip, gzip", b"x"), ("gzip", gzip.compress(b"x" * 100, mtime=0)[:-4]), ("compress", b""),
])  # fmt: skip
def test_a_body_packed_in_no_way_that_we_asked_for_is_tried_again(coding: str, body: bytes) -> None:
    with serving(lambda _: Say(headers={"content-encoding": coding}, body=body)) as service:
        failed = failure(request, {"url": service.url()})
    assert (failed.error_class, failed.code) == ("transient", "http.body")


def test_a_packed_body_is_unpacked(service: Answering) -> None:
    say = Say(headers={"content-encoding": "gzip", "content-type": "text/plain"}, body=gzip.compress(b"hello"))
    with serving(lambda _: say) as packing:
        assert call(request, {"url": packing.url()})["text"] == "hello"
        assert packing.seen[0].headers["accept-encoding"] == "gzip, deflate"


# ---- redirects


KEYS = {"authorization", "x-api-key", "cookie", "idempotency-key"}
SENT = {"auth": {"bearer": "t"}, "headers": {"X-Api-Key": "k", "Cookie": "c=1", "Accept-Language": "de"}}


def sending_to(target: list[str], status: int = 302) -> Any:
    return lambda seen: Say(status, {"location": target[0]}) if seen.path == "/from" else Say(headers={"etag": "there"})


def test_redirects_are_answers_unless_a_step_follows_them(service: Answering) -> None:
    with serving(sending_to([service.url("/to")])) as first:
        answer = call(request, {"url": first.url("/from"), "expect": [302]})
    assert (answer["status"], answer["headers"]) == (302, {"location": service.url("/to")})
    assert service.accepted == 0


def test_keys_go_along_within_an_origin_and_to_no_other() -> None:
    target = [""]
    with serving(sending_to(target)) as first, serving(sending_to(target)) as second:
        for target[0] in ("/to", "to", first.url("/to")):
            call(request, {"url": first.url("/from"), "follow": 1, **SENT})
            assert KEYS - {"idempotency-key"} <= first.seen[-1].headers.keys()
        for target[0] in (second.url("/to"), f"//127.0.0.1:{second.port}/to"):
            call(request, {"url": first.url("/from"), "follow": 1, **SENT})
            assert first.seen[-1].headers["authorization"] == "Bearer t"
            got = second.seen[-1].headers
            assert KEYS.isdisjoint(got)
            assert got["accept-language"] == "de"
            assert got["host"] == f"127.0.0.1:{second.port}"


@pytest.mark.parametrize(("status", "method", "then", "body"), [
    (301, "POST", "GET", b""), (302, "POST", "GET", b""), (303, "POST", "GET", b""), (303, "PUT", "GET", b""),
    (307, "POST", "POST", b'{"a":1}'), (308, "PUT", "PUT", b'{"a":1}'), (302, "PUT", "PUT", b'{"a":1}'), (308, "GET", "GET", b""),
    (303, "HEAD", "HEAD", b""),
])  # fmt: skip
def test_within_an_origin_methods_change_as_http_says(status: int, method: str, then: str, body: bytes) -> None:
    content = {} if method in {"GET", "HEAD"} else {"json": {"a": 1}}
    with serving(sending_to(["/to"], status)) as service:
        call(request, {"url": service.url("/from"), "method": method, "follow": 1, **content})
        assert [seen.method for seen in service.seen] == [method, then]
        assert service.seen[1].body == body
        assert ("content-type" in service.seen[1].headers) == bool(body)


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_is_not_sent_on_to_somebody_else(status: int, service: Answering) -> None:
    with serving(sending_to([service.url("/to")], status)) as first:
        failed = failure(request, {"url": first.url("/from"), "method": "POST", "json": {"a": 1}, "follow": 3})
    assert (failed.error_class, failed.code) == ("permanent", "http.redirects")
    assert service.accepted == 0


def test_a_loop_of_redirects_ends() -> None:
    with serving(lambda _: Say(302, {"location": "/again"})) as service:
        failed = failure(request, {"url": service.url(), "follow": 3})
        assert (failed.error_class, failed.code) == ("permanent", "http.redirects")
        assert len(service.seen) == 4


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://a@127.0.0.1/", "http://:x/", "javascript:1"]
)
def test_a_redirect_to_no_url_of_ours_is_refused(location: str) -> None:
    with serving(lambda _: Say(302, {"location": location})) as service:
        failed = failure(request, {"url": service.url(), "follow": 3})
    assert (failed.error_class, failed.code) == ("permanent", "http.url")


# ---- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context and the certificate of who vouches for it, for `tls.example` alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tls.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("tls.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context, pem


async def here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def test_the_certificate_is_checked_against_the_name_though_the_address_is_connected_to(
    certificate: tuple[ssl.SSLContext, Path],
) -> None:
    server, pem = certificate
    asked: list[str | None] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=pem)
    with serving(echo, tls=server) as service:
        answer = call(request, {"url": f"https://tls.example:{service.port}/"}, resolve=here, tls=trusting)
        assert answer["status"] == 200
        assert asked == ["tls.example"]
        assert service.seen[0].headers["host"] == f"tls.example:{service.port}"
        for url in (f"https://other.example:{service.port}/", f"https://127.0.0.1:{service.port}/"):
            failed = failure(request, {"url": url}, resolve=here, tls=trusting)
            assert (failed.error_class, failed.code) == ("permanent", "os.certificate")
        assert len(service.seen) == 1
        failed = failure(request, {"url": f"https://tls.example:{service.port}/"}, resolve=here)  # nobody vouches
        assert (failed.error_class, failed.code) == ("permanent", "os.certificate")
        assert len(service.seen) == 1
