"""What the language has beside functions: operators, literals and macros, each with a sentence and examples.

The reference page is written from here, and the examples are run as tests. What operators take is `operator_types`',
what they mean `operators`', what macros mean `loops`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Construct:
    """A part of the language that is written in a way of its own.

    Args:
        title: Its name on the page.
        sentence: What it does.
        examples: Expressions that are true.
        operators: The operators that it is about, which take the same; their signatures are shown.
        forms: How it is written, where that is not what its operators' signatures show.
    """

    title: str
    sentence: str
    examples: tuple[str, ...]
    operators: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()


#: Operators of one strength, from the strongest, and how a row of them is read.
PRECEDENCE: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    ((".", ".?", "[]", "[?]", "f()"), "from the left"),
    (("!", "-x"), "from the right"),
    (("*", "/", "%"), "from the left"),
    (("+", "-"), "from the left"),
    (("==", "!=", "<", "<=", ">", ">=", "in"), "from the left"),
    (("&&",), "in any order"),
    (("||",), "in any order"),
    (("?:",), "from the right"),
)

#: Words that are no names of variables or functions; they can be fields.
RESERVED: Final = (
    *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let"),
    *("loop", "namespace", "package", "return", "var", "void", "while"),
)

_LITERALS: Final = (
    Construct(
        "int",
        "A whole number of 64 bits, decimal or hexadecimal.",
        ("0xff == 255", "-9223372036854775808 < 0"),
        forms=("42", "0x2a"),
    ),
    Construct(
        "uint",
        "A whole number of 64 bits without a sign.",
        ("42u == uint(42)", "0xffu == 255u"),
        forms=("42u", "0x2au"),
    ),
    Construct(
        "double",
        "A number with a fraction or an exponent, of 64 bits.",
        (".5 + 1e3 == 1000.5", "1.5e-1 == 0.15"),
        forms=("1.5", ".5", "1e3", "2.5e-1"),
    ),
    Construct(
        "string",
        "A text. Three quotes may hold line breaks; after `r` a backslash is a backslash.",
        (
            "'it\\'s' == \"it's\"",
            "'\\u00e9\\x41\\n'.size() == 3",
            "r'\\d' == '\\\\d'",
            "'''a 'b' c'''.size() == 7",
        ),
        forms=("'text'", '"text"', "'''text'''", "r'text'"),
    ),
    Construct(
        "bytes",
        "Octets: the UTF-8 of a text, in which `\\xff` and `\\377` are single octets.",
        ("b'é'.size() == 2", "b'\\xff'.size() == 1", "b'abc' == bytes('abc')"),
        forms=("b'text'", "br'text'"),
    ),
    Construct(
        "bool and null",
        "The truth values, and what JSON has where there is no value.",
        ("true != false", "{'a': null}.a == null"),
        forms=("true", "false", "null"),
    ),
    Construct(
        "lists",
        "Values in order; with `?` before it, an optional's value is taken in if there is one.",
        ("[1, 2].size() == 2", "[1, ?{}.?a] == [1]"),
        forms=("[]", "[1, 2]", "[1, ?optional]"),
    ),
    Construct(
        "maps",
        "Values by keys, which are texts, whole numbers or bools; no key occurs twice.",
        ("{'a': 1}.a == 1", "{1: 'one', true: 'yes'}[true] == 'yes'", "{?'a': {}.?a} == {}"),
        forms=("{}", "{'a': 1, 'b': 2}", "{?'a': optional}"),
    ),
    Construct(
        "type",
        "The name of a type is a value too.",
        ("type(1) == int", "type('a') != bytes", "type(timestamp(0)) == google.protobuf.Timestamp"),
        forms=("int", "string", "list", "google.protobuf.Duration"),
    ),
)

_ARITHMETIC: Final = (
    Construct(
        "+",
        "Adds numbers of one type, joins texts, bytes and lists, and moves timestamps.",
        ("1 + 2 == 3", "'a' + 'b' == 'ab'", "[1] + [2] == [1, 2]", "timestamp(0) + duration('1m') == timestamp(60)"),
        ("+",),
    ),
    Construct(
        "-",
        "Subtracts, or turns a sign round.",
        ("5 - 7 == -2", "-(2.5) == -2.5", "timestamp(90) - timestamp(0) == duration('90s')"),
        ("-",),
    ),
    Construct("*", "Multiplies two numbers of one type.", ("6 * 7 == 42", "2.0 * 0.5 == 1.0"), ("*",)),
    Construct(
        "/",
        "Divides; whole numbers are cut towards zero, and cannot be divided by zero.",
        ("7 / 2 == 3", "-7 / 2 == -3", "7.0 / 2.0 == 3.5", "1.0 / 0.0 > 1e308"),
        ("/",),
    ),
    Construct(
        "%",
        "Gives the remainder of a division, with the sign of what is divided.",
        ("7 % 3 == 1", "-7 % 3 == -1", "7 % -3 == 1"),
        ("%",),
    ),
)

_COMPARISONS: Final = (
    Construct(
        "== and !=",
        "Compare by value: numbers across types, lists and maps by what they hold.",
        ("[1, 2] == [1, 2]", "{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", "dyn(1) == 1.0", "dyn('1') != 1"),
        ("==", "!="),
    ),
    Construct(
        "<, <=, > and >=",
        "Compare by order: numbers across types, texts by code points.",
        ("1 < 2.5", "'Z' < 'a'", "false < true", "duration('1m') > duration('59s')"),
        ("<", "<=", ">", ">="),
    ),
    Construct(
        "in",
        "Tells whether a list holds a value, or a map a key.",
        ("2 in [1, 2]", "'a' in {'a': null}", "!('b' in {'a': 'b'})"),
        ("in",),
    ),
)

_LOGIC: Final = (
    Construct(
        "&&",
        "Is false if one side is, whatever the other is or whether it fails; true if both are.",
        ("true && 1 < 2", "!(false && 1 / 0 == 1)", "!(1 / 0 == 1 && false)"),
        forms=("bool && bool -> bool",),
    ),
    Construct(
        "||",
        "Is true if one side is, whatever the other is or whether it fails; false if both are.",
        ("false || 1 < 2", "true || 1 / 0 == 1", "1 / 0 == 1 || true"),
        forms=("bool || bool -> bool",),
    ),
    Construct("!", "Turns a bool round.", ("!false", "!(1 > 2)"), ("!",)),
    Construct(
        "?:",
        "Gives one of two values by a condition; the other is not evaluated.",
        ("(1 < 2 ? 'less' : 'more') == 'less'", "(true ? 1 : 1 / 0) == 1"),
        forms=("bool ? A : A -> A",),
    ),
)

_SELECTION: Final = (
    Construct(
        ".",
        "Reads a field; one that is not there is an error. A name in back quotes may hold `-`, `.`, `/` and spaces.",
        ("{'a': {'b': 1}}.a.b == 1", "{'content-type': 'x'}.`content-type` == 'x'"),
        forms=("x.field", "x.`other field`"),
    ),
    Construct(
        "[]",
        "Reads an element of a list by its position from 0, or of a map by its key.",
        ("[5, 6][1] == 6", "{'a': 1}['a'] == 1"),
        forms=("x[0]", "x['key']"),
    ),
    Construct(
        ".? and [?]",
        "Read a field or element that may be absent, as an optional; what follows is read if there is something.",
        (
            "{'a': {'b': 1}}.?a.b.orValue(0) == 1",
            "{}.?a.b.orValue(0) == 0",
            "[5][?1].orValue(7) == 7",
        ),
        forms=("x.?field", "x[?0]", "x[?'key']"),
    ),
    Construct(
        "has",
        "Tells whether a field is there, even if it is null; what stands before the last dot must be there.",
        ("has({'a': null}.a)", "!has({}.a)"),
        forms=("has(x.field)",),
    ),
)

_MACROS: Final = (
    Construct(
        "all",
        "Tells whether a condition holds for all elements, or keys of a map; like `&&` one false decides.",
        ("[1, 2].all(x, x > 0)", "{'a': 1}.all(k, v, k == 'a' && v == 1)", "![0, 1].all(x, 1 / x > 1)"),
        forms=("items.all(x, condition)", "items.all(i, x, condition)"),
    ),
    Construct(
        "exists",
        "Tells whether a condition holds for some element; like `||` one true decides.",
        ("[1, 2].exists(x, x == 2)", "['a'].exists(i, x, i == 0 && x == 'a')", "[0, 1].exists(x, 1 / x == 1)"),
        forms=("items.exists(x, condition)", "items.exists(i, x, condition)"),
    ),
    Construct(
        "exists_one",
        "Tells whether a condition holds for just one element. `existsOne` is the same.",
        ("[1, 2].exists_one(x, x > 1)", "![1, 1].existsOne(i, x, x == 1)"),
        forms=("items.exists_one(x, condition)", "items.exists_one(i, x, condition)"),
    ),
    Construct(
        "filter",
        "Gives the elements for which a condition holds; of a map, the keys.",
        ("[1, 2, 3].filter(x, x > 1) == [2, 3]", "{'a': 1, 'b': 2}.filter(k, k > 'a') == ['b']"),
        forms=("items.filter(x, condition)",),
    ),
    Construct(
        "map",
        "Gives a list of what an expression gives for each element, or for those for which a condition holds.",
        ("[1, 2].map(x, x * 10) == [10, 20]", "[1, 2].map(x, x > 1, x * 10) == [20]", "{'a': 1}.map(k, k) == ['a']"),
        forms=("items.map(x, value)", "items.map(x, condition, value)"),
    ),
    Construct(
        "sortBy",
        "Puts the elements of a list in the order of what an expression gives for each.",
        ("['bb', 'a'].sortBy(x, x.size()) == ['a', 'bb']", "[1, 3, 2].sortBy(x, -x) == [3, 2, 1]"),
        forms=("items.sortBy(x, key)",),
    ),
    Construct(
        "transformList",
        "Makes a list; the variables are position and element of a list, key and value of a map.",
        (
            "['a', 'b'].transformList(i, x, x + string(i)) == ['a0', 'b1']",
            "{'a': 1}.transformList(k, v, v > 0, k) == ['a']",
        ),
        forms=("items.transformList(i, x, value)", "items.transformList(i, x, condition, value)"),
    ),
    Construct(
        "transformMap",
        "Makes a map with the same keys, or the positions of a list, and other values.",
        ("{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}", "['x'].transformMap(i, x, x + x) == {0: 'xx'}"),
        forms=("items.transformMap(k, v, value)", "items.transformMap(k, v, condition, value)"),
    ),
    Construct(
        "transformMapEntry",
        "Makes a map out of the entries that an expression gives; no key may occur twice.",
        ("['x', 'y'].transformMapEntry(i, x, {x: i}) == {'x': 0, 'y': 1}",),
        forms=("items.transformMapEntry(k, v, {key: value})", "items.transformMapEntry(k, v, condition, {key: value})"),
    ),
    Construct(
        "optMap",
        "Gives an optional of what an expression gives for an optional's value, if it has one.",
        ("{'a': 1}.?a.optMap(x, x + 1).value() == 2", "!{}.?a.optMap(x, x + 1).hasValue()"),
        forms=("optional.optMap(x, value)",),
    ),
    Construct(
        "optFlatMap",
        "Gives the optional that an expression gives for an optional's value, if it has one.",
        ("{'a': {'b': 1}}.?a.optFlatMap(x, x.?b).value() == 1",),
        forms=("optional.optFlatMap(x, optional)",),
    ),
    Construct(
        "cel.bind",
        "Gives a value a name. It is evaluated once, when it is first needed.",
        ("cel.bind(x, 2 + 3, x * x) == 25", "cel.bind(x, 1 / 0, true || x == 1)"),
        forms=("cel.bind(name, value, expression)",),
    ),
    Construct(
        "cel.block",
        "Gives values numbers, as optimisers write it.",
        ("cel.block([2 + 3], cel.index(0) * cel.index(0)) == 25",),
        forms=("cel.block([value, ...], expression)",),
    ),
)

#: Title of a part of the page → what is in it.
LANGUAGE: Final[Mapping[str, tuple[Construct, ...]]] = {
    "Literals": _LITERALS,
    "Arithmetic": _ARITHMETIC,
    "Comparison": _COMPARISONS,
    "Logic": _LOGIC,
    "Fields and elements": _SELECTION,
    "Macros": _MACROS,
}
