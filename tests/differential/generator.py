"""Expressions and data at random, the same for the same seed: well typed mostly, confused now and then.

Functions come from the registry, so that a new one is generated at once; operators, macros and literals are the tables
below. A hole such as `{int}` is filled by an expression of that type; `$v` names a new variable, which the holes behind
it may use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Final

from flowlang.expr.registry import Function, functions

#: How often a hole is filled with an expression of another type than its own.
CONFUSION: Final = 0.025
#: How often a text is damaged after it was made, so that the parsers are compared as well.
DAMAGE: Final = 0.05

LITERALS: Final[dict[str, tuple[str, ...]]] = {
    "int": (
        *("0", "1", "2", "3", "-1", "-2", "7", "10", "63", "64", "100", "255", "0x1F", "-0x10", "9007199254740993"),
        *("9223372036854775807", "-9223372036854775808", "9223372036854775806", "4611686018427387904", "1700000000"),
    ),
    "uint": ("0u", "1u", "2u", "3U", "7u", "0xFFu", "18446744073709551615u", "9223372036854775808u", "64u"),
    "double": (
        *("0.0", "-0.0", "1.0", "1.5", "-1.5", "2.5", "0.5", "-0.5", "3.14", "1e3", ".5", "1e-7", "1e300", "-1e300"),
        *("9223372036854775807.0", "18446744073709551616.0", "9007199254740993.0", "123456789.0", "1e21", "1e6"),
        *("1.0 / 0.0", "-1.0 / 0.0", "0.0 / 0.0", "0.1 + 0.2", "4.9e-324", "1.7976931348623157e308", "0.1", "100.0"),
    ),
    "string": (
        *("''", "'a'", "'b'", "'abc'", "'ABC'", "'hello world'", "'1'", "'-1'", "'1.5'", "'true'", "'1u'", "'a,b,c'"),
        *("'é'", "'😀x'", "'ÿ'", "'e\\u0301'", "'\\t a \\n'", "'\\u00a0a\\u2003'", r"r'\d+'", r"'\\d+'", "'a\\'b\"c'"),
        *("'9223372036854775808'", "' 1'", "'1e3'", "'inf'", "'NaN'", "'0x1F'", "'TRUE'", "'%s and %d'", "'%.2f'"),
        *('"q"', "'''t'q'''", '"""x"y"""', "r'\\n'", 'R"raw"', "'\\x41\\101'", "'1h'", "'1.5s'", "'UTC'", "'+01:00'"),
        *("'2020-01-02T03:04:05Z'", "'2020-01-02T03:04:05.678901234+05:30'", "'Europe/Berlin'", "'-08:00'", "'a.b'"),
        *("'aGVsbG8='", "'aGVsbG8'", "'10.0.0.1'", "'(a)(b)'", "'(b)'", "'[a-c]'", "'^a'", "'('", r"'\\1'", r"'\\0x'"),
    ),
    "bytes": ("b''", "b'a'", "b'abc'", "b'\\xff\\x00'", "b'é'", "br'\\n'", 'B"x"', "b'\\303\\251'", "b'''t'''"),
    "bool": ("true", "false"),
    "null": ("null",),
    "timestamp": (
        *("timestamp(0)", "timestamp('2020-02-29T23:59:59.999999999Z')", "timestamp('0001-01-01T00:00:00Z')"),
        *("timestamp('9999-12-31T23:59:59.999999999Z')", "timestamp('2024-03-31T01:30:00.5+01:00')"),
        *("timestamp('1969-12-31T23:59:59.25Z')", "timestamp(1700000000)", "timestamp('2021-11-07T06:30:00Z')"),
    ),
    "duration": (
        *("duration('0s')", "duration('1h30m')", "duration('-1.5s')", "duration('1ns')", "duration('1us')"),
        *("duration('250ms')", "duration('-2h45m10.5s')", "duration('315576000000s')", "duration('999999h')"),
    ),
    "list": (
        *("[]", "[1, 2, 3]", "[1, 1u, 1.0]", "['a', 'b', 'a']", "[true, false]", "[[1], [2, [3]]]", "[1, 'a', null]"),
        *("[0.0 / 0.0]", "[3, 1, 2]", "['b', 'a', 'c']", "[1,]", "[{'a': 1}, {'a': 2}]", "[2u, 1u]", "[1.5, -2.5]"),
        *("[optional.of(1), optional.none()]", "['x']", "[timestamp(0)]", "[duration('1s'), duration('2s')]", "[b'a']"),
    ),
    "map": (
        *("{}", "{'a': 1}", "{'a': 1, 'b': 2}", "{1: 'x', 2: 'y'}", "{true: 1, false: 0}", "{1u: 'u', 2: 'i'}"),
        *(
            "{'a': {'b': {'c': 5}}}",
            "{'k': null}",
            "{'l': [1, 2]}",
            "{true: 'b', 1: 'i'}",
            "{'a': 1.0,}",
            "{0: 0, 1: 1}",
        ),
    ),
    "optional": (
        *("optional.none()", "optional.of(1)", "optional.of('a')", "optional.of(null)", "{'a': 1}.?a", "{}.?a"),
        *("[1, 2][?0]", "[][?0]", "optional.of({'a': {'b': 1}})", "optional.of([1, 2])", "optional.ofNonZeroValue(0)"),
    ),
    "type": (
        *("int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type", "type"),
        *("google.protobuf.Timestamp", "google.protobuf.Duration", "optional_type"),
    ),
}

TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "int": (
        *("{int} + {int}", "{int} - {int}", "{int} * {int}", "{int} / {int}", "{int} % {int}", "-{int}", "({int})"),
        *("int({int})", "{list}.map($v, {int})[{int}]", "[{int}, {int}][{int}]", "{'a': {int}}.a", "{'a': {int}}['a']"),
        *("{bool} ? {int} : {int}", "cel.bind($v, {int}, {int})", "optional.of({int}).orValue({int})", "dyn({int})"),
    ),
    "uint": (
        *("{uint} + {uint}", "{uint} - {uint}", "{uint} * {uint}", "{uint} / {uint}", "{uint} % {uint}"),
        *("{bool} ? {uint} : {uint}", "uint({int})", "cel.bind($v, {uint}, {uint})"),
    ),
    "double": (
        *("{double} + {double}", "{double} - {double}", "{double} * {double}", "{double} / {double}", "-{double}"),
        *("{bool} ? {double} : {double}", "double({int})", "double({string})"),
    ),
    "string": (
        *("{string} + {string}", "string({scalar})", "{bool} ? {string} : {string}", "{'k': {string}}.k", "({string})"),
        *(
            "{string}.format([{scalar}, {scalar}])",
            "'%s'.format([{dyn}])",
            "'%d'.format([{int}])",
            "'%x'.format([{int}])",
        ),
        *(
            "'%.{digit}f'.format([{double}])",
            "'%.{digit}e'.format([{double}])",
            "'%b'.format([{int}])",
            "'%s|%s'.format([{list}, {map}])",
        ),
        "regex.replace({string}, {string}, {string}, {small})",
        *(
            "'%X'.format([{bytes}])",
            "'%o'.format([{uint}])",
            "'%f'.format([{double}])",
            "'%e'.format([{double}])",
            "'%d%%'.format([{uint}])",
        ),
        *("{list}.map($v, string({scalar})).join({string})", "{string}.split({string}).join({string})"),
    ),
    "bytes": ("{bytes} + {bytes}", "bytes({string})", "{bool} ? {bytes} : {bytes}"),
    "bool": (
        *("{int} == {int}", "{dyn} == {dyn}", "{dyn} != {dyn}", "{number} < {number}", "{number} >= {number}"),
        *("{string} < {string}", "{bytes} <= {bytes}", "{bool} > {bool}", "{timestamp} < {timestamp}"),
        *(
            "{duration} >= {duration}",
            "{number} == {number}",
            "{list} == {list}",
            "{map} == {map}",
            "{number} <= {number}",
        ),
        *(
            "{bool} && {bool}",
            "{bool} || {bool}",
            "!{bool}",
            "{bool} && {bool} && {bool}",
            "{bool} || {bool} || {bool}",
        ),
        *(
            "{bool} ? {bool} : {bool}",
            "{dyn} in {list}",
            "{scalar} in {map}",
            "{string} in {map}",
            "{number} in {list}",
        ),
        *("has({map}.a)", "has({map}.a.b)", "has({optional}.a)", "{list}.all($v, {bool})", "{list}.exists($v, {bool})"),
        *(
            "{list}.exists_one($v, {bool})",
            "{map}.all($k, {bool})",
            "{map}.exists($k, {bool})",
            "{optional} == {optional}",
        ),
        *("{list}.all($i, $v, {bool})", "{list}.exists($i, $v, {bool})", "{map}.exists($k, $v, {bool})"),
        *("{list}.existsOne($i, $v, {bool})", "{map}.all($k, $v, {bool})", "{type} == {type}", "type({dyn}) == {type}"),
        *("{int} / 0 == 1 || {bool}", "{bool} && 1 / 0 == {int}", "{bytes} == {bytes}"),
    ),
    "null": ("{bool} ? null : {null}", "{'a': null}.a"),
    "timestamp": (
        *("{timestamp} + {duration}", "{duration} + {timestamp}", "{timestamp} - {duration}", "timestamp({string})"),
        "timestamp({int})",
    ),
    "duration": (
        *("{duration} + {duration}", "{duration} - {duration}", "{timestamp} - {timestamp}", "duration({string})"),
    ),
    "list": (
        *("[{dyn}, {dyn}]", "[{int}, {int}, {int}]", "[{dyn}]", "[{string}, {string}]", "[?{optional}, {dyn}]"),
        *("{list} + {list}", "{list}.map($v, {dyn})", "{list}.filter($v, {bool})", "{list}.map($v, {bool}, {dyn})"),
        *(
            "{map}.map($k, {dyn})",
            "{map}.filter($k, {bool})",
            "{list}.transformList($i, $v, {dyn})",
            "[{number}, {number}]",
        ),
        *(
            "{map}.transformList($k, $v, {dyn})",
            "{list}.transformList($i, $v, {bool}, {dyn})",
            "{list}.sortBy($v, {scalar})",
        ),
        *(
            "{bool} ? {list} : {list}",
            "cel.bind($v, {list}, {list})",
            "[{list}, {list}]",
            "[[{int}], [{int}, [{int}]]]",
        ),
        *("lists.range({small})", "{list}.slice({small}, {small})", "{list}.flatten({small})"),
    ),
    "map": (
        *("{{string}: {dyn}}", "{{string}: {dyn}, {string}: {dyn}}", "{'a': {dyn}, 'b': {dyn}}", "{'a': {map}}"),
        *(
            "{?{string}: {optional}, 'z': {dyn}}",
            "{{scalar}: {int}}",
            "{{int}: {int}, {uint}: {int}}",
            "{{bool}: {int}, {int}: {int}}",
        ),
        *("{bool} ? {map} : {map}", "cel.bind($v, {map}, {map})"),
    ),
    "optional": (
        *(
            "optional.of({dyn})",
            "{map}.?a",
            "{map}.?a.b",
            "{map}.?a.?b",
            "{map}[?{scalar}]",
            "{list}[?{int}]",
            "{optional}.a",
        ),
        *(
            "{optional}.?a",
            "{optional}[?{int}]",
            "{optional}['a']",
            "{optional}.optMap($v, {dyn})",
            "{optional}[{int}]",
        ),
        *("{optional}.optFlatMap($v, {optional})", "{optional}.or({optional})", "{bool} ? {optional} : {optional}"),
        "optional.ofNonZeroValue({dyn})",
    ),
    "type": ("type({dyn})", "type({type})"),
    "dyn": (
        *("{map}.a", "{map}['a']", "{map}[{scalar}]", "{list}[{int}]", "{list}[{number}]", "{map}.a.b", "dyn({dyn})"),
        *("{optional}.orValue({dyn})", "{optional}.value()", "{bool} ? {dyn} : {dyn}", "cel.bind($v, {dyn}, {dyn})"),
    ),
}
_CHOICES: Final = {"digit": ("0", "1", "2", "3", "10"), "small": ("0", "1", "3", "5", "-1")}
_SCALARS: Final = ("int", "uint", "double", "string", "bool", "bytes", "timestamp", "duration", "null")
_NUMBERS: Final = ("int", "uint", "double")
_KINDS: Final = (*_SCALARS, "list", "map", "optional", "type")
_HOLE: Final = re.compile(r"\{(\w+)\}|\$(\w)")
#: Functions that answer differently each time, or that only FlowLang has: nothing to compare with. `lists.range` is in
#: the templates, with small numbers, and so is `regex.replace` with a count: the reference has no bound.
_SKIPPED: Final = frozenset({"now", "uuid", "hash", "json", "sum", "dyn", "lists.range"})
_CHARACTERS: Final = "()[]{},.?:+-*/%<>=!&|'\"\\`1a_0xu eE \n\tx\u00e9b;#$@r"

VARIABLES: Final = ("x", "y", "z", "n", "s", "d", "l", "m", "b")


@dataclass(frozen=True, slots=True)
class Case:
    """An expression with the values of its names; `generate` makes it again from its seed."""

    seed: int
    text: str
    bindings: dict[str, Any]


def generate(seed: int) -> Case:
    """Make the case of a seed."""
    text, bindings = _Maker(Random(seed)).case()
    return Case(seed, text, bindings)


class _Maker:
    def __init__(self, random: Random) -> None:
        self._random = random
        self._names: list[str] = []
        self._budget = random.choice((1, 2, 3, 4, 6, 9, 14))

    def case(self) -> tuple[str, dict[str, Any]]:
        text = self.fill("dyn")
        if self._random.random() < DAMAGE:
            text = self._damaged(text)
        return text, self._bindings()

    def fill(self, kind: str) -> str:
        choose = self._random
        if choose.random() < CONFUSION:
            kind = choose.choice(_KINDS)
        kind = {"scalar": choose.choice(_SCALARS), "number": choose.choice(_NUMBERS)}.get(kind, kind)
        if kind in _CHOICES:
            return choose.choice(_CHOICES[kind])
        if kind == "dyn" and choose.random() < 0.85:
            kind = choose.choice(_KINDS)
        if self._budget <= 0 or (choose.random() < 0.2 and self._budget < 12):
            return self._leaf(kind)
        self._budget -= 1
        templates = TEMPLATES.get(kind, ())
        calls = _calls().get(kind, ())
        if calls and (not templates or choose.random() < 0.5):
            return self._call(*choose.choice(calls))
        return self._template(choose.choice(templates)) if templates else self._leaf(kind)

    def _leaf(self, kind: str) -> str:
        choose = self._random
        if self._names and choose.random() < 0.4:
            return choose.choice(self._names)
        if kind == "dyn" or choose.random() < 0.12:
            typed = {"int": "n", "string": "s", "double": "d", "list": "l", "map": "m", "bool": "b"}.get(kind)
            return typed if typed and choose.random() < 0.7 else choose.choice(VARIABLES)
        return choose.choice(LITERALS[kind])

    def _template(self, template: str) -> str:
        named: dict[str, str] = {}

        def replace(found: re.Match[str]) -> str:
            if found[2]:
                named[found[2]] = self._random.choice(("v", "w", "k", "x", "e"))
                return named[found[2]]
            depth = len(self._names)
            self._names.extend(named.values())
            filled = self.fill(found[1])
            del self._names[depth:]
            return f"({filled})" if self._needs_parentheses(found, filled) else filled

        return _HOLE.sub(replace, template)

    def _needs_parentheses(self, hole: re.Match[str], filled: str) -> bool:
        """Usually keep the tree that was meant; now and then let the operators' precedence decide."""
        alone = hole.string[: hole.start()].endswith(("(", "[", ", ")) and hole.string[hole.end() :][:1] in {
            ")",
            "]",
            ",",
        }
        simple = re.fullmatch(r"\w+|'[^']*'|[\w.]+\([^()]*\)", filled) is not None
        return not alone and not simple and self._random.random() < 0.9

    def _call(self, function: Function, parameters: tuple[str, ...]) -> str:
        if function.any_count:
            parameters = parameters * self._random.choice((1, 1, 2, 3))
        filled = [self.fill(_kind(parameter)) for parameter in parameters]
        if not function.method:
            return f"{function.name}({', '.join(filled)})"
        target = filled[0] if re.fullmatch(r"\w+(\([^()]*\))?|'[^']*'", filled[0]) else f"({filled[0]})"
        return f"{target}.{function.name}({', '.join(filled[1:])})"

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

    def _bindings(self) -> dict[str, Any]:
        choose = self._random
        return {
            **{name: self._data(2) for name in "xyz"},
            "n": choose.choice((0, 1, -1, 2, 41, 2**53, 2**63 - 1, -(2**63))),
            "s": choose.choice(("", "a", "abc", "héllo", "1", "😀")),
            "d": choose.choice((0.0, 1.0, -1.5, 1e10, 0.1)),
            "l": [self._data(1) for _ in range(choose.randrange(4))],
            "m": {choose.choice("abcd"): self._data(1) for _ in range(choose.randrange(4))},
            "b": choose.random() < 0.5,
        }

    def _data(self, depth: int) -> Any:
        choose = self._random
        kind = choose.randrange(9 if depth else 7)
        match kind:
            case 0:
                return None
            case 1:
                return choose.random() < 0.5
            case 2 | 3:
                return choose.choice((0, 1, 2, -3, 10, 2**53 + 1))
            case 4:
                return choose.choice((0.0, 1.0, 2.5, -0.0, 1e300))
            case 5 | 6:
                return choose.choice(("", "a", "b", "é", "10"))
            case 7:
                return [self._data(depth - 1) for _ in range(choose.randrange(3))]
            case _:
                return {choose.choice("abc"): self._data(depth - 1) for _ in range(choose.randrange(3))}


def _kind(parameter: str) -> str:
    """Which kind of expression fills a parameter."""
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
            if name == "regex.replace" and len(overload.parameters) == 4:
                continue
            found.setdefault(_kind(overload.result), []).append((function, overload.parameters))
    return {kind: tuple(calls) for kind, calls in found.items()}
