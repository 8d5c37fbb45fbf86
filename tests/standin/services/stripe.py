"""Stripe: checkout sessions with `expand`, customers, subscriptions.

Like Stripe it takes forms, answers with ids in place of objects unless they are expanded, keeps deleted customers as
`{"deleted": true}`, and refuses to cancel a subscription twice.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from tests.standin import keys
from tests.standin.services import bearer
from tests.standin.web import Reply, Request, Route, ServiceError

_REFERENCES = ("customer", "payment_intent", "latest_charge")  # fields that hold an id until they are expanded
_INCLUDED = ("line_items",)  # fields that are left out until they are expanded


class Stripe:
    """Stripe with a few customers; `seed` adds more."""

    name = "stripe"

    def __init__(self) -> None:
        self.routes = (
            Route("stripe.checkout_session", "GET", "/stripe/v1/checkout/sessions/{id}", self._session),
            Route("stripe.customer", "GET", "/stripe/v1/customers/{id}", self._customer),
            Route("stripe.subscriptions", "GET", "/stripe/v1/subscriptions", self._subscriptions),
            Route("stripe.cancel_subscription", "DELETE", "/stripe/v1/subscriptions/{id}", self._cancel),
        )
        self._objects: dict[str, dict[str, Any]] = {}
        self.clear()

    def authorised(self, request: Request) -> bool:
        """Stripe takes its key as a bearer token."""
        return bearer(request, keys.STRIPE_API_KEY)

    def clear(self) -> None:
        """Go back to four customers: two subscriptions, none, deleted, and one who bought as a guest."""
        self._objects = {}
        self.seed({"customers": [_customer("ada"), _customer("grace"), {"id": "cus_gone", "deleted": True}]})
        self.seed(
            {"subscriptions": [_subscription("sub_ada_monthly", "cus_ada"), _subscription("sub_ada_team", "cus_ada")]}
        )
        self.seed({
            "sessions": [
                {"id": "cs_lifetime", "customer": "cus_ada"},
                {"id": "cs_lifetime_grace", "customer": "cus_grace"},
                {"id": "cs_lifetime_gone", "customer": "cus_gone"},
                {"id": "cs_lifetime_guest", "customer": None},
                {"id": "cs_course", "customer": "cus_grace", "price": "price_rust", "product": "prod_rust_course"},
                {"id": "cs_sticker", "customer": "cus_grace", "price": "price_sticker", "product": "prod_sticker"},
            ]
        })  # fmt: skip

    def seed(self, data: Mapping[str, Any]) -> None:
        """Add `customers`, `subscriptions` and `sessions`.

        A session is `{id, customer, price, product, email}` with defaults for all but the id; its payment, charge and
        line items are made from it.
        """
        for customer in data.get("customers", ()):
            self._add("customer", customer)
        for subscription in data.get("subscriptions", ()):
            self._add("subscription", {"status": "active", **subscription})
        for session in data.get("sessions", ()):
            self._add_session(**session)

    def state(self) -> dict[str, Any]:
        """Return all objects by id."""
        return copy.deepcopy(self._objects)

    def session_event(self, session_id: str, event_id: str) -> dict[str, Any]:
        """Return the event that Stripe sends when this session is paid; see `tests.standin.webhooks` to sign it."""
        session = {name: value for name, value in self._objects[session_id].items() if name not in _INCLUDED}
        return {
            "id": event_id,
            "object": "event",
            "api_version": "2025-09-30",
            "type": "checkout.session.completed",
            "data": {"object": session},
        }

    def _add(self, kind: str, fields: Mapping[str, Any]) -> None:
        self._objects[fields["id"]] = {"object": kind, **fields}

    def _add_session(
        self,
        id: str,  # noqa: A002 - Stripe's name of the field
        customer: str | None = "cus_ada",
        price: str = keys.LIFETIME_PRICE_ID,
        product: str = "prod_lifetime",
        email: str = "",
    ) -> None:
        known = self._objects.get(customer or "", {})
        name = id.removeprefix("cs_")
        self._add("charge", {"id": f"ch_{name}", "amount": 29_900, "currency": "eur", "status": "succeeded"})
        self._add("payment_intent", {"id": f"pi_{name}", "latest_charge": f"ch_{name}", "status": "succeeded"})
        item = {
            "id": f"li_{name}",
            "object": "item",
            "quantity": 1,
            "price": {"id": price, "object": "price", "product": product},
        }
        self._add(
            "checkout.session",
            {
                "id": id,
                "mode": "payment",
                "status": "complete",
                "payment_status": "paid",
                "amount_total": 29_900,
                "currency": "eur",
                "customer": customer,
                "customer_details": {
                    "email": email or known.get("email", "guest@example.com"),
                    "name": known.get("name", "A Guest"),
                },
                "payment_intent": f"pi_{name}",
                "line_items": {
                    "object": "list",
                    "data": [item],
                    "has_more": False,
                    "url": f"/v1/checkout/sessions/{id}/line_items",
                },
            },
        )

    def _get(self, kind: str, wanted: str, title: str) -> dict[str, Any]:
        found = self._objects.get(wanted)
        if found is None or found["object"] != kind:
            raise _missing(title, wanted)
        return found

    def _session(self, request: Request) -> Reply:
        session = self._get("checkout.session", request.params["id"], "checkout.session")
        return Reply(200, self._expanded(session, _paths(request)))

    def _customer(self, request: Request) -> Reply:
        return Reply(200, self._get("customer", request.params["id"], "customer"))

    def _subscriptions(self, request: Request) -> Reply:
        limit = request.number("limit", 10, low=1, high=100)
        customer, status = request.one("customer"), request.one("status", "active")
        found = [
            item
            for item in self._objects.values()
            if item["object"] == "subscription"
            and item["customer"] == (customer or item["customer"])
            and (item["status"] == status or status == "all")
        ]
        after = request.one("starting_after")
        ids = [item["id"] for item in found]
        if after and after not in ids:
            raise _missing("subscription", after)
        page = found[ids.index(after) + 1 if after else 0 :]
        body = {"object": "list", "url": "/v1/subscriptions", "has_more": len(page) > limit, "data": page[:limit]}
        return Reply(200, copy.deepcopy(body))

    def _cancel(self, request: Request) -> Reply:
        subscription = self._get("subscription", request.params["id"], "subscription")
        if subscription["status"] == "canceled":
            raise _missing("subscription", subscription["id"])
        form = request.body if isinstance(request.body, dict) else request.query
        subscription |= {"status": "canceled", "prorated": form.get("prorate", ["false"])[-1] == "true"}
        return Reply(200, dict(subscription))

    def _expanded(self, item: dict[str, Any], paths: list[list[str]]) -> dict[str, Any]:
        """Return a copy with the named references in place of their ids."""
        wanted = {path[0] for path in paths}
        out = {name: copy.deepcopy(value) for name, value in item.items() if name not in _INCLUDED or name in wanted}
        for name in wanted:
            if name not in item:
                raise _error(400, "parameter_unknown", f"This property cannot be expanded ({name}).")
            inner = [path[1:] for path in paths if path[0] == name and len(path) > 1]
            if name in _REFERENCES and item[name] is not None:
                out[name] = self._expanded(self._objects[item[name]], inner)
            elif inner:
                raise _error(400, "parameter_unknown", f"This property cannot be expanded ({name}.{inner[0][0]}).")
        return out


def _paths(request: Request) -> list[list[str]]:
    return [path.split(".") for name, values in request.query.items() if name.startswith("expand[") for path in values]


def _customer(name: str) -> dict[str, Any]:
    return {"id": f"cus_{name}", "email": f"{name}@example.com", "name": name.title()}


def _subscription(name: str, customer: str) -> dict[str, Any]:
    return {"id": name, "customer": customer}


def _missing(title: str, wanted: str) -> ServiceError:
    return _error(404, "resource_missing", f"No such {title}: '{wanted}'")


def _error(status: int, code: str, message: str) -> ServiceError:
    return ServiceError(status, {"error": {"type": "invalid_request_error", "code": code, "message": message}})
