"""Senders that know nothing of us, with their own libraries, against a served project on a real server."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import inngest
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent as EarlierCloudEvent

from flowlang import bootstrap
from flowlang.plan import EventTrigger
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from flowlang.service import Service
from flowlang.settings import Settings
from tests.access import DEV_TOKEN, bearer, developing, made
from tests.unit.service.world import manifest, plan

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
PLANS = (
    plan("placed", triggers=(EventTrigger(("shop/order.placed",)),)),
    plan("pushed", triggers=(EventTrigger(("com.example.push",)),)),
    plan("bare", triggers=(EventTrigger(("welcome",)),)),
)


class Site:
    """A served project, and what it has taken."""

    def __init__(self, service: Service) -> None:
        service.deploy(manifest(*PLANS), PLANS)
        self.service = service
        self.server = HttpServer(create_app(service, secrets={}, keys=developing(service.store)), port=0)
        self.server.start()

    def post(self, headers: Any, body: bytes) -> dict[str, Any]:
        response = httpx.post(
            f"{self.server.url}/events", headers=dict(headers) | bearer(), content=body, trust_env=False
        )
        assert response.status_code == 202, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def runs(self, pipeline: str) -> list[str]:
        return [run.id for run in self.service.runs(pipeline=pipeline)]

    def event_of(self, run: str) -> Any:
        return self.service.run(run).event


@pytest.fixture
def site(redis_url: str) -> Iterator[Site]:
    with bootstrap.open_service(Settings.from_env({"FLOWLANG_REDIS_URL": redis_url})) as service:
        served = Site(service)
        yield served
        served.server.stop()


@pytest.fixture
def sender(site: Site) -> Iterator[inngest.Inngest]:
    client = inngest.Inngest(app_id="shop", event_api_base_url=site.server.url, event_key=DEV_TOKEN, is_production=True)
    yield client
    client._http_client._http_client_sync.close()  # it does not close by itself, and warnings are errors here


# Inngest -------------------------------------------------------------------------------------------------------------


def test_an_inngest_client_sends_and_each_event_starts_a_run(site: Site, sender: inngest.Inngest) -> None:
    events = [
        inngest.Event(name="shop/order.placed", data={"n": 1}, id="o-1", ts=1_522_949_460_000),
        inngest.Event(name="welcome", data={"n": 2}),
    ]
    ids = sender.send_sync(events)

    assert [site.service.event(each).name for each in ids] == ["shop/order.placed", "welcome"]
    (placed,), (bare,) = site.runs("placed"), site.runs("bare")
    event = site.event_of(placed)
    assert (event.id, event.data, event.time) == ("o-1", {"n": 1}, "2018-04-05T17:31:00.000Z")
    assert site.event_of(bare).data == {"n": 2}


def test_an_inngest_client_needs_no_change_but_two_variables(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_EVENT_API_BASE_URL", site.server.url)
    monkeypatch.setenv("INNGEST_EVENT_KEY", DEV_TOKEN)
    client = inngest.Inngest(app_id="shop")
    try:
        assert len(client.send_sync(inngest.Event(name="welcome"))) == 1
    finally:
        client._http_client._http_client_sync.close()
    assert len(site.runs("bare")) == 1


def test_an_inngest_client_sends_from_a_coroutine(site: Site, sender: inngest.Inngest) -> None:
    async def send() -> list[str]:
        try:
            return await sender.send(inngest.Event(name="shop/order.placed", data={"n": 3}))
        finally:
            await sender._http_client._http_client.aclose()

    ids = asyncio.run(send())

    assert len(ids) == 1
    assert [site.event_of(run).data for run in site.runs("placed")] == [{"n": 3}]


def test_an_inngest_client_that_sends_an_event_again_makes_no_second_run(site: Site, sender: inngest.Inngest) -> None:
    event = inngest.Event(name="shop/order.placed", data={}, id="o-1")

    assert sender.send_sync(event) == sender.send_sync(event)
    assert len(site.runs("placed")) == 1


def test_a_request_of_an_inngest_client_that_is_sent_again_makes_no_second_run(
    site: Site, sender: inngest.Inngest
) -> None:
    request = sender._build_send_request([inngest.Event(name="shop/order.placed", data={})])
    assert isinstance(request, httpx.Request)
    with httpx.Client(trust_env=False) as http:
        first, again = http.send(request).json(), http.send(request).json()

    assert first == again
    assert first["status"] == 200
    assert len(site.runs("placed")) == 1


def test_an_inngest_client_is_told_what_was_not_taken(site: Site, sender: inngest.Inngest) -> None:
    events = [inngest.Event(name="shop/order.placed"), inngest.Event(name="pipeline/placed.failed")]

    with pytest.raises(Exception, match=r"1 of 2 not taken: event 1: pipeline/placed\.failed is sent") as refused:
        sender.send_sync(events)

    assert type(refused.value).__name__ == "SendEventsError"
    assert len(refused.value.ids) == len(site.runs("placed")) == 1  # type: ignore[attr-defined]


def test_an_inngest_client_is_told_when_all_of_it_is_refused(site: Site) -> None:
    refused = httpx.post(f"{site.server.url}/e/{DEV_TOKEN}", content=b"{", headers={"content-type": "text/plain"})

    assert refused.status_code == 415
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["ids"], refused.json()["error"]) == ([], refused.json()["detail"])


def test_an_inngest_client_with_a_key_that_may_not_is_told_so(site: Site) -> None:
    for key, said in [("x" * 20, "no valid API key"), (made(site.service.store, send=("other/*",)), "does not grant")]:
        client = inngest.Inngest(app_id="shop", event_api_base_url=site.server.url, event_key=key, is_production=True)
        with pytest.raises(Exception, match=said) as refused:
            client.send_sync(inngest.Event(name="shop/order.placed"))
        client._http_client._http_client_sync.close()
        assert type(refused.value).__name__ == "SendEventsError"
    assert site.runs("placed") == []


def test_the_key_in_the_path_is_in_no_log_whatever_goes_wrong(
    site: Site, sender: inngest.Inngest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(site.service, "take", broken)
    with caplog.at_level(logging.DEBUG, "flowlang"), httpx.Client(trust_env=False) as http:
        failed = http.post(f"{site.server.url}/e/{DEV_TOKEN}", json={"name": "welcome"})
        http.post(f"{site.server.url}/e/{DEV_TOKEN}", content=b"{", headers={"content-type": "application/json"})
        http.post(f"{site.server.url}/e/{DEV_TOKEN}x", json={"name": "welcome"})
    assert (failed.status_code, failed.json()["error"]) == (500, "Internal Server Error")
    ours = [record for record in caplog.records if record.name.startswith("flowlang")]
    assert "request failed: POST /e/{key}" in [record.getMessage() for record in ours]
    assert not any(DEV_TOKEN in f"{record.getMessage()} {record.exc_text}" for record in ours)


# CloudEvents ---------------------------------------------------------------------------------------------------------


def pushed(n: int, **more: str) -> CloudEvent:
    attributes = {"type": "com.example.push", "source": "/repos/ours", "id": f"push-{n}", **more}
    return CloudEvent(attributes, {"n": n})


def test_the_sdk_delivers_in_binary_mode(site: Site) -> None:
    message = to_binary_event(pushed(1, subject="Grüße 100%", traceparent=PARENT, datacontenttype="application/json"))
    answer = site.post(message.headers, message.body)

    assert answer["status"] == "accepted"
    (run,) = site.runs("pushed")
    event = site.event_of(run)
    assert (event.id, event.source, event.data) == ("push-1", "cloudevents//repos/ours", {"n": 1})
    assert event.user == {"subject": "Grüße 100%"}
    assert event.trace.trace == TRACE
    assert site.post(message.headers, message.body)["status"] == "duplicate"


def test_the_sdk_delivers_in_structured_mode(site: Site) -> None:
    message = to_structured_event(pushed(2, subject="main"))
    site.post(message.headers, message.body)

    (run,) = site.runs("pushed")
    event = site.event_of(run)
    assert (event.id, event.user, event.data) == ("push-2", {"subject": "main"}, {"n": 2})


def test_the_sdks_events_are_delivered_as_a_batch(site: Site) -> None:
    events = [json.loads(JSONFormat().write(pushed(n))) for n in (1, 2, 3)]
    answers = site.post({"content-type": "application/cloudevents-batch+json"}, json.dumps(events).encode())

    assert [answer["status"] for answer in answers["events"]] == ["accepted"] * 3
    assert sorted(site.event_of(run).data["n"] for run in site.runs("pushed")) == [1, 2, 3]


@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_the_sdk_of_before_delivers_too(site: Site, write: Any) -> None:
    event = EarlierCloudEvent({"type": "com.example.push", "source": "urn:x:y", "id": "p1"}, {"n": 1})
    headers, body = write(event)
    site.post(headers, body)

    (run,) = site.runs("pushed")
    assert site.event_of(run).data == {"n": 1}


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_a_producer_that_can_send_no_header_shows_its_key_in_the_path(site: Site, write: Any) -> None:
    message = write(pushed(1, datacontenttype="application/json"))
    url = f"{site.server.url}/e/{DEV_TOKEN}"
    answers = [httpx.post(url, headers=message.headers, content=message.body, trust_env=False) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert [answer.json()["status"] for answer in answers] == ["accepted", "duplicate"]
    assert len(site.runs("pushed")) == 1


def test_a_list_of_an_inngest_client_has_room_for_the_keys_of_its_events(site: Site) -> None:
    data = {str(number): 0 for number in range(6_000)}
    events = [{"name": "welcome", "data": data}, {"name": "welcome", "data": data}]
    answer = httpx.post(f"{site.server.url}/e/{DEV_TOKEN}", json=events, trust_env=False).json()

    assert (answer["status"], len(answer["ids"])) == (200, 2)


def test_events_of_two_sources_with_one_id_are_two(site: Site) -> None:
    for source in ("/a", "/b"):
        message = to_structured_event(CloudEvent({"type": "com.example.push", "source": source, "id": "1"}, {}))
        site.post(message.headers, message.body)

    assert len(site.runs("pushed")) == 2


# Before a sender of CloudEvents sends ----------------------------------------------------------------------------------

ASKING = {"webhook-request-origin": "events.example.com", "webhook-request-rate": "120"}


def asked(site: Site, path: str, key: str | None, headers: dict[str, str]) -> httpx.Response:
    sent = headers | ({} if key is None else bearer(key))
    return httpx.options(f"{site.server.url}{path}", headers=sent, trust_env=False)


def test_a_sender_that_asks_first_is_let_in_and_then_sends_under_its_name(site: Site) -> None:
    key = made(site.service.store, "grid", send=("com.example.push",), rate="10/s")
    for path, sent in ((f"/e/{key}", None), ("/events", key)):
        answer = asked(site, path, sent, ASKING)
        told = {name: answer.headers.get(name) for name in ("webhook-allowed-origin", "webhook-allowed-rate", "allow")}
        assert (answer.status_code, answer.content) == (200, b"")
        assert told == {
            "webhook-allowed-origin": "events.example.com", "webhook-allowed-rate": "600", "allow": "POST",
        }  # fmt: skip
        event = CloudEvent({"type": "com.example.push", "source": f"/grid{path[:7]}", "id": "1"}, {"n": 1})
        message = to_structured_event(event, JSONFormat())
        headers = dict(message.headers) | {"origin": "events.example.com"} | ({} if sent is None else bearer(sent))
        response = httpx.post(f"{site.server.url}{path}", headers=headers, content=message.body, trust_env=False)
        assert (response.status_code, response.json()["status"]) == (202, "accepted")
    assert len(site.runs("pushed")) == 2
    assert asked(site, "/events", DEV_TOKEN, ASKING).headers["webhook-allowed-rate"] == "*"


def test_nobody_is_expected_without_a_key_that_may_send(site: Site) -> None:
    reader = made(site.service.store, "reader", read=("*",))
    cases = [
        ("/events", None, 401),
        ("/events", reader, 403),
        ("/e/nobody", None, 401),
        (f"/e/{reader}", None, 403),
        ("/runs", DEV_TOKEN, 405),
        ("/hooks/stripe", DEV_TOKEN, 405),
        ("/nothing", DEV_TOKEN, 404),
    ]
    for path, key, status in cases:
        answer = asked(site, path, key, ASKING)
        assert (path, answer.status_code) == (path, status)
        assert not [name for name in answer.headers if name.startswith("webhook-")]


@pytest.mark.parametrize(
    "headers", [{}, {"webhook-request-rate": "120"}, {"webhook-request-callback": "https://a.example"}]
)
def test_who_gives_no_name_asks_for_a_method_that_is_not_there(site: Site, headers: dict[str, str]) -> None:
    for path in ("/events", f"/e/{DEV_TOKEN}"):
        for key in (None, DEV_TOKEN):
            answer = asked(site, path, key, headers)
            assert (answer.status_code, answer.content, answer.headers["allow"]) == (405, b"", "POST")


def test_a_name_that_is_none_is_refused(site: Site) -> None:
    answer = asked(site, "/events", DEV_TOKEN, ASKING | {"webhook-request-origin": "https://a.example"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "header.webhook-request-origin")


def test_the_address_that_a_sender_wants_to_be_called_at_is_not_called(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as callback:
        url = f"http://127.0.0.1:{callback.getsockname()[1]}/confirm?id=1"
        for origin in ("events.example.com", "none"):
            asked(site, "/events", DEV_TOKEN, {"webhook-request-origin": origin, "webhook-request-callback": url})
        site.server.stop()  # all that the server would do is done
        callback.settimeout(0)
        with pytest.raises(BlockingIOError):
            callback.accept()
