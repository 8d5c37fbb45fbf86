"""CloudEvents over HTTP as events of ours: the tables of the specification, and what is refused."""

from __future__ import annotations

import base64
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.errors import FlowError
from flowlang.rates import parse_rate
from flowlang.server.problems import HttpProblem
from flowlang.server.protocols import cloudevents
from flowlang.server.sending import check_headers, read_posted
from flowlang.service import DataError, IncomingEvent
from flowlang.telemetry import Trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"

BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "A234-1234-1234",
    "ce-source": "/mycontext/subcontext",
    "ce-type": "com.example.someevent",
}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234-1234",
    "source": "/mycontext/subcontext",
    "type": "com.example.someevent",
    "data": {"n": 1},
}


def binary(body: bytes = b'{"n": 1}', /, **headers: str) -> IncomingEvent:
    sent = BINARY | {name.replace("_", "-"): value for name, value in headers.items()}
    return cloudevents.from_binary(sent, body)


def structured(**more: Any) -> IncomingEvent:
    return cloudevents.from_json(EVENT | more)


@pytest.mark.parametrize(
    ("rate", "allowed"),
    [(None, "*"), ("100/s", "6000"), ("100/m", "100"), ("5/10s", "30"), ("90/h", "1"), ("1/d", "1"), ("7/2m", "3")],
)
def test_a_sender_that_asks_is_told_its_name_and_its_rate_in_requests_a_minute(rate: str | None, allowed: str) -> None:
    asked = {"webhook-request-origin": "events.Example.com", "webhook-request-rate": "120"}
    bound = None if rate is None else parse_rate(rate)
    expected = {"webhook-allowed-origin": "events.Example.com", "webhook-allowed-rate": allowed}
    assert cloudevents.permission(asked, bound) == expected
    assert cloudevents.permission({"webhook-request-origin": "events.Example.com"}, bound) == expected


@pytest.mark.parametrize(
    ("origin", "rate", "where"),
    [
        ("", "1", "origin"),
        ("*", "1", "origin"),
        ("null", "1", "origin"),
        ("localhost", "1", "origin"),
        ("http://a.example", "1", "origin"),
        ("a.example:80", "1", "origin"),
        ("a.example,b.example", "1", "origin"),
        ("a..example", "1", "origin"),
        ("-a.example", "1", "origin"),
        ("10.0.0.1", "1", "origin"),
        ("a.example/x", "1", "origin"),
        (f"{'a' * 64}.example", "1", "origin"),
        ("a." * 126 + "example", "1", "origin"),
        ("a.example\n", "1", "origin"),
        ("a.example", "0", "rate"),
        ("a.example", "-1", "rate"),
        ("a.example", "1.5", "rate"),
        ("a.example", "", "rate"),
        ("a.example", "²", "rate"),
        ("a.example", "1,2", "rate"),
        ("a.example", "9" * 19, "rate"),
    ],
)
def test_a_sender_whose_question_cannot_be_read_is_told_where(origin: str, rate: str, where: str) -> None:
    with pytest.raises(HttpProblem) as raised:
        cloudevents.permission({"webhook-request-origin": origin, "webhook-request-rate": rate}, None)
    assert (raised.value.status, raised.value.code) == (422, "parameters")
    assert [failure.path for failure in raised.value.failures] == [f"header.webhook-request-{where}"]


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        (BINARY, "binary"),
        (BINARY | {"content-type": "application/cloudevents+json"}, "structured"),
        (STRUCTURED, "structured"),
        ({"content-type": "Application/CloudEvents+JSON"}, "structured"),
        (BATCH, "batch"),
        ({"content-type": "application/json"}, None),
        ({"content-type": "application/json", "ce-id": "1"}, None),
        ({}, None),
    ],
)
def test_the_mode_is_told_by_the_headers(headers: dict[str, str], mode: str | None) -> None:
    assert cloudevents.mode_of(headers) == mode


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"content-type": "application/cloudevents+xml"}, "application/cloudevents+json"),
        ({"content-type": "application/cloudevents"}, "application/cloudevents+json"),
        ({"content-type": "application/cloudevents-batch+avro"}, "application/cloudevents-batch+json"),
        (BINARY | {"content-type": "text/xml"}, "has to be JSON, this one's is text/xml"),
        (BINARY | {"content-type": "application/octet-stream"}, "has to be JSON"),
        (BINARY | {"content-encoding": "gzip"}, "without content-encoding"),
    ],
)
def test_what_is_not_json_is_refused_before_it_is_read(headers: dict[str, str], said: str) -> None:
    with pytest.raises(HttpProblem, match=re.escape(said)) as refused:
        check_headers(headers)
    assert refused.value.status == 415


def test_the_three_modes_say_the_same() -> None:
    expected = IncomingEvent(
        name="com.example.someevent", data={"n": 1}, id="A234-1234-1234", source="cloudevents//mycontext/subcontext"
    )
    assert binary() == structured() == expected
    assert read_posted(BINARY, b'{"n": 1}').items == (expected,)
    assert read_posted(STRUCTURED, json.dumps(EVENT).encode()).items == (expected,)
    posted = read_posted(BATCH, json.dumps([EVENT]).encode())
    assert (posted.items, posted.is_list) == ((expected,), True)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("com.github.pull_request.opened", "com.github.pull_request.opened"),
        ("shop/order.placed", "shop/order.placed"),
        ("Microsoft.Storage.BlobCreated", "microsoft.storage.blobcreated"),
        ("order", "order"),
    ],
)
def test_the_type_is_the_name_in_lower_case(sent: str, name: str) -> None:
    assert binary(ce_type=sent).name == structured(type=sent).name == name


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("a%2525", "a%25"),
        ("a%22b%22", 'a"b"'),
        ('"a b"', "a b"),
        (r'"a\"b\\c"', r'a"b\c'),
        ('"%E2%82%AC"', "€"),
        ("  plain  ", "plain"),
        ("a,b;c=(d)", "a,b;c=(d)"),
    ],
)
def test_headers_are_unquoted_and_decoded_once(header: str, text: str) -> None:
    assert binary(ce_subject=header).user == {"subject": text}


@given(st.text(min_size=1, max_size=50).filter(lambda text: text.isprintable()))
def test_what_a_sender_encodes_is_read_as_it_was(text: str) -> None:
    assert binary(ce_subject=quote(text, safe="")).user == {"subject": text}


@pytest.mark.parametrize(("header", "said"), [("100%", "stands for itself as %25"), ("%FF", "no percent-encoded UTF-8"), ("\xff", "no percent-encoded")])  # fmt: skip
def test_headers_that_are_not_encoded_right_are_refused(header: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        binary(ce_subject=header)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2018-04-05T17:31:00Z", 1_522_949_460_000),
        ("2018-04-05T17:31:00.123456789Z", 1_522_949_460_123),
        ("2018-04-05T19:31:00+02:00", 1_522_949_460_000),
    ],
)
def test_the_time_is_the_senders(text: str, ms: int) -> None:
    assert binary(ce_time=text).time_ms == structured(time=text).time_ms == ms


def test_subject_and_extensions_are_kept_and_the_trace_is_no_part_of_them() -> None:
    event = structured(
        subject="orders/17", dataschema="https://example.com/o.json", region="eu", retries=3, urgent=True,
        traceparent=PARENT, tracestate="a=1", comexampleempty=None,
    )  # fmt: skip
    assert event.user == {
        "subject": "orders/17", "dataschema": "https://example.com/o.json", "region": "eu", "retries": 3, "urgent": True,
    }  # fmt: skip
    assert event.trace == Trace(TRACE, SPAN, sampled=True, state="a=1")
    assert binary(ce_traceparent=PARENT).trace == Trace(TRACE, SPAN, sampled=True)
    assert binary(ce_traceparent="00-x").trace is None


def test_an_events_own_trace_comes_before_that_of_its_request() -> None:
    other = f"00-{'1' * 32}-{SPAN}-00"
    bare = read_posted(BINARY | {"traceparent": other}, b"{}").items[0]
    own = read_posted(BINARY | {"traceparent": other, "ce-traceparent": PARENT}, b"{}").items[0]
    assert isinstance(bare, IncomingEvent)
    assert isinstance(own, IncomingEvent)
    assert (bare.trace, own.trace) == (Trace("1" * 32, SPAN), Trace(TRACE, SPAN, sampled=True))


@pytest.mark.parametrize(
    ("more", "data"),
    [
        ({"data": [1, "a"]}, [1, "a"]),
        ({"data": None}, None),
        ({"datacontenttype": "application/vnd.x+json", "data": 7}, 7),
        ({"datacontenttype": "text/json", "data": 7}, 7),
    ],
)
def test_data_of_any_json_is_taken(more: dict[str, Any], data: Any) -> None:
    assert structured(**more).data == data


def test_data_may_be_packed_as_base64_when_it_is_json() -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    packed = base64.b64encode(b'{"n": 2}').decode()
    assert cloudevents.from_json(event | {"data_base64": packed}).data == {"n": 2}
    assert cloudevents.from_json(event).data == {}
    assert binary(b"").data == {}


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"specversion": 1}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"id": 7}, "id"),
        ({"source": ""}, "source"),
        ({"source": "x" * 501}, "source"),
        ({"type": None}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2018-04-05T17:31:00"}, "time"),
        ({"time": 1522949460}, "time"),
        ({"Region": "eu"}, "Region"),
        ({"a_b": "eu"}, "a_b"),
        ({"region": 1.5}, "region"),
        ({"region": ["eu"]}, "region"),
        ({"region": 2**31}, "region"),
        ({"datacontenttype": "text/plain"}, "datacontenttype"),
        ({"datacontenttype": 7}, "datacontenttype"),
        ({"data_base64": "e30="}, "data_base64"),
    ],
)
def test_an_event_that_is_none_says_where(more: dict[str, Any], where: str) -> None:
    with pytest.raises(DataError) as refused:
        structured(**more)
    assert [failure.path for failure in refused.value.failures] == [where]


@pytest.mark.parametrize("packed", ["not base64!", "AAA", 7, base64.b64encode(b"\x00\x01").decode()])
def test_packed_data_that_is_no_json_is_refused(packed: Any) -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    with pytest.raises(DataError, match="data_base64"):
        cloudevents.from_json(event | {"data_base64": packed})


def test_a_batch_is_answered_one_by_one() -> None:
    posted = read_posted(BATCH, json.dumps([EVENT, EVENT | {"id": ""}, 7]).encode())
    assert [type(item) for item in posted.items] == [IncomingEvent, DataError, DataError]
    with pytest.raises(DataError, match="is a list"):
        read_posted(BATCH, json.dumps(EVENT).encode())
    with pytest.raises(DataError, match="is an object"):
        read_posted(STRUCTURED, json.dumps([EVENT]).encode())


@given(
    st.dictionaries(st.sampled_from([*BINARY, "ce-time", "ce-x", "ce-traceparent"]), st.text(alphabet=st.characters(max_codepoint=255), max_size=40)),
    st.binary(max_size=60),
)  # fmt: skip
def test_no_request_is_too_strange(headers: dict[str, str], body: bytes) -> None:
    try:
        check_headers(headers)
        read_posted(headers, body)
    except FlowError:
        pass
