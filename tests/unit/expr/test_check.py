"""The checker: the type of every expression, and each mistake at its place. `«…»` marks what is reported."""

from __future__ import annotations

import pytest

from flowlang.expr import errors
from flowlang.expr.check import Checked, check_text
from flowlang.expr.environment import Environment
from flowlang.expr.facts import Facts
from flowlang.expr.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Field,
    ListOf,
    MapOf,
    ObjectOf,
    OptionalOf,
    Scalar,
    Type,
    TypeOf,
    nullable,
)

ITEM = ObjectOf("an item", {"sku": Field(STRING), "cents": Field(INT), "note": Field(STRING, required=False)})
ADDRESS = ObjectOf("an address", {"city": Field(STRING), "zip": Field(STRING, required=False)})
ORDER = ObjectOf(
    "the order",
    {
        "id": Field(STRING),
        "total": Field(DOUBLE),
        "count": Field(INT),
        "paid": Field(BOOL),
        "placed_at": Field(STRING),
        "status": Field(Scalar("string", ("open", "paid", "sent"))),
        "items": Field(ListOf(ITEM)),
        "tags": Field(ListOf(STRING)),
        "prices": Field(MapOf(STRING, DOUBLE)),
        "address": Field(ADDRESS, required=False),
        "phone": Field(nullable(STRING)),
        "coupon": Field(nullable(ADDRESS), required=False),
        "extra": Field(DYN),
    },
)
TREE = ObjectOf("a node")
TREE.fill({"name": Field(STRING), "next": Field(TREE, required=False)}, None)
ENVIRONMENT = Environment({"order": ORDER, "any": DYN, "tree": TREE, "n": INT, "items": ListOf(ITEM)})


def _check(text: str, expected: Type | None = None, environment: Environment = ENVIRONMENT) -> Checked:
    return check_text(text, environment, expected=expected)


TYPES: list[tuple[str, Type]] = [
    ("1 + 2", INT),
    ("1u + 2u", UINT),
    ("1.5 * order.total", DOUBLE),
    ("b'a' + b'b'", BYTES),
    ("order.id + '!'", STRING),
    ("order.count > 1 && order.paid", BOOL),
    ("order.total > 10", BOOL),
    ("order.count in [1, 2]", BOOL),
    ("'x' in order.prices", BOOL),
    ("order.items", ListOf(ITEM)),
    ("order.items[0].cents + 1", INT),
    ("order.items.map(i, i.cents)", ListOf(INT)),
    ("order.items.map(i, i.cents > 1, i.sku)", ListOf(STRING)),
    ("order.items.filter(i, i.cents > 1)", ListOf(ITEM)),
    ("order.items.exists(i, i.sku == 'a')", BOOL),
    ("order.items.sortBy(i, i.cents)[0].sku", STRING),
    ("order.items.transformList(n, i, n + i.cents)", ListOf(INT)),
    ("order.prices.transformMap(k, v, v * 2.0)", MapOf(STRING, DOUBLE)),
    ("order.items.transformMapEntry(n, i, {i.sku: i.cents})", MapOf(STRING, INT)),
    ("order.prices.map(k, k)", ListOf(STRING)),
    ("order.prices['a']", DOUBLE),
    ("order['total']", DOUBLE),
    ("order.?address.zip", OptionalOf(STRING)),
    ("order.?address.?zip.orValue('-')", STRING),
    ("order.?address.hasValue()", BOOL),
    ("has(order.address) ? order.address.city : 'none'", STRING),
    ("order.phone == null ? 'none' : order.phone", STRING),
    ("order.phone", nullable(STRING)),
    ("order.paid ? order.id : null", nullable(STRING)),
    ("order.paid ? {1u: 'u', 2: 'i'} : order", MapOf(DYN, DYN)),
    ("[{'a': 1}, order][0]", MapOf(STRING, DYN)),
    ("[]", ListOf(DYN)),
    ("[1, 2]", ListOf(INT)),
    ("[1, 'a']", ListOf(DYN)),
    ("[order.status, 'x']", ListOf(STRING)),
    ("{'a': 1}", MapOf(STRING, INT)),
    ("{}", MapOf(DYN, DYN)),
    ("timestamp(order.placed_at) + duration('1h')", TIMESTAMP),
    ("timestamp(order.placed_at) - timestamp('2026-01-01T00:00:00Z')", DURATION),
    ("timestamp(order.placed_at).getHours('Europe/Vienna')", INT),
    ("type(1)", TypeOf(INT)),
    ("type(order.id) == string", BOOL),
    ("dyn(1) == 1.0", BOOL),
    ("any.whatever[0].x", DYN),
    ("any + 1", INT),
    ("any + any", DYN),
    ("any > 1", BOOL),
    ("size(order.items)", INT),
    ("order.tags.join(', ')", STRING),
    ("sum(order.items.map(i, i.cents))", INT),
    ("sum([1.5])", DOUBLE),
    ("math.greatest(1, 2)", INT),
    ("optional.of(1)", OptionalOf(INT)),
    ("order.?coupon.optMap(c, 1)", OptionalOf(INT)),
    ("cel.bind(x, order.count, x + 1)", INT),
    ("cel.block([order.count, cel.index(0) + 1], cel.index(1))", INT),
    ("tree.?next.?next.?name.orValue('')", STRING),
    ("null", NULL),
    ("order.status", Scalar("string", ("open", "paid", "sent"))),
    ("order.status + '!'", STRING),
    ("-order.count", INT),
    ("!order.paid", BOOL),
]


@pytest.mark.parametrize(("text", "wanted"), TYPES, ids=[text for text, _ in TYPES])
def test_the_type_of_an_expression_is_deduced(text: str, wanted: Type) -> None:
    checked = _check(text)
    assert checked.problems == ()
    assert checked.type == wanted


GUARDED = [
    "has(order.address) && order.address.city == 'Wien'",
    "!has(order.address) || order.address.city == 'Wien'",
    "has(order.address) ? order.address.city == 'Wien' : false",
    "!has(order.address) ? false : order.address.city == 'Wien'",
    "order.address.city == 'Wien' && has(order.address)",
    "has(order.address) && has(order.address.zip) && order.address.zip != ''",
    "has(order.address) && (order.address.city == 'a' || order.address.city == 'b')",
    "(has(order.address) && n > 1) ? order.address.city == 'a' : n > 2",
    "'address' in order && order.address.city == 'a'",
    "order['address'].city == 'a' || !has(order.address)",
    "order.?address.hasValue() && order.address.city == 'a'",
    "has(order.address) ? (n > 1 ? order.address.city : 'x') == 'a' : true",
    "(has(order.address) ? true : false) && order.address.city == 'a'",
    "order.items.all(i, has(i.note) && i.note != '')",
    "order.items.filter(i, has(i.note)).map(i, i.note).join() == ''",
    "order.items.map(i, has(i.note), i.note).join() == ''",
    "order.phone != null && order.phone.startsWith('+')",
    "order.phone == null || order.phone.startsWith('+')",
    "order.phone == '+43' && order.phone.size() > 1",
    "!(order.phone == null) && order.phone.size() > 1",
    "has(order.coupon) && order.coupon != null && order.coupon.city == 'x'",
    "order.phone in ['a', 'b']",
    "order.phone == order.id",
    "has(tree.next) && has(tree.next.next) && tree.next.next.name == ''",
]


@pytest.mark.parametrize("text", GUARDED)
def test_a_guarded_read_is_no_mistake(text: str) -> None:
    assert _check(text, BOOL).problems == ()


MISTAKES: list[tuple[str, str]] = [
    ("order.«totl» > 1.0", errors.UNKNOWN_FIELD),
    ("has(order.«adress»)", errors.UNKNOWN_FIELD),
    ("order.?«adress».hasValue()", errors.UNKNOWN_FIELD),
    ("order[«'totl'»] > 1.0", errors.UNKNOWN_FIELD),
    ("order.items.exists(i, i.«price» > 1)", errors.UNKNOWN_FIELD),
    ("order.items[0].«skuu» == 'a'", errors.UNKNOWN_FIELD),
    ("«ordr».total > 1.0", errors.UNKNOWN_NAME),
    ("order.«address».city == 'a'", errors.MAY_BE_MISSING),
    ("has(order.address) || order.«address».city == 'a'", errors.MAY_BE_MISSING),
    ("has(order.address) && order.address.«zip» == 'a'", errors.MAY_BE_MISSING),
    ("order.items.map(i, i.«note»).size() > 0", errors.MAY_BE_MISSING),
    ("order.«address».city == 'a' && order.address.city != 'b'", errors.MAY_BE_MISSING),
    ("!has(order.address) && order.«address».city == 'a'", errors.MAY_BE_MISSING),
    ("«order.phone».startsWith('+')", errors.MAY_BE_NULL),
    ("order.phone == null && «order.phone».size() > 1", errors.MAY_BE_NULL),
    ("has(order.coupon) && «order.coupon».city == 'x'", errors.MAY_BE_NULL),
    ("«order.count + 1.5» > 2.0", errors.WRONG_TYPE),
    ("«order.id + 1» == 'a'", errors.WRONG_TYPE),
    ("«order.id > 5»", errors.WRONG_TYPE),
    ("«order.total == 5»", errors.WRONG_TYPE),
    ("«order.total in [1, 2]»", errors.WRONG_TYPE),
    ("«order.id == 5»", errors.WRONG_TYPE),
    ("«order.placed_at > timestamp('2026-01-01T00:00:00Z')»", errors.WRONG_TYPE),
    ("«order.count.size()» > 1", errors.WRONG_TYPE),
    ("«order.id.contains(1)»", errors.WRONG_TYPE),
    ("«size(order.count)» > 1", errors.WRONG_TYPE),
    ("order.items[«'a'»].sku == ''", errors.WRONG_TYPE),
    ("order.items.«sku» == 'a'", errors.WRONG_TYPE),
    ("order.id.«length» > 1", errors.WRONG_TYPE),
    ("«order.count».map(x, x).size() > 0", errors.WRONG_TYPE),
    ("«order.?address».exists(x, true)", errors.WRONG_TYPE),
    ("«-order.id» == ''", errors.WRONG_TYPE),
    ("«order.?phone == 'a'»", errors.WRONG_TYPE),
    ("(«order.paid ? 1 : 'a'») == 1", errors.WRONG_TYPE),
    ("order.items.sortBy(i, i.cents).«first»", errors.WRONG_TYPE),
    ("[?«order.id»].size() > 0", errors.WRONG_TYPE),
    ("«order.id».optMap(x, x).hasValue()", errors.WRONG_TYPE),
    ("order.?address.optFlatMap(a, «a.city»).hasValue()", errors.WRONG_TYPE),
    ("order.items.transformMapEntry(i, x, «x.sku»).size() > 0", errors.WRONG_TYPE),
    ("«order.id»", errors.NOT_BOOL),
    ("«order.items»", errors.NOT_BOOL),
    ("«order.count»", errors.NOT_BOOL),
    ("order.paid && «order.count»", errors.NOT_BOOL),
    ("«order.id» ? true : false", errors.NOT_BOOL),
    ("order.items.exists(i, «i.sku»)", errors.NOT_BOOL),
    ("order.items.filter(i, «i.cents»).size() > 0", errors.NOT_BOOL),
    ("«!order.id»", errors.WRONG_TYPE),
    ("order.id.matches(«'(a'»)", errors.BAD_CONSTANT),
    ("order.id.matches(«'a(?=b)'»)", errors.BAD_CONSTANT),
    ("timestamp(«'2026-13-01T00:00:00Z'»).getHours() > 1", errors.BAD_CONSTANT),
    ("timestamp(order.placed_at) > timestamp(«'yesterday'»)", errors.BAD_CONSTANT),
    ("duration(«'1 hour'») > duration('1m')", errors.BAD_CONSTANT),
    ("timestamp(order.placed_at).getHours(«'Europe/Viena'») > 1", errors.BAD_CONSTANT),
    ("int(«'ten'») > 1", errors.BAD_CONSTANT),
    ("double(«'1,5'») > 1.0", errors.BAD_CONSTANT),
    ("«'%q'».format([1]) == ''", errors.BAD_CONSTANT),
    ("'%s %s'.format(«[order.id]») == ''", errors.BAD_CONSTANT),
    ("order.status == «'payed'»", errors.NEVER_EQUAL),
    ("order.status != «'closed'»", errors.NEVER_EQUAL),
    ("order.status in ['open', «'done'»]", errors.NEVER_EQUAL),
    ("«order.count == null»", errors.NEVER_EQUAL),
    ("«nope(1)»", errors.SYNTAX),
]


@pytest.mark.parametrize(("marked", "kind"), MISTAKES, ids=[marked for marked, _ in MISTAKES])
def test_a_mistake_is_reported_once_at_its_place(marked: str, kind: str) -> None:
    text = marked.replace("«", "").replace("»", "")
    problems = _check(text, BOOL).problems
    assert [problem.kind for problem in problems] == [kind], problems
    if kind != errors.SYNTAX:
        assert (problems[0].start, problems[0].end) == (marked.index("«"), marked.index("»") - 1)


def test_all_problems_of_an_expression_are_reported_in_the_order_of_the_text() -> None:
    problems = _check("order.totl > 1.0 && nope(1) && order.status == 'payed' && order.id + 1 == ''").problems
    assert [problem.kind for problem in problems] == ["unknown-field", "syntax", "never-equal", "wrong-type"]
    assert [problem.start for problem in problems] == sorted(problem.start for problem in problems)


HINTS = [
    ("order.totl > 1.0", "did you mean `total`?"),
    ("order.total == 5", "write 5.0"),
    ("order.count + 1.5 > 1.0", "convert one of them with double(…) or int(…)"),
    ("order.id + 1 == ''", "convert with string(…)"),
    ("order.status == 'payed'", "did you mean `paid`?"),
    ("order.status == 'x'", "it is one of 'open', 'paid', 'sent'"),
    ("order.address.city == 'a'", "test it with has(order.address), or read it with .?address.orValue(…)"),
    ("order.items.all(i, i.note == '')", "test it with has(i.note), or read it with .?note.orValue(…)"),
    ("order.phone.size() > 1", "test it with != null first"),
    ("order.id", "compare it, as in x != ''"),
    ("order.placed_at > timestamp(0)", "convert the text with timestamp(…)"),
    ("ordr.x", "did you mean `order`?"),
    ("'a' in order.id", "to find a part of a text, write text.contains(part)"),
]


@pytest.mark.parametrize(("text", "hint"), HINTS)
def test_a_problem_says_what_would_be_right(text: str, hint: str) -> None:
    assert [problem.hint for problem in _check(text, BOOL).problems] == [hint]


def test_a_text_that_cannot_be_parsed_has_the_parsers_problem() -> None:
    checked = _check("order.total >")
    assert [problem.kind for problem in checked.problems] == [errors.SYNTAX]


def test_nothing_is_said_of_names_that_an_open_place_does_not_know() -> None:
    assert _check("other.x > 1", environment=Environment({}, closed=False)).problems == ()


def test_what_is_known_of_a_place_guards_its_expressions() -> None:
    known = Facts(present=frozenset({("order", "address")}), not_null=frozenset({("order", "phone")}))
    place = Environment({"order": ORDER}, facts=known)
    assert _check("order.address.city + order.phone", environment=place).problems == ()


def test_a_condition_tells_what_follows_from_it() -> None:
    implied = _check("has(order.address) && order.phone != null").implied
    assert implied.when_true.present == {("order", "address")}
    assert implied.when_true.not_null == {("order", "phone")}
    assert _check("!has(order.address) || order.phone == null").implied.when_false == implied.when_true


def test_the_types_of_all_parts_are_known() -> None:
    checked = _check("order.items.exists(i, i.cents > order.count)")
    assert sorted({str(type_) for type_ in checked.types.values()}) == [
        "an item",
        "bool",
        "int",
        "list<an item>",
        "the order",
    ]
