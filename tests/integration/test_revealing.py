"""Sensitive data over HTTP: hidden from everybody, shown to a key that grants it and asks, and each time recorded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from flowlang import Client
from flowlang.cli.logs import set_up_logs
from flowlang.client import RefusedError
from flowlang.client.direct import DirectTransport
from flowlang.plan import EventSchema, EventTrigger, Manifest
from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from flowlang.service import IncomingEvent
from flowlang.settings import Settings
from tests.access import DEV_TOKEN, audited, bearer, developing, made
from tests.unit.service.test_service import finish
from tests.unit.service.world import World, plan

SCHEMA = {"properties": {"email": {"type": "string", "x-sensitive": True}, "sku": {"type": "string"}}}
EMAIL, SKU = "zoe@example.com", "sku-1"
PLANS = (
    plan("mail", triggers=(EventTrigger(("shop/mailed",)),)),
    plan("count", triggers=(EventTrigger(("shop/mailed", "shop/counted")),)),
    plan("other"),
    plan("never", triggers=(EventTrigger(("shop/mailed",), condition="event.data.email == ''"),)),
)
SCHEMAS = tuple(EventSchema(name, SCHEMA) for name in ("shop/mailed", "shop/counted", "shop/unheard"))
MANIFEST = Manifest("t", {each.pipeline: each.digest for each in PLANS}, events=SCHEMAS)


class Site:
    """A served project with an event that started two pipelines, and one that started none."""

    def __init__(self) -> None:
        self.world = World(deployed=False)
        self.service = self.world.service
        self.service.deploy(MANIFEST, PLANS)
        data = {"email": EMAIL, "sku": SKU}
        self.event, self.counted, self.unheard = (
            answer.event for answer in self.service.ingest([IncomingEvent(each.name, data) for each in SCHEMAS])
        )
        self.runs = {run.pipeline: run.id for run in self.service.runs() if run.event == self.event}
        self.server = HttpServer(create_app(self.service, secrets={}, keys=developing(self.world.store)), port=0)
        self.server.start()

    def get(self, path: str, key: str) -> httpx.Response:
        return httpx.get(f"{self.server.url}{path}", headers=bearer(key), trust_env=False)

    def key(self, name: str = "support", **grants: Any) -> str:
        return made(self.world.store, name, **grants)


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.server.stop()


@pytest.fixture
def trail() -> Iterator[list[dict[str, str]]]:
    with audited() as found:
        yield found


def test_nobody_sees_what_is_marked_without_asking_for_it(site: Site, trail: list[dict[str, str]]) -> None:
    for key in (DEV_TOKEN, site.key(read=("*",), reveal=("*",))):
        for path in (f"/runs/{site.runs['mail']}", f"/events/{site.event}", f"/events/{site.unheard}"):
            for query in ("", "?reveal=false"):
                answer = site.get(f"{path}{query}", key)
                assert (answer.status_code, EMAIL in answer.text, SKU in answer.text) == (200, False, True)
    assert trail == []


#: Grants → what they see with `?reveal=true`: a run of `mail`, its event, an event that started `count` alone, and one
#: that started nothing.
SEEN: tuple[tuple[dict[str, Any], tuple[int, int, int, int]], ...] = (
    ({"read": ("*",)}, (403, 403, 403, 403)),
    ({"admin": True}, (403, 403, 403, 403)),
    ({"read": ("*",), "reveal": ("mail",)}, (200, 200, 403, 403)),
    ({"read": ("*",), "reveal": ("count",)}, (403, 200, 200, 403)),
    ({"read": ("*",), "reveal": ("other",)}, (403, 403, 403, 403)),
    ({"read": ("mail",), "reveal": ("mail",)}, (200, 200, 404, 404)),
    ({"read": ("other",), "reveal": ("other",)}, (404, 404, 404, 404)),
    ({"read": ("*",), "reveal": ("*",)}, (200, 200, 200, 200)),
    ({"admin": True, "reveal": ("*",)}, (200, 200, 200, 200)),
    ({"admin": True, "reveal": ("mail",)}, (200, 200, 403, 403)),
)


@pytest.mark.parametrize(("grants", "statuses"), SEEN)
def test_who_sees_what_is_marked_and_what_is_recorded_of_it(
    site: Site, trail: list[dict[str, str]], grants: dict[str, Any], statuses: tuple[int, ...]
) -> None:
    key = site.key(**grants)
    (row,) = site.world.store.api_keys().values()
    asked = [("run", site.runs["mail"]), ("event", site.event), ("event", site.counted), ("event", site.unheard)]
    answers = [site.get(f"/{kind}s/{ident}?reveal=true", key) for kind, ident in asked]
    assert tuple(answer.status_code for answer in answers) == statuses
    assert [EMAIL in answer.text for answer in answers] == [status == 200 for status in statuses]
    assert trail == [
        {"audit": "reveal", "key": "support", "key_id": row.id, kind: ident}
        for (kind, ident), status in zip(asked, statuses, strict=True)
        if status == 200
    ]
    for answer in answers:
        if answer.status_code == 403:
            assert answer.json()["code"] == "key.scope"
            assert "the key 'support' does not grant to see sensitive data (`--reveal`) of" in answer.json()["detail"]


@pytest.mark.parametrize("value", ["1", "yes", "True", "", "true&reveal=true"])
@pytest.mark.parametrize("place", ["runs", "events"])
def test_what_is_neither_true_nor_false_reveals_nothing(site: Site, place: str, value: str) -> None:
    ident = site.runs["mail"] if place == "runs" else site.event
    answer = site.get(f"/{place}/{ident}?reveal={value}", DEV_TOKEN)
    assert (answer.status_code, answer.json()["code"], EMAIL in answer.text) == (422, "parameters", False)


def test_a_client_shows_what_it_is_asked_to_show_over_http_and_directly(
    site: Site, trail: list[dict[str, str]]
) -> None:
    run = site.runs["mail"]
    support, plain = site.key(read=("*",), reveal=("mail",)), site.key("plain", read=("*",))
    clients = (
        Client(site.server.url, api_key=support),
        Client("redis://unused", transport=DirectTransport("", site.service)),
    )
    for client in clients:
        with client:
            assert client.run(run).event["data"]["email"] == "***"
            assert client.run(run, reveal=True).event["data"]["email"] == EMAIL
    assert [(each["key"], each["run"]) for each in trail] == [("support", run), ("operator", run)]
    with Client(site.server.url, api_key=plain) as client:
        for ask in (client.run, client.wait):
            with pytest.raises(RefusedError, match=r"`--reveal`\) of mail"):
                ask(run, reveal=True)


#: Grants → what they get of the letter of an event that triggers of `mail` and `count` could not decide about, hidden
#: and revealed, and the pipelines that it names them.
LETTER: tuple[tuple[dict[str, Any], tuple[int, int], set[str]], ...] = (
    ({"read": ("*",)}, (200, 403), {"mail", "count"}),
    ({"admin": True}, (200, 403), {"mail", "count"}),
    ({"read": ("mail",)}, (200, 403), {"mail"}),
    ({"read": ("other",)}, (404, 404), set()),
    ({"read": ("mail", "other"), "reveal": ("other",)}, (200, 403), {"mail"}),
    ({"read": ("mail",), "reveal": ("mail",)}, (200, 200), {"mail"}),
    ({"read": ("*",), "reveal": ("count",)}, (200, 200), {"mail", "count"}),
)


@pytest.mark.parametrize(("grants", "statuses", "pipelines"), LETTER)
def test_a_dead_letter_is_shown_and_revealed_to_those_whose_it_is(
    site: Site, trail: list[dict[str, str]], grants: dict[str, Any], statuses: tuple[int, int], pipelines: set[str]
) -> None:
    broken = tuple(
        plan(name, triggers=(EventTrigger(("shop/mailed",), condition="int(event.data.email) > 0"),))
        for name in ("mail", "count")
    )
    manifest = msgspec.structs.replace(MANIFEST, pipelines={each.pipeline: each.digest for each in broken})
    site.service.deploy(manifest, broken)
    (sent,) = site.service.ingest([IncomingEvent("shop/mailed", {"email": EMAIL, "sku": SKU})])
    assert sent.status == "dead_letter"
    key = site.key(**grants)
    listed = site.get("/dead-letters?name=shop/mailed", key).json()
    assert [letter["id"] for letter in listed["dead_letters"]] == ([sent.event] if statuses[0] == 200 else [])
    hidden, revealed = (site.get(f"/dead-letters/{sent.event}{query}", key) for query in ("", "?reveal=true"))
    assert (hidden.status_code, revealed.status_code) == statuses
    assert (EMAIL in hidden.text, EMAIL in revealed.text) == (False, statuses[1] == 200)
    assert [each["dead_letter"] for each in trail] == ([sent.event] if statuses[1] == 200 else [])
    for answer in (hidden, revealed):
        if answer.status_code == 200:
            assert {problem["pipeline"] for problem in answer.json()["event"]["problems"]} == pipelines
            assert answer.json()["event"]["event"]["data"]["sku"] == SKU


def test_a_dead_letter_that_an_operator_reveals_is_recorded_too(site: Site, trail: list[dict[str, str]]) -> None:
    letter = finish(site.world, "failed")
    site.service.dead_letter(letter)
    site.service.dead_letter(letter, reveal=True)
    assert trail == [{"audit": "reveal", "key": "operator", "dead_letter": letter}]


@pytest.mark.parametrize("level", ["debug", "error"])
def test_the_trail_is_written_whatever_is_logged_besides(
    site: Site, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, its = root.handlers[:], root.level
    try:
        set_up_logs(Settings.from_env({"FLOWLANG_LOG": "json", "FLOWLANG_LOG_LEVEL": level}))
        site.service.run(site.runs["mail"], reveal=True)
    finally:
        root.handlers[:] = before
        root.setLevel(its)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "flowlang.audit" in line)
    told = msgspec.json.decode(line)
    assert (told["audit"], told["key"], told["run"]) == ("reveal", "operator", site.runs["mail"])
    assert EMAIL not in line
