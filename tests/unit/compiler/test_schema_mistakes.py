"""Mistakes against an event's schema are found before anything runs, at their line and column in the YAML file.

`«…»` marks what is reported. Each mistake stands in each way in which YAML can hold an expression.
"""

from __future__ import annotations

import pytest

from tests.unit.compiler.compiling import compile_text, findings

SCHEMAS = {
    "shop/order-placed": {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "total": {"type": "number", "minimum": 0},
            "quantity": {"type": "integer", "minimum": 1, "maximum": 100},
            "gift": {"type": "boolean"},
            "status": {"enum": ["open", "paid", "sent"]},
            "phone": {"type": ["string", "null"]},
            "note": {"type": "string"},
            "placed_at": {"type": "string", "format": "date-time"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "customer": {
                "type": "object",
                "properties": {
                    "email": {"type": "string"},
                    "name": {"type": "string"},
                    "address": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
                        "required": ["city"],
                    },
                },
                "required": ["email"],
            },
            "rates": {"type": "object", "additionalProperties": {"type": "number"}},
        },
        "required": ["id", "total", "quantity", "gift", "status", "phone", "placed_at", "lines", "tags", "customer"],
        "$defs": {
            "line": {
                "type": "object",
                "properties": {
                    "sku": {"type": "string"},
                    "cents": {"type": "integer"},
                    "discount": {"type": "number"},
                    "parts": {"type": "array", "items": {"$ref": "#/$defs/line"}},
                },
                "required": ["sku", "cents", "parts"],
            }
        },
    }
}

CONDITIONS = [
    # misspelt fields
    ("event.data.«totall» > 10.0", "FL214"),
    ("has(event.data.«nots»)", "FL214"),
    ("event.data.«statuz» == 'paid'", "FL214"),
    ("event.data.customer.«mail» == ''", "FL214"),
    ("event.data.customer.?address.?«town».hasValue()", "FL214"),
    ("event.data.lines[0].«price» > 1", "FL214"),
    ("event.data.lines.exists(l, l.«skuu» == 'a')", "FL214"),
    ("event.data.lines.all(l, l.parts.all(p, p.«cent» > 1))", "FL214"),
    ("event.data[«'Total'»] > 1.0", "FL214"),
    ("event.«dat».total > 10.0", "FL214"),
    ("event.«nane» == 'shop/order-placed'", "FL214"),
    ("run.«pipelin» == 'p'", "FL214"),
    ("event.data.«Customer».email == ''", "FL214"),
    ("event.data.lines.map(l, l.«amount»).size() > 0", "FL214"),
    # wrong types
    ("«event.data.total == 10»", "FL211"),
    ("«event.data.total + 1» > 2.0", "FL211"),
    ("«event.data.quantity * 1.5» > 2.0", "FL211"),
    ("«event.data.quantity == '1'»", "FL211"),
    ("«event.data.id > 7»", "FL211"),
    ("«event.data.id + event.data.quantity» == ''", "FL211"),
    ("«event.data.gift == 'yes'»", "FL211"),
    ("«event.data.gift > 0»", "FL211"),
    ("«event.data.tags == 'vip'»", "FL211"),
    ("«event.data.id in 'abc'»", "FL211"),
    ("«7 in event.data.tags»", "FL211"),
    ("«event.data.quantity.startsWith('1')»", "FL211"),
    ("«event.data.id.startsWith(1)»", "FL211"),
    ("«event.data.tags.contains('vip')»", "FL211"),
    ("«size(event.data.quantity)» > 1", "FL211"),
    ("event.data.tags.«vip»", "FL211"),
    ("event.data.id.«length» > 3", "FL211"),
    ("event.data.lines[«'first'»].cents > 1", "FL211"),
    ("event.data.lines.«sku» == 'a'", "FL211"),
    ("«event.data.quantity».exists(q, q > 1)", "FL211"),
    ("«event.data.placed_at > timestamp('2026-01-01T00:00:00Z')»", "FL211"),
    ("«event.data.placed_at.getHours()» > 12", "FL211"),
    ("«event.time - duration('1h')» == ''", "FL211"),
    ("event.data.lines.map(l, «l.cents + l.sku»).size() > 1", "FL211"),
    ("«event.data.?note == 'x'»", "FL211"),
    ("«event.data.?note.startsWith('x')»", "FL211"),
    ("(«event.data.gift ? event.data.total : 0») > 1.0", "FL211"),
    ("«sum(event.data.tags)» > 1", "FL211"),
    ("has(event.data.rates) && «event.data.rates.eur == 1»", "FL211"),
    ("«-event.data.id» == ''", "FL211"),
    # optional fields read bare
    ("event.data.«note» == 'x'", "FL213"),
    ("event.data.customer.«name».size() > 1", "FL213"),
    ("event.data.customer.«address».city == 'Wien'", "FL213"),
    ("has(event.data.customer.address) && event.data.customer.address.«zip» == '1010'", "FL213"),
    ("event.data.lines.exists(l, l.«discount» > 0.5)", "FL213"),
    ("has(event.data.note) || event.data.«note» == ''", "FL213"),
    ("event.data.«rates».eur > 1.0", "FL213"),
    ("event.«user» == 'x'", "FL213"),
    # values that may be null
    ("«event.data.phone».size() > 3", "FL215"),
    ("«event.data.phone» + '' == ''", "FL215"),
    ("event.data.id.contains(«event.data.phone»)", "FL215"),
    # no conditions
    ("«event.data.id»", "FL212"),
    ("«event.data.quantity»", "FL212"),
    ("«event.data.lines»", "FL212"),
    ("event.data.gift && «event.data.quantity»", "FL212"),
    ("event.data.lines.exists(l, «l.cents»)", "FL212"),
    ("«event.data.total» ? true : false", "FL212"),
    ("«'event.data.gift'»", "FL212"),
    # constants that cannot be right
    ("event.data.id.matches(«'['»)", "FL216"),
    ("event.data.id.matches(«'(?<!x)y'»)", "FL216"),
    ("timestamp(event.data.placed_at) > timestamp(«'2026-02-30T00:00:00Z'»)", "FL216"),
    ("timestamp(event.data.placed_at) > timestamp(«'2026-02-01'»)", "FL216"),
    ("duration(«'5 min'») > duration('1m')", "FL216"),
    ("timestamp(event.data.placed_at).getHours(«'Vienna'») > 12", "FL216"),
    ("'%s-%s'.format(«[event.data.id]») == ''", "FL216"),
    # comparisons that are never true
    ("event.data.status == «'done'»", "FL217"),
    ("event.data.status in ['paid', «'send'»]", "FL217"),
    ("«event.data.total == null»", "FL217"),
]

WAYS = {
    "plain": "    if: {}\n",
    "quoted": '    if: "{}"\n',
    "in braces": "    if: ${{{{ {} }}}}\n",
    "folded": "    if: >-\n      {}\n",
    "a literal block": "    if: |-\n      {}\n",
}


def _pipeline(condition: str) -> str:
    head = "flowlang: 1\npipeline: p\ntriggers: [{event: shop/order-placed}]\nsteps:\n  - id: a\n"
    return f"{head}{condition}    uses: any.thing\n"


def _place(text: str) -> tuple[int, int]:
    before = text[: text.index("«")]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


@pytest.mark.parametrize("way", sorted(WAYS))
def test_every_mistake_is_found_at_its_place(way: str) -> None:
    assert len(CONDITIONS) >= 60
    for condition, code in CONDITIONS:
        if way in {"plain", "in braces"} and (": " in condition or condition.lstrip("«").startswith("'")):
            continue  # what YAML reads otherwise has findings of its own
        marked = _pipeline(WAYS[way].format(condition))
        compiled = compile_text(marked.replace("«", "").replace("»", ""), schemas=SCHEMAS)
        assert findings(compiled) == [(code, *_place(marked))], condition


VALUES = [
    ('    set: {x: "${{ event.data.«totl» }}"}\n', "FL214"),
    ("    set:\n      x: for ${{ event.data.id }} and ${{ event.data.«notte» }}\n", "FL214"),
    ("    set:\n      x: >-\n        one ${{ event.data.id }}\n        two ${{ event.data.«statuss» }}\n", "FL214"),
    ("    set:\n      x: ${{ event.data.customer.«name» }}\n", "FL213"),
    ("    set:\n      deep: {list: ['${{ event.data.id }}', '${{ «event.data.id + 1» }}']}\n", "FL211"),
    ('    set: {x: "to ${{ «event.data.phone» }}"}\n', "FL215"),
    ('    set: {x: "\\u00fc ${{ event.data.«idd» }}"}\n', "FL214"),
    ("    foreach: {in: «event.data.quantity», as: q}\n    set: {x: 1}\n", "FL211"),
    ("    foreach: {in: event.data.lines, as: line}\n    set: {x: '${{ line.«skus» }}'}\n", "FL214"),
    ("    foreach: {in: event.data.lines, as: line}\n    set: {x: '${{ line.«discount» }}'}\n", "FL213"),
    (
        (
            "    foreach: {in: event.data.lines, as: line}\n    uses: any.thing\n"
            '    collect: "${{ results.map(r, r.item.«skuu») }}"\n'
        ),
        "FL214",
    ),
    ("    switch:\n      - {if: «event.data.id», set: {x: 1}}\n".replace("set", "id: b, set"), "FL212"),
]


@pytest.mark.parametrize(("body", "code"), VALUES)
def test_a_mistake_in_a_value_is_found_at_its_place(body: str, code: str) -> None:
    head = "flowlang: 1\npipeline: p\ntriggers: [{event: shop/order-placed}]\nsteps:\n  - id: a\n"
    compiled = compile_text((head + body).replace("«", "").replace("»", ""), schemas=SCHEMAS)
    assert findings(compiled) == [(code, *_place(head + body))]


def test_what_a_step_makes_has_a_type_for_those_after_it() -> None:
    text = """\
flowlang: 1
pipeline: p
triggers: [{event: shop/order-placed}]
vars: {cents: "${{ event.data.lines.map(l, l.cents) }}"}
steps:
  - id: sums
    set: {count: "${{ event.data.lines.size() }}", first: "${{ event.data.lines[0] }}"}
  - id: check
    if: steps.sums.output.count > 1 && steps.sums.output.first.skk == '' && vars.cents.exists(c, c == '1')
    uses: any.thing
"""
    assert [code for code, _, _ in findings(compile_text(text, schemas=SCHEMAS))] == ["FL214", "FL211"]


GUARDED = [
    "  - id: a\n    if: has(event.data.note)\n    set: {x: '${{ event.data.note }}'}\n",
    "  - {stop: null, if: '!has(event.data.note)'}\n  - id: a\n    set: {x: '${{ event.data.note }}'}\n",
    "  - {fail: {code: no.phone}, if: event.data.phone == null}\n  - id: a\n    set: {x: 'call ${{ event.data.phone }}'}\n",
    "  - id: a\n    if: has(event.data.note)\n    steps:\n      - {id: b, set: {x: '${{ event.data.note }}'}}\n",
    (
        "  - id: a\n    switch:\n      - {id: b, if: '!has(event.data.note)', set: {x: 1}}\n"
        "      - {id: c, set: {x: '${{ event.data.note }}'}}\n"
    ),
    (
        "  - id: a\n    if: has(event.data.rates)\n    foreach: {in: 'event.data.rates.map(k, k)', as: k}\n"
        "    set: {x: '${{ event.data.rates[k] }}'}\n"
    ),
]


@pytest.mark.parametrize("steps", GUARDED)
def test_a_condition_guards_what_runs_only_where_it_holds(steps: str) -> None:
    text = f"flowlang: 1\npipeline: p\ntriggers: [{{event: shop/order-placed}}]\nsteps:\n{steps}"
    assert findings(compile_text(text, schemas=SCHEMAS)) == []


def test_a_condition_guards_nothing_beside_what_it_is_about() -> None:
    text = """\
flowlang: 1
pipeline: p
triggers: [{event: shop/order-placed}]
steps:
  - {id: a, if: has(event.data.note), set: {x: 1}}
  - {id: b, set: {x: "${{ event.data.note }}"}}
"""
    assert findings(compile_text(text, schemas=SCHEMAS)) == [("FL213", 6, 38)]


def test_a_trigger_sees_the_event_as_it_came_and_the_steps_what_it_made_of_it() -> None:
    text = """\
flowlang: 1
pipeline: p
input: {type: object, properties: {order: {type: string}, urgent: {type: boolean, default: false}}, required: [order]}
triggers:
  - event: shop/order-placed
    if: event.data.totl > 1.0 && has(event.data.note)
    data: {order: "${{ event.data.id }}: ${{ event.data.note }}"}
steps:
  - {id: a, if: event.data.urgent, set: {x: "${{ event.data.id }}"}}
"""
    assert findings(compile_text(text, schemas=SCHEMAS)) == [("FL214", 6, 20), ("FL214", 9, 61)]


def test_a_fail_that_is_caught_says_nothing_of_what_follows() -> None:
    step = "{if: event.data.phone == null, fail: {code: no.phone}%s}"
    text = """\
flowlang: 1
pipeline: p
triggers: [{event: shop/order-placed}]
steps:
  - %s
  - {id: a, set: {x: "call ${{ event.data.phone }}"}}
"""
    assert findings(compile_text(text % (step % ""), schemas=SCHEMAS)) == []
    caught = step % ", catch: {errors: no.phone, steps: [{id: b, set: {x: '${{ error.code }}'}}]}"
    assert findings(compile_text(text % caught, schemas=SCHEMAS)) == [("FL215", 6, 32)]


def test_several_events_say_nothing_of_the_data() -> None:
    text = """\
flowlang: 1
pipeline: p
triggers: [{event: [shop/order-placed, shop/other]}]
steps:
  - {id: a, if: event.data.whatever, set: {x: 1}}
"""
    assert findings(compile_text(text, schemas=SCHEMAS)) == []
