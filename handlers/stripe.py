"""Stripe: checkout sessions, customers, subscriptions."""

from __future__ import annotations

from typing import Any

import httpx
from pydantic import BaseModel

from flowlang import Context, Permanent, handler
from handlers.client import Bearer, call

PAGE = 100  # the most that Stripe gives at once


class LineItem(BaseModel):
    price_id: str
    product_id: str
    quantity: int


class CheckoutSession(BaseModel):
    id: str
    email: str
    customer_name: str
    customer_id: str | None  # none for a guest
    charge_id: str
    line_items: list[LineItem]


class Customer(BaseModel):
    id: str
    email: str
    name: str


class Subscription(BaseModel):
    id: str
    status: str


@handler("stripe.checkout_session", effect="pure", timeout="1m")
async def checkout_session(session_id: str, ctx: Context) -> CheckoutSession:
    """Load a paid session with its line items and the charge behind it."""
    expand = ["line_items", "payment_intent.latest_charge"]
    data = await _stripe(ctx, "GET", "checkout", "sessions", session_id, params={"expand[]": expand})
    if data["payment_intent"] is None:
        raise Permanent(f"the session {session_id} has no payment", code="checkout.unpaid")
    if data["line_items"]["has_more"]:
        raise Permanent(f"the session {session_id} has more line items than one page", code="checkout.too_many_items")
    customer = data["customer_details"]
    return CheckoutSession(
        id=data["id"],
        email=customer["email"],
        customer_name=customer["name"] or "",
        customer_id=data["customer"],
        charge_id=data["payment_intent"]["latest_charge"]["id"],
        line_items=[
            LineItem(price_id=item["price"]["id"], product_id=item["price"]["product"], quantity=item["quantity"])
            for item in data["line_items"]["data"]
        ],
    )


@handler("stripe.customer", effect="pure", timeout="1m")
async def customer(customer_id: str, ctx: Context) -> Customer:
    """Load a customer; one who has been deleted is a permanent error."""
    data = await _stripe(ctx, "GET", "customers", customer_id)
    if data.get("deleted"):
        raise Permanent(f"the customer {customer_id} has been deleted", code="customer.deleted")
    return Customer(id=data["id"], email=data["email"], name=data.get("name") or "")


@handler("stripe.active_subscriptions", effect="pure", timeout="2m")
async def active_subscriptions(customer_id: str, ctx: Context) -> list[Subscription]:
    """List all active subscriptions of a customer."""
    found: list[Subscription] = []
    more = True
    while more:
        params: dict[str, Any] = {"customer": customer_id, "status": "active", "limit": PAGE}
        if found:
            params["starting_after"] = found[-1].id
        page = await _stripe(ctx, "GET", "subscriptions", params=params)
        found += [Subscription(id=item["id"], status=item["status"]) for item in page["data"]]
        more = page["has_more"]
    return found


@handler("stripe.cancel_subscription", effect="keyed", timeout="1m")
async def cancel_subscription(subscription_id: str, ctx: Context, *, prorate: bool = True) -> Subscription:
    """Cancel a subscription now; one that is cancelled already is as wanted."""
    params = {"prorate": "true" if prorate else "false"}
    try:
        data = await _stripe(ctx, "DELETE", "subscriptions", subscription_id, params=params, keyed=True)
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        ctx.logger.info("the subscription %s was cancelled before", subscription_id)
        return Subscription(id=subscription_id, status="canceled")
    return Subscription(id=data["id"], status=data["status"])


async def _stripe(ctx: Context, method: str, *path: str, params: Any = None, keyed: bool = False) -> Any:
    auth = Bearer(ctx.secrets["STRIPE_API_KEY"])
    return await call(ctx, method, "STRIPE_BASE_URL", ("v1", *path), auth=auth, params=params, keyed=keyed)
