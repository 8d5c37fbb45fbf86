"""Writes random expressions of a given type over a fixed schema, and data that the schema allows."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from flowlang.expr.types import (
    BOOL,
    DOUBLE,
    INT,
    STRING,
    Field,
    ListOf,
    MapOf,
    ObjectOf,
    Scalar,
    nullable,
)

LINE: Final = ObjectOf("a line", {"sku": Field(STRING), "cents": Field(INT), "note": Field(STRING, required=False)})
ORDER: Final = ObjectOf(
    "the order",
    {
        "id": Field(STRING),
        "count": Field(INT),
        "small": Field(Scalar("int", minimum=-1000, maximum=1000)),
        "total": Field(DOUBLE),
        "paid": Field(BOOL),
        "status": Field(Scalar("string", ("open", "paid"))),
        "lines": Field(ListOf(LINE)),
        "tags": Field(ListOf(STRING)),
        "sizes": Field(ListOf(INT)),
        "rates": Field(MapOf(STRING, DOUBLE)),
        "phone": Field(nullable(STRING)),
        "address": Field(ObjectOf("an address", {"city": Field(STRING), "zip": Field(STRING, required=False)}), False),  # noqa: FBT003 - a field that may be missing
    },
)

#: For each type, ways to write it; `<type>` is written in turn, `<type:x>` may read the variable of a macro around it.
_FORMS: Final[dict[str, tuple[str, ...]]] = {
    "bool": (
        "true", "false", "order.paid", "<int> < <int>", "<double> >= <double>", "<string> == <string>", "<int> != <int>",
        "<bool> && <bool>", "<bool> || <bool>", "!(<bool>)", "(<bool> ? <bool> : <bool>)", "<string>.startsWith(<string>)",
        "<string>.contains(<string>)", "<string> in <strings>", "<int> in <ints>", "<ints>.exists(<int:v>, <bool>)",
        "<strings>.all(<string:v>, <bool>)", "<lines>.exists(<line:v>, <bool>)", "<ints>.exists_one(<int:v>, <bool>)",
        "order.status == 'paid'", "has(order.address)", "order.phone == null", "<string> in order.rates",
        "<int> < <double>", "<ints> == <ints>", "<time> < <time>", "<optional>.hasValue()", "<string>.matches('a+b?')",
        "type(<int>) == int", "has(order.address) && order.address.city == <string>",
        "order.phone != null && order.phone.size() > <int>",
    ),
    "int": (
        "0", "1", "7", "-3", "9223372036854775807", "order.count", "order.small", "(<int> + <int>)", "(<int> - <int>)",
        "(<int> * <int>)", "(<int> / <int>)", "(<int> % <int>)", "-<int>", "<string>.size()", "size(<ints>)", "<ints>[<int>]",
        "(<bool> ? <int> : <int>)", "int(<double>)", "sum(<ints>)", "<line>.cents",
        "math.greatest(<int>, <int>)", "<string>.indexOf(<string>)", "<time>.getHours()", "cel.bind(<int:v>, 3, <int>)", "int('12')",
    ),
    "double": (
        "0.0", "1.5", "-2.0", "1e300", "order.total", "(<double> + <double>)", "(<double> * <double>)", "(<double> / <double>)",
        "(<double> - <double>)", "double(<int>)", "order.rates[<string>]", "(<bool> ? <double> : <double>)", "math.floor(<double>)",
    ),
    "string": (
        "''", "'a'", "'open'", "'b ä'", "order.id", "order.status", "(<string> + <string>)", "string(<int>)", "string(<bool>)",
        "<strings>[<int>]", "<strings>.join(<string>)", "<line>.sku", "<string>.upperAscii()", "(<bool> ? <string> : <string>)",
        "<optional>.orValue(<string>)", "<line>.?note.orValue(<string>)", "(has(order.address) ? order.address.city : <string>)",
        "(order.phone == null ? <string> : order.phone)", "<string>.substring(<int>)", "<string>.replace(<string>, <string>)",
        "'%s %d'.format([<string>, <int>])",
    ),
    "ints": (
        "[]", "[<int>, <int>]", "order.sizes", "(<ints> + <ints>)", "<ints>.filter(<int:v>, <bool>)", "<ints>.map(<int:v>, <int>)",
        "<lines>.map(<line:v>, <int>)", "<ints>.map(<int:v>, <bool>, <int>)", "<strings>.map(<string:v>, <int>)",
        "<ints>.sort()", "<ints>.distinct()", "<ints>.transformList(<int:i>, <int:v>, <int>)", "lists.range(4)",
    ),
    "strings": (
        "['x']", "[<string>, <string>]", "order.tags", "(<strings> + <strings>)", "<strings>.filter(<string:v>, <bool>)",
        "<lines>.map(<line:v>, <string>)", "<string>.split(<string>)", "order.rates.map(<string:v>, <string>)",
    ),
    "lines": ("order.lines", "<lines>.filter(<line:v>, <bool>)", "<lines>.sortBy(<line:v>, <int>)", "(<bool> ? <lines> : <lines>)"),
    "line": ("order.lines[<int>]", "<lines>[<int>]", "(<bool> ? <line> : <line>)"),
    "optional": (
        "order.?address.?city", "order.?address.zip", "optional.of(<string>)", "optional.none()", "<line>.?note",
        "<optional>.optMap(<string:v>, <string>)", "<strings>[?<int>]", "order.rates[?<string>].optMap(<double:v>, string(<int>))",
    ),
    "time": ("timestamp('2026-06-10T12:00:00Z')", "timestamp(<int>)", "(<time> + duration('90m'))"),
}  # fmt: skip


def expression(random: Random, type_: str, depth: int = 4) -> str:
    """Write an expression.

    Args:
        random: Decides.
        type_: A key of the forms, such as `bool`.
        depth: How deep it may be nested.
    """
    return _Writer(random).write(type_, depth)


class _Writer:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._scopes: list[tuple[str, str]] = []
        self._names = 0

    def write(self, type_: str, depth: int) -> str:
        names = [name for name, declared in self._scopes if declared == type_]
        if names and self._random.random() < 0.4:
            return self._random.choice(names)
        forms = _FORMS[type_]
        if depth <= 0:
            forms = tuple(form for form in forms if "<" not in form.replace(" < ", "")) or forms[:1]
        text = self._random.choice(forms)
        known = len(self._scopes)
        written = ""
        while (start := text.find("<")) >= 0:
            end = text.find(">", start)
            hole = text[start + 1 : end]
            if end < 0 or not hole.partition(":")[0].isalpha():
                written, text = written + text[: start + 1], text[start + 1 :]
                continue
            name, _, declares = hole.partition(":")
            written += text[:start]
            text = text[end + 1 :]
            if declares:
                self._names += 1
                self._scopes.append((f"v{self._names}", name))
                written += self._scopes[-1][0]
            else:
                written += self.write(name, depth - 1)
        del self._scopes[known:]
        return written + text


def data(random: Random) -> dict[str, Any]:
    """Make data that the schema allows; what is optional is there or not."""
    order: dict[str, Any] = {
        "id": random.choice(["", "a", "o-1", "ab"]),
        "count": random.choice([0, 1, -5, 2**62, -(2**63)]),
        "small": random.randint(-1000, 1000),
        "total": random.choice([0.0, 1.5, -1e300, 3.0]),
        "paid": random.random() < 0.5,
        "status": random.choice(["open", "paid"]),
        "lines": [_line(random) for _ in range(random.randint(0, 3))],
        "tags": random.choices(["a", "b", "open"], k=random.randint(0, 3)),
        "sizes": random.choices([0, 1, 2, 7, 2**63 - 1], k=random.randint(0, 3)),
        "rates": dict.fromkeys(random.sample(["a", "open", "x"], random.randint(0, 3)), 0.5),
        "phone": random.choice([None, "+43 1"]),
    }
    if random.random() < 0.5:
        order["address"] = {"city": "Wien", **({"zip": "1010"} if random.random() < 0.5 else {})}
    return {"order": order}


def _line(random: Random) -> dict[str, Any]:
    note = {"note": "n"} if random.random() < 0.5 else {}
    return {"sku": random.choice(["a", "b"]), "cents": random.randint(-3, 500), **note}
