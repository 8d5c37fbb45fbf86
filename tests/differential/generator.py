"""Expressions and data at random, the same for the same seed: well typed mostly, confused now and then.

Functions come from the registry, so that a new one is generated at once; operators, macros and literals are the tables
below. A hole such as `{int}` is filled by an expression of that type; `$v` names a new variable, which the holes behind
it may use. Data follow types that are made first, so that the checker can be told them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Final

from flowlang.expr import Duration, Optional, Timestamp, UInt
from flowlang.expr.registry import Function, functions
from flowlang.expr.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    Field,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    Scalar,
    Type,
    is_dyn,
    nullable,
)
from tests.unit.expr import typed_expressions

#: How often a hole is filled with an expression of another type than its own.
CONFUSION: Final = 0.02
#: How often a text is damaged after it was made, so that the parsers are compared as well.
DAMAGE: Final = 0.05
#: How often a case comes from `typed_expressions`, which never mistakes a type.
TYPED: Final = 0.15
#: How often a case may use what only FlowLang has.
OWN: Final = 0.1

LITERALS: Final[dict[str, tuple[str, ...]]] = {
    "int": tuple(
        """0 1 2 3 -1 -2 7 10 63 64 100 255 0x1F -0x10 9007199254740993 9223372036854775807 -9223372036854775808
        9223372036854775806 4611686018427387904 1700000000""".split()  # noqa: SIM905 - a table
    ),
    "uint": tuple("0u 1u 2u 3U 7u 0xFFu 18446744073709551615u 9223372036854775808u 64u".split()),  # noqa: SIM905
    "double": (
        "0.0", "-0.0", "1.0", "1.5", "-1.5", "2.5", "0.5", "-0.5", "3.14", "1e3", ".5", "1e-7", "1e300", "-1e300",
        "9223372036854775807.0", "18446744073709551616.0", "9007199254740993.0", "123456789.0", "1e21", "1e6", "0.1",
        "1.0 / 0.0", "-1.0 / 0.0", "0.0 / 0.0", "0.1 + 0.2", "4.9e-324", "1.7976931348623157e308", "100.0",
    ),
    "string": (
        "''", "'a'", "'b'", "'abc'", "'ABC'", "'hello world'", "'1'", "'-1'", "'1.5'", "'true'", "'a,b,c'", "'k'",
        "'é'", "'😀x'", "'ÿ'", "'e\\u0301'", "'\\t a \\n'", "'\\u00a0a\\u2003'", r"r'\d+'", r"'\\d+'", "'a\\'b\"c'",
        '"q"', "'''t'q'''", '"""x"y"""', "r'\\n'", 'R"raw"', "'\\x41\\101'", "'İıſK'", "'Aé'", "'a.b'", "'%s'", "'a\\x00b'",
    ),
    "digits": (
        "'1'", "'-1'", "'0'", "'12'", "'+1'", "'-0'", "'007'", "' 1'", "'1 '", "'9223372036854775808'", "'18446744073709551615'",
        "'-9223372036854775808'", "'0x1F'", "'1_0'", "''", "'1u'", "'٣'", "'1.0'",
    ),
    "decimal": (
        "'1.5'", "'1e3'", "'-2.5e-3'", "'inf'", "'-inf'", "'NaN'", "'Infinity'", "'.5'", "'1.'", "'1e400'", "'0x1p3'", "'1'",
        "'1e'", "'+1.5'", "'-0'", "'1_0.0'", "'1.5 '", "'123456789012345678901234567890'", "'nan'",
    ),
    "truth": ("'true'", "'false'", "'TRUE'", "'True'", "'t'", "'f'", "'1'", "'0'", "'yes'", "'FALSE'", "'tRue'"),
    "moment": (
        "'2020-01-02T03:04:05Z'", "'2020-01-02T03:04:05.678901234+05:30'", "'2020-02-30T00:00:00Z'", "'2024-02-29T23:59:59.999Z'",
        "'0001-01-01T00:00:00Z'", "'9999-12-31T23:59:59.999999999Z'", "'2020-01-02t03:04:05z'", "'2020-01-02 03:04:05Z'",
        "'2020-01-02T03:04:05'", "'2020-01-02T24:00:00Z'", "'2020-01-02T23:59:60Z'", "'2020-01-02T03:04:05.1234567891Z'",
        "'0001-01-01T00:00:00+01:00'", "'2020-01-02T03:04:05-00:00'", "'2020-01-02T03:04:05,5Z'", "'1969-12-31T23:59:59.5Z'",
    ),
    "span": (
        "'0s'", "'1h30m'", "'-1.5s'", "'1ns'", "'1us'", "'1µs'", "'250ms'", "'-2h45m10.5s'", "'315576000000s'", "'999999h'", "'0'",
        "'+1s'", "'.5s'", "'1.s'", "'1'", "''", "'1s1h'", "'-'", "'1.0000000001s'", "'315576000001s'", "'1h-30m'", "'9223372036s'",
    ),
    "own span": ("'1d'", "'2w'", "'1d12h'", "'-1w2d'", "'0.5d'"),
    "zone": (
        "'UTC'", "'Europe/Berlin'", "'America/New_York'", "'Asia/Kolkata'", "'+01:00'", "'-08:00'", "'+05:30'", "'05:30'", "''",
        "'-00:30'", "'Nowhere/Land'", "'+25:00'", "'1:00'", "'Australia/Lord_Howe'",
    ),
    "base64": ("'aGVsbG8='", "'aGVsbG8'", "''", "'YQ=='", "'Y'", "'_-8='", "'+/8='", "'YQ==YQ=='", "'Y Q=='", "'YR=='"),
    "pattern": (
        "'(a)(b)'", "'(b)'", "'[a-c]'", "'^a'", "'('", r"'\\d'", "'a$'", "'.'", "''", "'(?i)A'", r"r'\bb'", r"r'\pL'", "'a*'", "'a|b'",
        "'(?P<n>a)'", r"r'(a)\1'", "'[[:alpha:]]+'", "'a{2,3}'", r"r'\s'", "'(?s).'", "'(?=a)'", "'a**'", r"r'\w+'", "'é'", "'(a+)+$'",
    ),
    "rewrite": (r"r'\1'", r"r'\0x'", "'x'", "''", r"r'\\'", r"r'\2'", r"r'[\0]'"),
    "bytes": (
        "b''", "b'a'", "b'abc'", "b'\\xff\\x00'", "b'é'", "br'\\n'", 'B"x"', "b'\\303\\251'", "b'''t'''", "rb'x'",
    ),
    "bool": ("true", "false"),
    "null": ("null",),
    "timestamp": (
        "timestamp(0)", "timestamp('2020-02-29T23:59:59.999999999Z')", "timestamp('0001-01-01T00:00:00Z')",
        "timestamp('9999-12-31T23:59:59.999999999Z')", "timestamp('2024-03-31T01:30:00.5+01:00')",
        "timestamp('1969-12-31T23:59:59.25Z')", "timestamp(1700000000)", "timestamp('2021-11-07T06:30:00Z')",
        "timestamp('1890-01-01T00:00:00Z')", "timestamp('2050-07-01T12:00:00Z')",
    ),
    "duration": (
        "duration('0s')", "duration('1h30m')", "duration('-1.5s')", "duration('1ns')", "duration('1us')",
        "duration('250ms')", "duration('-2h45m10.5s')", "duration('315576000000s')", "duration('999999h')",
    ),
    "ints": ("[]", "[1, 2, 3]", "[3, 1, 2]", "[1, 1, 2]", "[0]", "[-1, 9223372036854775807]", "[1,]"),
    "numbers": ("[1, 1u, 1.0]", "[2u, 1u]", "[1.5, -2.5]", "[0.0 / 0.0]", "[0.0 / 0.0, 1.0]", "[1, 2.0]", "[]", "[-0.0, 0.0]"),
    "strings": ("['a', 'b', 'a']", "['x']", "['b', 'a', 'c']", "[]", "['', 'a']", "['é', 'e']"),
    "optionals": ("[optional.of(1), optional.none()]", "[]", "[{}.?a]", "[optional.of('a')]"),
    "list": (
        "[]", "[1, 2, 3]", "['a', 'b', 'a']", "[true, false]", "[[1], [2, [3]]]", "[1, 'a', null]", "[{'a': 1}, {'a': 2}]",
        "[timestamp(0)]", "[duration('1s'), duration('2s')]", "[b'a']", "[null]", "[[], [[]]]", "[{}, {1: 1}, {1u: 1}]",
    ),
    "map": (
        "{}", "{'a': 1}", "{'a': 1, 'b': 2}", "{1: 'x', 2: 'y'}", "{true: 1, false: 0}", "{1u: 'u', 2: 'i'}",
        "{'a': {'b': {'c': 5}}}", "{'k': null}", "{'l': [1, 2]}", "{true: 'b', 1: 'i'}", "{'a': 1.0,}", "{0: 0, 1: 1}",
    ),
    "optional": (
        "optional.none()", "optional.of(1)", "optional.of('a')", "optional.of(null)", "{'a': 1}.?a", "{}.?a",
        "[1, 2][?0]", "[][?0]", "optional.of({'a': {'b': 1}})", "optional.of([1, 2])", "optional.ofNonZeroValue(0)",
    ),
    "type": (
        "int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type", "type",
        "google.protobuf.Timestamp", "google.protobuf.Duration", "optional_type",
    ),
}  # fmt: skip

TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "int": (
        "{int} + {int}", "{int} - {int}", "{int} * {int}", "{int} / {int}", "{int} % {int}", "-{int}", "({int})",
        "int({int})", "int({digits})", "int({double})", "{list}.map($v, {int})[{small}]", "[{int}, {int}][{small}]",
        "{'a': {int}}.a", "{'a': {int}}['a']", "{bool} ? {int} : {int}", "cel.bind($v, {int}, {int})",
        "optional.of({int}).orValue({int})", "dyn({int})", "{timestamp}.getHours({zone})", "{timestamp}.getDayOfYear({zone})",
        "{ints}[{small}]", "{ints}.filter($v, {bool}).size()",
    ),
    "uint": (
        "{uint} + {uint}", "{uint} - {uint}", "{uint} * {uint}", "{uint} / {uint}", "{uint} % {uint}",
        "{bool} ? {uint} : {uint}", "uint({int})", "uint({digits})", "uint({double})", "cel.bind($v, {uint}, {uint})",
    ),
    "double": (
        "{double} + {double}", "{double} - {double}", "{double} * {double}", "{double} / {double}", "-{double}",
        "{bool} ? {double} : {double}", "double({int})", "double({decimal})", "math.greatest({double}, {double})",
    ),
    "string": (
        "{string} + {string}", "string({text})", "{bool} ? {string} : {string}", "{'k': {string}}.k", "({string})",
        "{string}.format([{scalar}, {scalar}])", "'%s'.format([{dyn}])", "'%d'.format([{int}])", "'%x'.format([{int}])",
        "'%.{digit}f'.format([{double}])", "'%.{digit}e'.format([{double}])", "'%b'.format([{int}])",
        "'%s|%s'.format([{list}, {map}])", "'%X'.format([{bytes}])", "'%o'.format([{uint}])", "'%f'.format([{double}])",
        "'%e'.format([{double}])", "'%d%%'.format([{uint}])", "'%s %s'.format([{scalar}, {scalar}])",
        "'%x'.format([{string}])", "'%d'.format([{double}])", "'%s'.format([{list}])",
        "{list}.map($v, string({text})).join({string})", "{string}.split({string}).join({string})",
        "{strings}[{small}]", "{string}.charAt({small})", "{string}.substring({small})", "{string}.substring({small}, {small})",
        "regex.replace({string}, {pattern}, {rewrite})", "{strings}.join({string})",
    ),
    "bytes": ("{bytes} + {bytes}", "bytes({string})", "{bool} ? {bytes} : {bytes}"),
    "bool": (
        "{int} == {int}", "{dyn} == {dyn}", "{dyn} != {dyn}", "{number} < {number}", "{number} >= {number}",
        "{string} < {string}", "{bytes} <= {bytes}", "{bool} > {bool}", "{timestamp} < {timestamp}",
        "{duration} >= {duration}", "{number} == {number}", "{list} == {list}", "{map} == {map}", "{number} <= {number}",
        "{bool} && {bool}", "{bool} || {bool}", "!{bool}", "{bool} && {bool} && {bool}", "{bool} || {bool} || {bool}",
        "{bool} ? {bool} : {bool}", "{dyn} in {list}", "{key} in {map}", "{string} in {map}", "{number} in {numbers}",
        "has({map}.a)", "has({map}.a.b)", "has({optional}.a)", "{list}.all($v, {bool})", "{list}.exists($v, {bool})",
        "{list}.exists_one($v, {bool})", "{map}.all($k, {bool})", "{map}.exists($k, {bool})", "{optional} == {optional}",
        "{list}.all($i, $v, {bool})", "{list}.exists($i, $v, {bool})", "{map}.exists($k, $v, {bool})",
        "{list}.existsOne($i, $v, {bool})", "{map}.all($k, $v, {bool})", "{type} == {type}", "type({dyn}) == {type}",
        "{int} / 0 == 1 || {bool}", "{bool} && 1 / 0 == {int}", "{bytes} == {bytes}", "{string}.matches({pattern})",
        "{ints}.exists($v, {int} > {int})", "{strings}.all($v, {string} != {string})", "{string} in {strings}", "bool({truth})",
        "{list}.existsOne($v, {bool})", "{int} in {ints}", "{ints}.exists_one($v, $v == {int})", "{string} == {string}",
    ),
    "null": ("{bool} ? null : {null}", "{'a': null}.a"),
    "timestamp": (
        "{timestamp} + {duration}", "{duration} + {timestamp}", "{timestamp} - {duration}", "timestamp({moment})", "timestamp({int})",
    ),
    "duration": (
        "{duration} + {duration}", "{duration} - {duration}", "{timestamp} - {timestamp}", "duration({span})",
    ),
    "ints": (
        "[{int}, {int}, {int}]", "{ints} + {ints}", "{list}.map($v, {int})", "{ints}.filter($v, {bool})", "lists.range({small})",
        "{ints}.map($v, {int})", "{ints}.map($v, {bool}, {int})", "{ints}.transformList($i, $v, {int})", "{ints}.sort()",
    ),
    "numbers": ("[{number}, {number}]", "[{double}, {double}]", "[{uint}]", "{ints}.map($v, double($v))", "{numbers}.sort()"),
    "strings": (
        "[{string}, {string}]", "{list}.map($v, {string})", "{strings}.filter($v, {bool})", "{string}.split({string})",
        "{string}.split({string}, {small})", "{map}.map($k, string($k))", "{strings}.sort()",
        "regex.extractAll({string}, {pattern})",
    ),
    "optionals": ("[{optional}]", "[{optional}, {optional}]"),
    "list": (
        "[{dyn}, {dyn}]", "[{dyn}]", "[?{optional}, {dyn}]", "{ints}", "{strings}", "{numbers}",
        "{list} + {list}", "{list}.map($v, {dyn})", "{list}.filter($v, {bool})", "{list}.map($v, {bool}, {dyn})",
        "{map}.map($k, {dyn})", "{map}.filter($k, {bool})", "{list}.transformList($i, $v, {dyn})",
        "{map}.transformList($k, $v, {dyn})", "{list}.transformList($i, $v, {bool}, {dyn})", "{list}.sortBy($v, {scalar})",
        "{ints}.sortBy($v, {int})", "{strings}.sortBy($v, {string})", "{bool} ? {list} : {list}",
        "cel.bind($v, {list}, {list})", "[{list}, {list}]", "[[{int}], [{int}, [{int}]]]", "{list}.slice({small}, {small})",
        "{list}.flatten({small})", "{strings}.distinct()", "{numbers}.distinct()",
    ),
    "map": (
        "{{string}: {dyn}}", "{{string}: {dyn}, {string}: {dyn}}", "{'a': {dyn}, 'b': {dyn}}", "{'a': {map}}",
        "{?{string}: {optional}, 'z': {dyn}}", "{{key}: {int}}", "{{int}: {int}, {uint}: {int}}", "{{bool}: {int}, {int}: {int}}",
        "{bool} ? {map} : {map}", "cel.bind($v, {map}, {map})", "{'a': {dyn}, ?'b': {optional}}",
    ),
    "optional": (
        "optional.of({dyn})", "{map}.?a", "{map}.?a.b", "{map}.?a.?b", "{map}[?{key}]", "{list}[?{small}]", "{optional}.a",
        "{optional}.?a", "{optional}[?{small}]", "{optional}['a']", "{optional}.optMap($v, {dyn})", "{optional}[{small}]",
        "{optional}.optFlatMap($v, {optional})", "{optional}.or({optional})", "{bool} ? {optional} : {optional}",
        "optional.ofNonZeroValue({dyn})", "{list}.first()", "regex.extract({string}, {pattern})",
    ),
    "type": ("type({dyn})", "type({type})"),
    "dyn": (
        "{map}.a", "{map}['a']", "{map}[{key}]", "{list}[{small}]", "{numbers}[{number}]", "{map}.a.b", "dyn({dyn})",
        "{optional}.orValue({dyn})", "{optional}.value()", "{bool} ? {dyn} : {dyn}", "cel.bind($v, {dyn}, {dyn})",
    ),
}  # fmt: skip
#: What only FlowLang has, or the reference not behind this wrapper.
OWN_TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "int": ("sum({ints})", "sum({ints}.map($v, {int}))"),
    "double": ("sum([{double}, {double}])",),
    "string": ("hash({dyn})", "json({dyn})", "uuid()"),
    "timestamp": ("now()",),
    "duration": ("duration({own span})", "now() - {timestamp}", "sum([{duration}])"),
    "bool": ("isIP({address})", "cidr({network}).containsIP({address})", "ip({address}).isLoopback()", "isCIDR({network})"),
    "map": (
        "{map}.transformMap($k, $v, {dyn})", "{list}.transformMap($i, $v, {dyn})", "{list}.transformMap($i, $v, {bool}, {dyn})",
        "{list}.transformMapEntry($i, $v, {map})", "{map}.transformMapEntry($k, $v, {$k: {dyn}})",
    ),
    "dyn": ("ip({address})", "cidr({network})", "cidr({network}).masked()"),
}  # fmt: skip
LITERALS["address"] = ("'10.0.0.1'", "'::1'", "'1.2.3'", "'::ffff:1.2.3.4'", "'fe80::1%eth0'", "'127.0.0.1'")
LITERALS["network"] = ("'10.0.0.0/8'", "'::/0'", "'10.1.2.3/16'", "'10.0.0.1'", "'10.0.0.0/33'")

_CHOICES: Final = {"digit": ("0", "1", "2", "3", "10")}
_GROUPS: Final = {
    "scalar": ("int", "uint", "double", "string", "bool", "bytes", "timestamp", "duration", "null"),
    "text": ("int", "uint", "double", "string", "bool", "bytes", "timestamp", "duration"),
    "number": ("int", "uint", "double"),
    "key": ("string", "string", "int", "uint", "bool", "double"),
}
LITERALS["small"] = ("0", "1", "2", "3", "5", "-1")
_KINDS: Final = (*_GROUPS["scalar"], "list", "map", "optional", "type")
_HOLE: Final = re.compile(r"\{(\w[\w ]*)\}|\$(\w)")
#: Which texts and lists functions want; what they do with others is seen often enough.
_ARGUMENTS: Final[dict[tuple[str, int], str]] = {
    ("int", 0): "digits", ("uint", 0): "digits", ("double", 0): "decimal", ("bool", 0): "truth", ("timestamp", 0): "moment",
    ("duration", 0): "span", ("matches", 1): "pattern", ("base64.decode", 0): "base64", ("math.greatest", 0): "number",
    ("math.least", 0): "number", ("charAt", 1): "small", ("substring", 1): "small", ("substring", 2): "small",
    ("regex.extract", 1): "pattern", ("regex.extractAll", 1): "pattern", ("regex.replace", 1): "pattern",
    ("regex.replace", 2): "rewrite", ("regex.replace", 3): "small", ("indexOf", 2): "small", ("lastIndexOf", 2): "small",
    ("slice", 1): "small", ("slice", 2): "small", ("flatten", 1): "small", ("split", 2): "small", ("replace", 3): "small",
    ("join", 0): "strings", ("unwrapOpt", 0): "optionals", ("optional.unwrap", 0): "optionals", ("lists.range", 0): "small",
    ("math.bitShiftLeft", 1): "small", ("math.bitShiftRight", 1): "small",
}  # fmt: skip
#: Made by templates alone: FlowLang's own, and `lists.range`, for which the reference has no bound.
_SKIPPED: Final = frozenset({"now", "uuid", "hash", "json", "sum", "dyn", "lists.range"})
_CHARACTERS: Final = "()[]{},.?:+-*/%<>=!&|'\"\\`1a_0xu eE \n\tx\u00e9b;#$@r"

#: Names that data have, with their types where they are always the same; `order` is that of `typed_expressions`.
NAMES: Final[dict[str, Type]] = {
    "x": DYN, "y": DYN, "z": DYN, "l": ListOf(DYN), "m": MapOf(STRING, DYN), "n": INT, "s": STRING, "d": DOUBLE, "b": BOOL,
    "u": UINT, "t": TIMESTAMP, "p": DURATION, "q": BYTES,
}  # fmt: skip
_NAMED: Final = {
    "int": "n", "string": "s", "double": "d", "list": "l", "map": "m", "bool": "b", "uint": "u", "timestamp": "t", "duration": "p",
    "bytes": "q",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """An expression with the values of its names.

    Args:
        seed: What it was made from.
        text: The expression.
        bindings: What both implementations are given.
        types: The types that the names were promised to have.
        others: More data of these types, for our own tiers.
        wild: Data of any type, for our own tiers without types.
    """

    seed: int
    text: str
    bindings: Mapping[str, Any]
    types: Mapping[str, Type] = field(default_factory=dict)
    others: tuple[Mapping[str, Any], ...] = ()
    wild: tuple[Mapping[str, Any], ...] = ()


def generate(seed: int) -> Case:
    """Make the case of a seed."""
    random = Random(seed)
    return _typed_case(seed, random) if random.random() < TYPED else _Maker(random).case(seed)


def _typed_case(seed: int, random: Random) -> Case:
    kind = random.choice(("bool", "bool", "int", "double", "string", "ints", "strings", "lines", "optional", "time"))
    text = typed_expressions.expression(random, kind, random.choice((1, 2, 3, 4)))
    first, *others = (typed_expressions.data(random) for _ in range(4))
    return Case(
        seed, text, first, {"order": typed_expressions.ORDER}, tuple(others), ({"order": _Data(random).any(2)},)
    )


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._names: list[str] = []
        self._budget = random.choice((1, 2, 3, 4, 6, 9, 14))
        self._own = random.random() < OWN

    def case(self, seed: int) -> Case:
        text = self.fill("dyn")
        if self._random.random() < DAMAGE:
            text = self._damaged(text)
        data = _Data(self._random)
        types = {name: data.type(2) if is_dyn(type_) else type_ for name, type_ in NAMES.items()}
        if self._random.random() < 0.7:
            types["l"], types["m"] = ListOf(data.type(1)), MapOf(STRING, data.type(1))
        first, *others = ({name: data.value(type_) for name, type_ in types.items()} for _ in range(3))
        wild = tuple({name: data.any(2) for name in NAMES} for _ in range(2))
        return Case(seed, text, first, types, tuple(others), wild)

    def fill(self, kind: str) -> str:
        choose = self._random
        if kind in _CHOICES:
            return choose.choice(_CHOICES[kind])
        if choose.random() < CONFUSION:
            kind = choose.choice(_KINDS)
        kind = choose.choice(_GROUPS[kind]) if kind in _GROUPS else kind
        if kind == "dyn" and choose.random() < 0.85:
            kind = choose.choice(_KINDS)
        if kind == "list" and choose.random() < 0.3:
            kind = choose.choice(("ints", "strings", "numbers"))
        if self._budget <= 0 or (choose.random() < 0.2 and self._budget < 12):
            return self._leaf(kind)
        self._budget -= 1
        if self._own and kind in OWN_TEMPLATES and choose.random() < 0.3:
            return self._template(choose.choice(OWN_TEMPLATES[kind]))
        templates = TEMPLATES.get(kind, ())
        calls = _calls().get(kind, ())
        if calls and (not templates or choose.random() < 0.5):
            return self._call(*choose.choice(calls))
        return self._template(choose.choice(templates)) if templates else self._leaf(kind)

    def _leaf(self, kind: str) -> str:
        choose = self._random
        if self._names and kind not in _ARGUMENTS.values() and choose.random() < 0.4:
            return choose.choice(self._names)
        if kind == "dyn" or (kind in _NAMED and choose.random() < 0.2):
            return _NAMED[kind] if kind in _NAMED and choose.random() < 0.8 else choose.choice(tuple(NAMES))
        return choose.choice(LITERALS[kind])

    def _template(self, template: str) -> str:
        named: dict[str, str] = {}

        def replace(found: re.Match[str]) -> str:
            if found[2]:
                return named.setdefault(found[2], self._random.choice(("v", "w", "k", "x", "e")))
            depth = len(self._names)
            self._names.extend(named.values())
            filled = self.fill(found[1])
            del self._names[depth:]
            return f"({filled})" if self._needs_parentheses(found, filled) else filled

        return _HOLE.sub(replace, template)

    def _needs_parentheses(self, hole: re.Match[str], filled: str) -> bool:
        """Usually keep the tree that was meant; now and then let the operators' precedence decide."""
        before, behind = hole.string[: hole.start()], hole.string[hole.end() :]
        alone = before.endswith(("(", "[", ", ")) and behind[:1] in {")", "]", ","}
        simple = re.fullmatch(r"\w+|'[^']*'|[\w.]+\([^()]*\)", filled) is not None
        return not alone and not simple and self._random.random() < 0.9

    def _call(self, function: Function, parameters: tuple[str, ...]) -> str:
        if function.any_count:
            parameters = parameters * self._random.choice((1, 1, 2, 3))
        filled = [self.fill(self._kind(function.name, place, name)) for place, name in enumerate(parameters)]
        if not function.method:
            return f"{function.name}({', '.join(filled)})"
        target = filled[0] if re.fullmatch(r"\w+(\([^()]*\))?|'[^']*'", filled[0]) else f"({filled[0]})"
        return f"{target}.{function.name}({', '.join(filled[1:])})"

    def _kind(self, function: str, place: int, parameter: str) -> str:
        """Which kind of expression fills a parameter."""
        wanted = _ARGUMENTS.get((function, place))
        if wanted is not None and (place > 0 or parameter in {"string", "dyn"} or parameter.startswith("list")):
            return wanted
        if function.startswith("get") and place == 1:
            return "zone"
        if function == "sort" or (function.startswith("sets.") and self._random.random() < 0.7):
            return self._random.choice(("ints", "strings", "numbers"))
        return _kind(parameter)

    def _damaged(self, text: str) -> str:
        for _ in range(self._random.choice((1, 1, 1, 2, 3))):
            place = self._random.randrange(len(text) + 1)
            match self._random.randrange(4):
                case 0:
                    text = text[:place] + self._random.choice(_CHARACTERS) + text[place:]
                case 1:
                    text = text[:place] + text[place + 1 :]
                case 2:
                    other = self._random.randrange(len(text) + 1)
                    text = text[: min(place, other)] + text[max(place, other) :]
                case _:
                    text = text[:place] + self._random.choice(_CHARACTERS) + text[place + 1 :]
        return text


#: Values of scalar types, near the borders where Python and the language part.
_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "bool": (True, False),
    "int": (0, 1, -1, 2, 3, -3, 10, 41, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63)),
    "uint": (UInt(0), UInt(1), UInt(2), UInt(64), UInt(2**63), UInt(2**64 - 1)),
    "double": (0.0, 1.0, -1.5, 2.5, -0.0, 1e10, 0.1, 1e300, 3.0, float(2**53), float(2**63)),
    "string": ("", "a", "b", "abc", "é", "10", "1", "héllo", "😀", "2026-06-10T12:00:00Z", "1h", "k", "ABC"),
    "bytes": (b"", b"a", b"\xff\x00", "é".encode()),
    "null": (None,),
    "timestamp": tuple(
        map(Timestamp.parse, ("1970-01-01T00:00:00Z", "2026-06-10T12:00:00.25+02:00", "0001-01-01T00:00:00Z"))
    ),
    "duration": (Duration(0), Duration(1), Duration(-5_400_000_000_000), Duration(86_400_000_000_000)),
}


_KEYS: Final = ("a", "b", "c", "k")


class _Data:
    """Makes types as schemas give them, values of types, and values of no particular type."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def type(self, depth: int) -> Type:
        choose = self._random
        match choose.randrange(12 if depth else 8):
            case 0:
                return DYN
            case 1:
                return nullable(choose.choice((INT, STRING, DOUBLE, BOOL)))
            case 2:
                return Scalar("int", minimum=-10, maximum=choose.choice((10, 1000)))
            case 3:
                return Scalar("string", tuple(choose.sample(("a", "b", "c", "10"), 2)))
            case 4 | 5 | 6 | 7:
                return choose.choice((INT, INT, DOUBLE, STRING, STRING, BOOL))
            case 8:
                return ListOf(self.type(depth - 1))
            case 9:
                return MapOf(STRING, self.type(depth - 1))
            case _:
                fields = {
                    name: Field(self.type(depth - 1), required=choose.random() < 0.7)
                    for name in choose.sample(_KEYS, choose.randint(1, 3))
                }
                return ObjectOf("", fields, DYN if choose.random() < 0.2 else None)

    def value(self, type_: Type) -> Any:
        choose = self._random
        match type_:
            case Nullable(inner):
                return None if choose.random() < 0.4 else self.value(inner)
            case ListOf(element):
                return [self.value(element) for _ in range(choose.randrange(4))]
            case MapOf(_, member):
                return {name: self.value(member) for name in choose.sample(_KEYS, choose.randrange(3))}
            case ObjectOf():
                fields = type_.fields.items()
                return {name: self.value(part.type) for name, part in fields if part.required or choose.random() < 0.5}
            case Scalar("dyn"):
                return self.json(1)
            case Scalar(_, values) if values is not None:
                return choose.choice(values)
            case Scalar("int", _, minimum, maximum) if minimum is not None and maximum is not None:
                return choose.choice((int(minimum), int(maximum), 0, 1, choose.randint(int(minimum), int(maximum))))
            case Scalar(kind):
                return choose.choice(_VALUES[kind])
            case _:
                raise AssertionError(type_)

    def json(self, depth: int) -> Any:
        """A JSON value of any type."""
        choose = self._random
        match choose.randrange(9 if depth else 7):
            case 0:
                return None
            case 7:
                return [self.json(depth - 1) for _ in range(choose.randrange(3))]
            case 8:
                return {name: self.json(depth - 1) for name in choose.sample(_KEYS, choose.randrange(3))}
            case _:
                return choose.choice(_VALUES[choose.choice(("bool", "int", "int", "double", "string", "string"))])

    def any(self, depth: int) -> Any:
        """A value of any type, those that are no JSON included."""
        choose = self._random
        if choose.random() < 0.7:
            return self.json(depth)
        match choose.randrange(6 if depth else 4):
            case 0:
                return choose.choice(_VALUES[choose.choice(("uint", "bytes", "timestamp", "duration"))])
            case 1:
                return choose.choice((float("nan"), float("inf"), float("-inf"), 2**63, 2**70))
            case 2:
                return Optional.NONE if choose.random() < 0.5 else Optional.of(self.json(0))
            case 3:
                return choose.choice(("a" * 70, "é" * 300, (1, 2)))
            case 4:
                return [self.any(depth - 1) for _ in range(choose.randrange(4))]
            case _:
                return {name: self.any(depth - 1) for name in choose.sample(_KEYS, choose.randrange(3))}


def _kind(parameter: str) -> str:
    base = parameter.partition("<")[0]
    return base if base in LITERALS else "dyn"


@cache
def _calls() -> dict[str, tuple[tuple[Function, tuple[str, ...]], ...]]:
    """Functions by the kind of their result, with the types of their parameters."""
    found: dict[str, list[tuple[Function, tuple[str, ...]]]] = {}
    for (name, _), function in sorted(functions().items()):
        if name in _SKIPPED or function.library == "network":
            continue
        for overload in function.overloads:
            found.setdefault(_kind(overload.result), []).append((function, overload.parameters))
    return {kind: tuple(calls) for kind, calls in found.items()}
