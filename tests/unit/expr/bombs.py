"""Small expressions that would take much time or memory without a bound, on data of at most 1 MB.

`test_bounds` asserts how they end, `benchmarks/bench_expressions.py` prints how long they take and how much memory.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

_TEXT = "ab" * 262_144


@cache
def data() -> dict[str, Any]:
    """Bindings; each name is at most 1 MB of JSON."""
    rng = random.Random(1)
    return {
        "text": _TEXT,
        "same": "".join(["ab"] * 262_144),
        "wide": "\U0001f600" * 200_000,
        "noise": "".join(rng.choice("ab") for _ in range(500_000)),
        "digits": "9" * 500_000,
        "spans": "1s" * 250_000,
        "commas": "a," * 250_000,
        "numbers": list(range(150_000)),
        "floats": [n / 7 for n in range(50_000)],
        "ones": [1] * 500_000,
        "empty": [{}] * 330_000,
        "lists": [[1]] * 250_000,
        "texts": [f"text {n}" for n in range(60_000)],
        "rows": [{"id": n, "name": f"User {n}"} for n in range(25_000)],
        "keys": {f"k{n}": n for n in range(60_000)},
        "deep": _nested(150),
        "tree": _tree(14),
        "long": [_TEXT, "".join(["ab"] * 262_144)] * 1,
    }


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _tree(levels: int) -> Any:
    """A list that shares its halves: it is small, and unfolds to 2**levels numbers."""
    value: Any = [1, 2]
    for _ in range(levels):
        value = [value, value]
    return value


def _bound(first: str, step: str, levels: int, use: str) -> str:
    """`cel.bind(v0, first, cel.bind(v1, step of v0, … use of the last))`."""
    text = use.format(v=f"v{levels}")
    for level in range(levels, 0, -1):
        text = f"cel.bind(v{level}, {step.format(v=f'v{level - 1}')}, {text})"
    return f"cel.bind(v0, {first}, {text})"


def _loops(levels: int, elements: str, body: str, macro: str = "map") -> str:
    text = body
    for level in range(levels, 0, -1):
        text = f"{elements}.{macro}(v{level}, {text})"
    return text


_TWENTY = "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]"

#: Name and expression.
BOMBS: dict[str, str] = {
    # Growing texts.
    "text x10, 8 times, by replace": _bound("'xxxxxxxxxx'", "{v}.replace('x', 'xxxxxxxxxx')", 8, "{v}.size()"),
    "text x10, 8 times, by join": _bound("'x'", "[{v},{v},{v},{v},{v},{v},{v},{v},{v},{v}].join()", 8, "{v}.size()"),
    "text x10, 8 times, by format": _bound(
        "'x'", "'%s%s%s%s%s%s%s%s%s%s'.format([" + ",".join(["{v}"] * 10) + "])", 8, "{v}.size()"
    ),
    "text x10, 8 times, by +": _bound("'x'", "+".join(["{v}"] * 10), 8, "{v}.size()"),
    "text x10, 8 times, wide": _bound("'\U0001f600'", "+".join(["{v}"] * 10), 8, "{v}.size()"),
    "text doubled, 30 times": _bound("'x'", "{v} + {v}", 30, "{v}.size()"),
    "octets doubled, 30 times": _bound("b'x'", "{v} + {v}", 30, "{v}.size()"),
    "+ of a long text in map": "numbers.map(n, text + 'x')",
    "+ of a wide text in map": "numbers.map(n, wide + 'x')",
    "string() in map": "numbers.map(n, string(n) + 'x' + string(n))",
    "upperAscii of a long text in map": "numbers.map(n, text.upperAscii())",
    "lowerAscii of a wide text in all": "numbers.all(n, wide.lowerAscii() != '')",
    "reverse of a long text in map": "numbers.map(n, text.reverse())",
    "substring of a long text in map": "numbers.map(n, text.substring(1))",
    "trim of a long text in all": "numbers.all(n, text.trim() != '')",
    "replace of an empty text": "text.replace('', text)",
    "join with a long separator": "texts.join(text)",
    "json in all": "numbers.all(n, json(rows) != '')",
    "json of the rows": "json(rows)",
    "base64 in all": "numbers.all(n, base64.encode(bytes(text)) != '')",
    "quote in all": "numbers.all(n, strings.quote(text) != '')",
    "quote of a wide text": "strings.quote(wide).size()",
    "split into characters": "wide.split('').size()",
    "split in map": "numbers.map(n, commas.split(','))",
    "split, 50 times": "+".join(["size(commas.split(','))"] * 50),
    "format with precision": "numbers.map(n, '%.100f'.format([n]))",
    "format with precision, doubles": "floats.map(f, '%.100f %.100e'.format([1e300 + f, f]))",
    "format of a shared list": "'%s'.format([tree])",
    # Nested loops.
    "4 nested maps of 20": _loops(4, _TWENTY, "1"),
    "5 nested maps of 20": _loops(5, _TWENTY, "1"),
    "5 nested maps of 20, of lists": _loops(5, _TWENTY, "[v1, v2, v3]"),
    "4 nested all of 150,000": _loops(4, "numbers", "v1 >= 0", "all"),
    "map of map": "ones.map(a, ones.map(b, b))",
    "map of maps": "ones.map(a, {'a': a, 'b': a})",
    "map of lists": "ones.map(a, [a])",
    "map of lists of lists": "ones.map(a, [[[a]]])",
    "map of doubles": "ones.map(a, double(a) / 3.0)",
    "map of ints": "ones.map(a, a + 1000000)",
    "map of optionals": "ones.map(a, optional.of(a))",
    "map of timestamps": "ones.map(a, timestamp(a) + duration('1h'))",
    "maps one after another": "ones" + "".join(".map(a, a)" for _ in range(100)),
    "filters one after another": "ones" + "".join(".filter(a, a == 1)" for _ in range(100)),
    "ternaries in a loop": "ones.map(a, " + "a == 0 ? 0 : " * 60 + "1)",
    "absorbed errors in all": "empty.all(e, e.nope == 1 || true)",
    "absorbed errors in exists": "empty.exists(e, e.nope == 1)",
    "absorbed errors of functions": "texts.all(t, int(t) == 1 || double(t) == 1.0 || true)",
    "transformMap": "keys.transformMap(k, v, k + string(v))",
    "transformMapEntry": "texts.transformMapEntry(i, t, {t: {t: i}})",
    "transformList": "numbers.transformList(i, n, [i, n])",
    "sortBy": "numbers.sortBy(n, -n)",
    "sortBy of texts": "texts.sortBy(t, t + 'x')",
    "exists_one": "ones.exists_one(a, a == 2)",
    "optMap in map": "ones.map(a, optional.of(a).optMap(b, [b, b]))",
    # Lists.
    "lists doubled, 30 times": _bound("[1]", "{v} + {v}", 30, "{v}.size()"),
    "lists doubled and compared": _bound("[1]", "[{v}, {v}]", 30, "{v} == {v}"),
    "+ of lists in map": "numbers.map(n, numbers + [n])",
    "lists.range": "lists.range(1000000).size()",
    "lists.range, 10 times": "[" + ",".join(["lists.range(1000000)"] * 10) + "].size()",
    "lists.range in map": "lists.range(1000).map(n, lists.range(1000))",
    "slice in map": "numbers.map(n, numbers.slice(0, 150000))",
    "reverse in map": "numbers.map(n, numbers.reverse())",
    "flatten": "lists.map(l, lists).flatten(2)",
    "flatten of a shared list": _bound("[1, 2]", "[{v}, {v}]", 40, "{v}.flatten(50).size()"),
    "distinct": "floats.distinct().size()",
    "distinct of lists": "lists.distinct().size()",
    "distinct of different lists": "numbers.map(n, [n]).distinct().size()",
    "sort": "floats.sort().size()",
    "sort of long texts": "numbers.map(n, n % 2 == 0 ? text : same).sort()",
    "sets": "sets.contains(numbers, numbers)",
    "sets of lists": "sets.intersects(numbers.map(n, [n]), numbers.map(n, [-n - 1]))",
    "sum": "sum(numbers.map(n, sum(numbers)))",
    "greatest of big lists": "numbers.map(n, math.greatest(numbers))",
    "greatest of a big list": "math.greatest(numbers)",
    "join in map": "numbers.map(n, texts.join(','))",
    "huge in": "numbers.all(n, n in numbers)",
    "huge in, texts": "texts.all(t, t + 'x' in texts)",
    "in of lists": "lists.all(l, [2] in lists)",
    "in of long texts": "numbers.all(n, text in long)",
    # Comparisons.
    "deep equality in all": "numbers.all(n, rows == rows)",
    "equality of a shared list": "tree == tree",
    "equality of nested lists": "numbers.all(n, deep == deep)",
    "equality of long texts in all": "numbers.all(n, text == same)",
    "order of long texts in all": "numbers.all(n, text <= same)",
    "long key in all": "cel.bind(m, {text: 1}, numbers.all(n, m[same] == 1))",
    "contains of a long text in all": "numbers.all(n, !text.contains('ba' + 'bc'))",
    "indexOf of a long text in all": "numbers.all(n, text.indexOf('abc') < 0)",
    "contains of long texts": "numbers.all(n, !text.contains(same + 'c'))",
    "startsWith of long texts in all": "numbers.all(n, text.startsWith(same))",
    "hash in all": "numbers.all(n, hash(rows) != '')",
    "hash of a shared list": _bound("[1, 2]", "[{v}, {v}]", 40, "hash({v})"),
    "hash of a big list": "hash(numbers)",
    # Conversions and patterns.
    "int of many digits": "numbers.all(n, digits.size() > 0 && int(string(n)) == n)",
    "double of many digits": "double(digits)",
    "double of many digits in all": "numbers.all(n, double(digits) > 0.0)",
    "a duration of many parts": "duration(spans)",
    "durations in map": "ones.map(a, duration('1h2m3s4ms'))",
    "timestamps in map": "ones.map(a, timestamp('2026-06-10T12:00:00.123+02:00'))",
    "zones in map": "ones.map(a, timestamp(a).getHours('Europe/Berlin'))",
    "string of timestamps": "ones.map(a, string(timestamp(a)))",
    "network addresses in map": "ones.map(a, ip('2001:db8::68'))",
    "networks in map": "ones.map(a, cidr('10.0.0.0/8').containsIP('10.1.2.3'))",
    "ReDoS": "'aaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')",
    "ReDoS of a long text": "text.matches('^(a+b+)+$')",
    "a pattern with many states": "noise.matches('[ab]*a[ab]{60}c')",
    "a pattern with many states in all": "numbers.all(n, !noise.matches('[ab]*a[ab]{10}c'))",
    "patterns made in a loop": "numbers.all(n, !'a'.matches('b{' + string(n % 900 + 1) + '}' + string(n)))",
    "large patterns made in a loop": "numbers.all(n, !'a'.matches('(?:[a-z]{1,30}){1,30}' + string(n)))",
    "refused patterns in a loop": "numbers.all(n, 'a'.matches('(?:' + string(n) + r'\\pL{50}){100}') || true)",
    "matches in all": "texts.all(t, t.matches('^[a-z]+ [0-9]+$'))",
    # Depth; these are refused before they are evaluated.
    "3,000 times !": "!" * 3_000 + "true",
    "1,000 parentheses": "(" * 1_000 + "1" + ")" * 1_000,
    "1,000 nested lists": "[" * 1_000 + "]" * 1_000,
    "1,300 terms": "+".join(["1"] * 1_300),
    "1,300 terms of texts": "+".join(["text"] * 800),
    "900 conditions": "||".join(["1<0"] * 900),
    "90 nested lists": "[" * 90 + "]" * 90,
}
