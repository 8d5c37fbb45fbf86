"""The shipped handlers against the stand-in: what they make of answers, and what becomes of trouble."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import flowlang
from flowlang import Context, Permanent
from flowlang.handler.discover import discover
from handlers import academy, client, mail, mux, search, slack, stripe, transcripts
from tests.standin import Fault, Standin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


def call(standin: Standin, handler: Any, key: str = "k", **arguments: Any) -> Any:
    """Call a handler like a worker, with a client that lives as long as the call."""

    async def attempt() -> Any:
        async with httpx.AsyncClient() as http:
            environment = standin.environment()
            ctx = Context.for_test(
                env=environment, secrets=environment, idempotency_key=key, resources={client.http: http}
            )
            return await handler(**arguments, ctx=ctx)

    return asyncio.run(attempt())


def test_all_handlers_are_found_and_declare_their_effect() -> None:
    found = discover(ROOT, entry_points=False)
    assert found.problems == ()
    assert {"mux.create_asset", "slack.post", "stripe.customer"} <= set(found.registry)
    assert [name for name, definition in found.registry.items() if definition.effect is None] == []


def test_handlers_use_the_public_face_alone() -> None:
    taken = set()
    for path in (ROOT / "handlers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flowlang"):
                assert node.module == "flowlang", f"{path.name} imports {node.module}"
                taken |= {name.name for name in node.names}
    assert taken <= set(flowlang.__all__)
    assert "handler" in taken


# ---- Stripe


def test_a_session_is_told_with_what_was_bought_and_the_charge(standin: Standin) -> None:
    session = call(standin, stripe.checkout_session, session_id="cs_course")
    assert session == stripe.CheckoutSession(
        id="cs_course",
        email="grace@example.com",
        customer_name="Grace",
        customer_id="cus_grace",
        charge_id="ch_course",
        line_items=[stripe.LineItem(price_id="price_rust", product_id="prod_rust_course", quantity=1)],
    )


def test_a_guest_has_no_customer_id(standin: Standin) -> None:
    assert call(standin, stripe.checkout_session, session_id="cs_lifetime_guest").customer_id is None


def test_a_deleted_customer_is_a_permanent_error_of_its_own(standin: Standin) -> None:
    with pytest.raises(Permanent) as raised:
        call(standin, stripe.customer, customer_id="cus_gone")
    assert raised.value.code == "customer.deleted"


def test_all_pages_of_subscriptions_are_read(standin: Standin) -> None:
    many = [{"id": f"sub_{n}", "customer": "cus_grace"} for n in range(stripe.PAGE + 1)]
    standin.seed({"stripe": {"subscriptions": many}})
    found = call(standin, stripe.active_subscriptions, customer_id="cus_grace")
    assert [item.id for item in found] == [item["id"] for item in many]
    assert len(standin.calls("stripe.subscriptions")) == 2


def test_a_subscription_that_is_cancelled_already_is_as_wanted(standin: Standin) -> None:
    results = [call(standin, stripe.cancel_subscription, key, subscription_id="sub_ada_team") for key in ("a", "b")]
    assert [result.status for result in results] == ["canceled", "canceled"]
    assert standin.stripe.state()["sub_ada_team"]["prorated"] is True
    assert [item.status for item in standin.calls("stripe.cancel_subscription")] == [200, 404]


# ---- the others


def test_an_asset_is_made_once_a_key_even_when_the_answer_was_lost(standin: Standin) -> None:
    standin.fail(Fault("mux.create_asset", reset=True, after=True))
    with pytest.raises(httpx.TransportError):
        call(standin, mux.create_asset, url="https://e.com/a.mp4", passthrough="a")
    asset = call(standin, mux.create_asset, url="https://e.com/a.mp4", passthrough="a")
    assert asset == mux.Asset(id="asset_1", status="preparing", playback_id="playback_1_public")
    assert list(standin.mux.state()) == ["asset_1"]


def test_a_module_that_does_not_exist_is_none(standin: Standin) -> None:
    assert call(standin, academy.module, slug="nothing") is None
    module = call(standin, academy.module, slug="async-python")
    assert module == academy.Module(id="mod_async-python", slug="async-python", title="Async Python")


def test_a_slug_cannot_reach_another_place_of_the_platform(standin: Standin) -> None:
    assert call(standin, academy.module, slug="../lessons?page=1#") is None
    assert [item.route for item in standin.calls()] == ["academy.module"]


def test_a_video_is_created_and_attached(standin: Standin) -> None:
    video = call(standin, academy.create_video, title="T", asset_id="a", playback_id="p")
    attachment = call(standin, academy.attach_video, module_slug="async-python", video_id=video.id)
    assert (video.state, attachment.position) == ("processing", 1)


def test_a_charge_grants_access_once(standin: Standin) -> None:
    grants = [call(standin, academy.grant_lifetime, email="a@e.com", name="A", charge_id="ch_1") for _ in range(2)]
    assert grants[0] == grants[1]
    assert len(standin.academy.state()["grants"]) == 1


def test_lessons_come_in_one_page_of_200(standin: Standin) -> None:
    listed = call(standin, academy.lessons)
    assert (len(listed.lessons), listed.total) == (200, 200)


def test_a_file_that_has_no_transcript_is_a_permanent_error_of_its_own(standin: Standin) -> None:
    with pytest.raises(Permanent) as raised:
        call(standin, transcripts.order, media_url="https://e.com/a.psd", reference="v")
    assert raised.value.code == "transcripts.unsupported_media"
    assert call(standin, transcripts.order, media_url="https://e.com/a.mp4", reference="v").status == "ordered"


def test_search_mail_and_slack_take_what_they_are_sent(standin: Standin) -> None:
    assert call(standin, search.notify, url="https://e.com/a") is None
    assert call(standin, mail.send, to="a@e.com", subject="s", text="t").id == "mail_1"
    assert call(standin, slack.post, channel="ops", text="t") is None
    assert [item.route for item in standin.calls()] == ["search.notify", "mail.send", "slack.post"]


def test_what_slack_refuses_is_permanent(standin: Standin) -> None:
    with pytest.raises(Permanent) as raised:
        call(standin, slack.post, channel="nowhere", text="t")
    assert raised.value.code == "slack.channel_not_found"


@pytest.mark.parametrize(
    ("handler", "arguments", "keyed"),
    [
        (mux.create_asset, {"url": "https://e.com/a.mp4"}, True),
        (academy.create_video, {"title": "T", "asset_id": "a", "playback_id": "p"}, True),
        (transcripts.order, {"media_url": "https://e.com/a.mp4", "reference": "v"}, True),
        (stripe.cancel_subscription, {"subscription_id": "sub_ada_team"}, True),
        (mail.send, {"to": "a@e.com", "subject": "s", "text": "t"}, True),
        (search.notify, {"url": "https://e.com/a"}, False),
        (slack.post, {"channel": "ops", "text": "t"}, False),
    ],
)
def test_a_handler_passes_the_key_on_exactly_when_it_says_so(
    standin: Standin, handler: Any, arguments: dict[str, Any], keyed: bool
) -> None:
    call(standin, handler, "the-key", **arguments)
    assert [item.key for item in standin.calls()] == ["the-key" if keyed else ""]
    assert (handler.__flowlang_handler__.effect == "keyed") == keyed


@pytest.mark.parametrize("status", [429, 503, 500, 403])
def test_refusals_reach_the_worker_as_they_are(standin: Standin, status: int) -> None:
    standin.fail(Fault("search.notify", status=status, retry_after=3))
    with pytest.raises(httpx.HTTPStatusError) as raised:
        call(standin, search.notify, url="https://e.com/a")
    assert raised.value.response.status_code == status
    assert raised.value.response.headers["Retry-After"] == "3"


def test_a_missing_setting_or_secret_is_said_by_its_name() -> None:
    async def attempt(env: dict[str, str], secrets: dict[str, str]) -> None:
        async with httpx.AsyncClient() as http:
            ctx = Context.for_test(env=env, secrets=secrets, resources={client.http: http})
            await search.notify("https://e.com", ctx)

    with pytest.raises(Permanent, match="SEARCH_API_KEY"):
        asyncio.run(attempt({"SEARCH_BASE_URL": "http://127.0.0.1:1"}, {}))
    with pytest.raises(Permanent, match="SEARCH_BASE_URL"):
        asyncio.run(attempt({}, {"SEARCH_API_KEY": "k"}))
