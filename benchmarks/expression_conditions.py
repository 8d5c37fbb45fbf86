"""The conditions that `bench_expressions.py` measures: in CEL, by hand in Python, and in JMESPath where it can."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flowlang.expr.types import (
    BOOL,
    DOUBLE,
    INT,
    STRING,
    Field,
    ListOf,
    ObjectOf,
    Type,
)

Data = dict[str, Any]

#: An event as a shop sends it.
EVENT: Data = {
    "id": "evt_01H8XGJWBWBAQ4",
    "name": "order/placed",
    "time": "2026-06-10T12:00:00Z",
    "source": "shop",
    "data": {
        "id": "A-10427",
        "amount": 25_000,
        "currency": "USD",
        "country": "DE",
        "status": "paid",
        "email": "ada.lovelace@example.com",
        "phone": "+49-30-901820",
        "quantity": 17,
        "unit_cents": 1_299,
        "discount_cents": 1_783,
        "started_at": "2026-06-10T08:15:00Z",
        "ended_at": "2026-06-10T11:45:30Z",
        "customer": {
            "id": "c-77",
            "name": "Ada Lovelace",
            "vip": True,
            "address": {"street": "Dorset Street 12", "city": "London", "zip": "W1U 4EG", "country": "GB"},
        },
        "items": [{"sku": f"B-{n}", "price": 4.5 + n, "quantity": n} for n in range(9)]
        + [{"sku": "A-9", "price": 99.5, "quantity": 1}],
        "tags": ["new", "web", "gift"],
    },
}


def rows(count: int) -> list[Data]:
    """The output of a step that reads a table."""
    return [
        {"id": f"u{n}", "name": f"User {n}", "score": n * 37 % 101, "active": n % 3 != 0, "age": 18 + n % 60}
        for n in range(count)
    ]


def type_of(value: Any) -> Type:
    """The type that a schema of such data gives: all fields required, but those that e04 asks for."""
    if isinstance(value, dict):
        fields = {name: Field(type_of(part), name not in {"customer", "address"}) for name, part in value.items()}
        return ObjectOf(fields=fields)
    if isinstance(value, list):
        return ListOf(type_of(value[0]))
    return {bool: BOOL, int: INT, float: DOUBLE, str: STRING}[value.__class__]


@dataclass(frozen=True)
class Condition:
    """One line of the table.

    Args:
        name: Its name there.
        text: In CEL.
        native: By hand in Python, on the same bindings.
        jmespath: In JMESPath, or None where it cannot say it.
        on_rows: Whether it reads `rows` and not `event`.
    """

    name: str
    text: str
    native: Callable[[Data], Any]
    jmespath: str | None = None
    on_rows: bool = False


def e01(bindings: Data) -> bool:
    data = bindings["event"]["data"]
    return bool(data["amount"] > 100 and data["currency"] == "USD")


def e02(bindings: Data) -> bool:
    return any(item["price"] > 10.0 and item["sku"].startswith("A") for item in bindings["event"]["data"]["items"])


def e03(bindings: Data) -> bool:
    email = bindings["event"]["data"]["email"]
    return email.startswith("ada") and email.endswith(".com") and "@example" in email


def e04(bindings: Data) -> bool:
    data = bindings["event"]["data"]
    return "customer" in data and "address" in data["customer"] and data["customer"]["address"]["country"] == "GB"


def e05(bindings: Data) -> str:
    amount = bindings["event"]["data"]["amount"]
    return "high" if amount > 100_000 else "medium" if amount > 10_000 else "low"


def e06(bindings: Data) -> bool:
    data = bindings["event"]["data"]
    return data["status"] in ("paid", "pending", "authorized") and data["country"] not in ("KP", "IR")


def e07(bindings: Data) -> list[Any]:
    return [row["id"] for row in bindings["rows"] if row["active"] and row["score"] > 50]


def e08(bindings: Data) -> list[Any]:
    return [row["score"] * 2 + 1 for row in bindings["rows"]]


_HOUR = timedelta(hours=1)


def e09(bindings: Data) -> bool:
    data = bindings["event"]["data"]
    return datetime.fromisoformat(data["ended_at"]) - datetime.fromisoformat(data["started_at"]) > _HOUR


_EMAIL = re.compile(r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$")


def e10(bindings: Data) -> bool:
    return _EMAIL.search(bindings["event"]["data"]["email"]) is not None


def e11(bindings: Data) -> Any:
    data = bindings["event"]["data"]
    return (data["quantity"] * data["unit_cents"] - data["discount_cents"]) // 100 % 7 == 3


def e12(bindings: Data) -> Any:
    data = bindings["event"]["data"]
    return "Order " + data["id"] + " of " + data["email"] + " is " + data["status"]


CONDITIONS = (
    Condition(
        "e01",
        'event.data.amount > 100 && event.data.currency == "USD"',
        e01,
        "event.data.amount > `100` && event.data.currency == 'USD'",
    ),
    Condition(
        "e02",
        'event.data.items.exists(i, i.price > 10.0 && i.sku.startsWith("A"))',
        e02,
        "event.data.items[?price > `10.0` && starts_with(sku, 'A')] | [0] != null",
    ),
    Condition(
        "e03",
        'event.data.email.startsWith("ada") && event.data.email.endsWith(".com") '
        '&& event.data.email.contains("@example")',
        e03,
        "starts_with(event.data.email, 'ada') && ends_with(event.data.email, '.com') "
        "&& contains(event.data.email, '@example')",
    ),
    Condition(
        "e04",
        'has(event.data.customer) && has(event.data.customer.address) && event.data.customer.address.country == "GB"',
        e04,
        "event.data.customer != null && event.data.customer.address != null "
        "&& event.data.customer.address.country == 'GB'",
    ),
    Condition(
        "e05",
        'event.data.amount > 100000 ? "high" : event.data.amount > 10000 ? "medium" : "low"',
        e05,
        "(event.data.amount > `100000` && 'high') || (event.data.amount > `10000` && 'medium') || 'low'",
    ),
    Condition(
        "e06",
        'event.data.status in ["paid", "pending", "authorized"] && !(event.data.country in ["KP", "IR"])',
        e06,
        "contains(['paid', 'pending', 'authorized'], event.data.status) && !contains(['KP', 'IR'], event.data.country)",
    ),
    Condition(
        "e07",
        "rows.filter(r, r.active && r.score > 50).map(r, r.id)",
        e07,
        "rows[?active && score > `50`].id",
        on_rows=True,
    ),
    Condition("e08", "rows.map(r, r.score * 2 + 1)", e08, on_rows=True),
    Condition(
        "e09",
        'timestamp(event.data.ended_at) - timestamp(event.data.started_at) > duration("1h")',
        e09,
    ),
    Condition("e10", r'event.data.email.matches("^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$")', e10),
    Condition(
        "e11",
        "(event.data.quantity * event.data.unit_cents - event.data.discount_cents) / 100 % 7 == 3",
        e11,
    ),
    Condition(
        "e12",
        '"Order " + event.data.id + " of " + event.data.email + " is " + event.data.status',
        e12,
        "join('', ['Order ', event.data.id, ' of ', event.data.email, ' is ', event.data.status])",
    ),
)
