"""Clients inside web frameworks: small applications of each, against a served project."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import django
import httpx
import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.test import Client as DjangoBrowser
from django.test.utils import override_settings
from django.urls import path
from fastapi import Depends, FastAPI
from flask import Flask

from flowlang import AsyncClient
from flowlang.client import flask as flow_flask
from flowlang.client.fastapi import FlowLang
from flowlang.errors import ConfigError
from flowlang.jsondata import JsonError
from tests.access import DEV_TOKEN
from tests.integration.test_clients import Site, served, site
from tests.unit.service.world import ORDER

__all__ = ["served", "site"]


def kept(site: Site) -> list[Any]:
    """The data of the events that have started a run."""
    return [site.service.run(run.id).event.data for run in site.service.runs()]


# Django --------------------------------------------------------------------------------------------------------------


def order(request: HttpRequest) -> JsonResponse:
    """A view: `after` is what happens in the transaction after the event was given."""
    after = request.GET.get("after", "")
    data = dict(ORDER)
    seen: list[int] = []
    with transaction.atomic():
        ident = django_client().send_on_commit("shop/order", data, id=request.GET.get("id"))
        data["order_id"] = "changed"
        seen.append(len(kept(urlconf.site)))
        transaction.set_rollback(after == "undo")
    return JsonResponse({"id": ident, "seen": seen[0]})


class urlconf:  # noqa: N801 - Django takes any object with this attribute as a module of URLs
    """The URLs of the application, and the site that it sends to."""

    urlpatterns = (path("order", order),)
    site: Site


def django_client() -> Any:
    """The integration, imported once Django is configured."""
    from flowlang.client import django as integration  # noqa: PLC0415 - see above

    return integration


@pytest.fixture
def shop(site: Site) -> Iterator[DjangoBrowser]:
    """A Django application with a database, in this process."""
    if not django_settings.configured:
        django_settings.configure(
            DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
            ALLOWED_HOSTS=["testserver"],
            ROOT_URLCONF=urlconf,
            SECRET_KEY="x",
        )
        django.setup()
    urlconf.site = site
    django_client()
    with override_settings(FLOWLANG_URL=site.server.url, FLOWLANG_API_KEY=DEV_TOKEN):
        yield DjangoBrowser()


def test_django_sends_an_event_when_the_transaction_is_committed(site: Site, shop: DjangoBrowser) -> None:
    answer = shop.get("/order?id=o-1").json()
    assert answer == {"id": "o-1", "seen": 0}
    assert kept(site) == [ORDER]
    assert shop.get("/order?id=o-1").json()["seen"] == 1
    assert kept(site) == [ORDER]


def test_django_sends_nothing_when_the_transaction_is_undone(site: Site, shop: DjangoBrowser) -> None:
    assert shop.get("/order?after=undo").json()["seen"] == 0
    assert kept(site) == []


def test_django_sends_at_once_outside_a_transaction_and_refuses_what_is_no_json(
    site: Site, shop: DjangoBrowser
) -> None:
    ident = django_client().send_on_commit("shop/order", ORDER)
    assert len(ident) == 32
    assert kept(site) == [ORDER]
    with pytest.raises(JsonError):
        django_client().send_on_commit("shop/order", {"at": object()})


def test_django_says_which_setting_is_missing(site: Site, shop: DjangoBrowser) -> None:
    first = django_client().client()
    assert django_client().client() is first
    with override_settings(FLOWLANG_URL=""), pytest.raises(ImproperlyConfigured, match="set FLOWLANG_URL"):
        django_client().client()
    assert django_client().client() is not first


# FastAPI -------------------------------------------------------------------------------------------------------------


def test_fastapi_gives_routes_a_client_that_lives_as_long_as_the_application(site: Site) -> None:
    flow = FlowLang(site.server.url, api_key=DEV_TOKEN)
    app = FastAPI(lifespan=flow.lifespan)
    given: Any = Depends(flow)

    @app.post("/order")
    async def order(client: AsyncClient = given) -> dict[str, str]:
        sent = await client.send("shop/order", ORDER)
        return {"status": sent.status}

    async def ask() -> list[Any]:
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as http,
        ):
            return [(await http.post("/order")).json() for _ in range(2)]

    assert asyncio.run(ask()) == [{"status": "accepted"}] * 2
    assert len(kept(site)) == 1  # the second one has the idempotency key of the first run
    with pytest.raises(ConfigError, match=r"lifespan=flow\.lifespan"):
        flow()


# Flask ---------------------------------------------------------------------------------------------------------------


def test_flask_gives_requests_the_client_of_their_application(site: Site) -> None:
    flow = flow_flask.FlowLang()
    app = Flask(__name__)
    app.config.update(FLOWLANG_URL=site.server.url, FLOWLANG_API_KEY=DEV_TOKEN)
    flow.init_app(app)

    @app.post("/order")
    def order() -> dict[str, str]:
        return {"status": flow.client.send("shop/order", ORDER, id="mine").status}

    browser = app.test_client()
    assert [browser.post("/order").json for _ in range(2)] == [{"status": "accepted"}, {"status": "duplicate"}]
    flow.close(app)
    assert browser.post("/order").json == {"status": "duplicate"}
    flow.close(app)
    assert kept(site) == [ORDER]


def test_flask_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="set FLOWLANG_URL"):
        flow_flask.FlowLang(Flask("bare"))
    with Flask("other").app_context(), pytest.raises(ConfigError, match="has no FlowLang"):
        _ = flow_flask.FlowLang().client


# None ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "not_loaded"),
    [
        ("from flowlang import Client; Client('http://127.0.0.1:9')", ["redis", "dramatiq", "pydantic", "fastapi", "starlette", "django", "flask"]),
        ("import flowlang.client", ["httpx", "redis", "dramatiq", "pydantic", "fastapi", "starlette", "django", "flask"]),
        ("import flowlang.client.fastapi", ["fastapi", "starlette", "redis", "django", "flask"]),
    ],
)  # fmt: skip
def test_a_client_loads_only_what_it_uses(statement: str, not_loaded: list[str]) -> None:
    program = f"import sys; {statement}; print([m for m in {not_loaded!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
