"""The differences from the reference that are known, each with its reason.

Most are bends: our implementation is changed to do what the reference does, and must then give the reference's answer
to the very case. What cannot be told so is told by what the side says that fails alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import partial
from itertools import islice, permutations
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import re2  # type: ignore[import-untyped]

from flowlang.expr import (
    CelError,
    Duration,
    EvaluationError,
    Optional,
    Timestamp,
    UInt,
    closures,
    compile_expression,
    loops,
    program,
    times,
    values,
)
from flowlang.expr.closures import Closure
from flowlang.expr.errors import BAD_ARGUMENT, NO_OVERLOAD, OUT_OF_RANGE, TOO_MUCH_WORK
from flowlang.expr.lib import formatting
from flowlang.expr.operators import BINARY, equals, index, index_optional
from flowlang.expr.parser import parse
from flowlang.expr.registry import Implementation, Overload, functions
from flowlang.expr.resolve import resolve
from flowlang.expr.scope import Scope
from flowlang.expr.syntax import Comprehension, Loop, OptionalMap
from flowlang.expr.values import is_list, is_map, kind_of
from tests.differential.tiers import PINS

if TYPE_CHECKING:
    from tests.differential.compare import Outcome
    from tests.differential.generator import Case
    from tests.differential.reference import Answer

Bent = AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Bend:
    """A known difference, as a change of ours that does what the reference does.

    Args:
        reason: What is different.
        bend: Makes the change, for as long as it is entered.
        says: What the reference says where it fails.
    """

    reason: str
    bend: Callable[[], Bent]
    says: str = "$."

    def says_it(self, message: str) -> bool:
        """Whether the reference says what it does for this reason."""
        return re.search(self.says, message) is not None


@dataclass(frozen=True, slots=True)
class Said:
    """A known difference, told by what is said."""

    reason: str
    explains: Callable[[Case, Outcome, Answer], bool]


def _overload(name: str, signature: str, bent: Callable[[Implementation], Implementation]) -> Callable[[], Bent]:
    """Change overloads of a function, those whose signatures begin so."""

    @contextmanager
    def bend() -> Iterator[None]:
        with ExitStack() as stack:
            for method in (False, True):
                function = functions().get((name, method))
                if function is None:
                    continue
                changed = [
                    replace(one, implementation=bent(one.implementation))
                    if one.signature.startswith(signature)
                    else one
                    for one in function.overloads
                ]
                stack.enter_context(mock.patch.object(function, "overloads", changed))
            yield

    return bend


def _operators(**bent: Callable[[Any, Any], Any]) -> Callable[[], Bent]:
    names = {"add": "+", "subtract": "-", "contains": "in"}
    return lambda: mock.patch.dict(BINARY, {names[name]: function for name, function in bent.items()})


def _at_292_years(symbol: str) -> Callable[[Any, Any], Any]:
    """Durations are cut to 64 bits of nanoseconds before they are added or taken away; their sum must fit."""
    plain, sign = BINARY[symbol], 1 if symbol == "+" else -1

    def bent(a: Any, b: Any) -> Any:
        if a.__class__ is Timestamp and b.__class__ is Duration and sign < 0:
            return plain(a, _cut(b))
        if a.__class__ is not Duration or b.__class__ is not Duration:
            return plain(a, b)
        total = _cut(a).ns + sign * _cut(b).ns
        if not -(2**63) <= total < 2**63:
            raise EvaluationError("integer overflow", OUT_OF_RANGE)
        return Duration(total)

    return bent


def _cut(duration: Duration) -> Duration:
    return Duration(max(-(2**63), min(2**63 - 1, duration.ns)))


def _in(element: Any, container: Any) -> Any:
    if is_map(container) and element.__class__ not in {str, bool, int, UInt, float}:
        raise EvaluationError("No matching overloads found : @in", NO_OVERLOAD)
    return _PLAIN_IN(element, container)


_PLAIN_IN: Final = BINARY["in"]


def _index(operand: Any, key: Any) -> Any:
    """An index into an optional gives the error in an optional."""
    if operand.__class__ is not Optional or not operand.present:
        return index(operand, key)
    container = operand._value
    if container.__class__ is Optional:
        return Optional.of(EvaluationError("Invalid container type", NO_OVERLOAD))
    if is_map(container) and key.__class__ in {str, bool, int, UInt, float}:
        return index(operand, key)
    try:
        return Optional.of(index(container, key))
    except EvaluationError as error:
        return Optional.of(error)


def _errors_in_optionals(*, late: bool) -> Callable[[], Bent]:
    """Errors lie in optionals until their value is read; late: until something is done with it."""
    plain = Optional.value.fget  # type: ignore[attr-defined]

    def value(self: Optional) -> object:
        found = plain(self)
        if isinstance(found, EvaluationError) and not late:
            raise found
        return found

    @contextmanager
    def bend() -> Iterator[None]:
        with (
            mock.patch.object(closures, "index", _index),
            mock.patch.object(Optional, "value", property(value)),
            mock.patch.dict(values._KINDS, {EvaluationError: "error"}),
        ):
            yield

    return bend


def _optional_place(operand: Any, key: Any) -> Any:
    container = operand.value if operand.__class__ is Optional and operand.present else operand
    if is_list(container) and key.__class__ is not int:
        raise EvaluationError("No matching overloads found : _[?_]", NO_OVERLOAD)
    return index_optional(operand, key)


def _places_are_ints() -> Bent:
    """`[?]` on a list takes nothing but an int."""
    return mock.patch.object(closures, "index_optional", _optional_place)


@contextmanager
def _flat() -> Iterator[None]:
    """What optFlatMap gives need be no optional."""
    plain = closures.ClosureCompiler._optional_map

    def optional_map(self: closures.ClosureCompiler, node: OptionalMap) -> Closure:
        if not node.flat:
            return plain(self, node)
        target, body = self.compile(node.target), self.compile(node.body)

        def mapped(scope: Scope) -> Any:
            value = target(scope)
            if value.__class__ is not Optional:
                raise EvaluationError("no optional", NO_OVERLOAD)
            if not value.present:
                return Optional.NONE
            scope.slots[node.slot] = value.value
            return body(scope)

        return mapped

    with mock.patch.object(closures.ClosureCompiler, "_optional_map", optional_map):
        yield


def _without_own_functions() -> Bent:
    """Functions that only FlowLang has fail."""

    def fail(*_: object) -> Any:
        raise EvaluationError("No matching overloads found", NO_OVERLOAD)

    stack = ExitStack()
    for (name, _), function in functions().items():
        if name in _OWN or function.library == "network":
            changed = [replace(one, implementation=fail) for one in function.overloads]
            stack.enter_context(mock.patch.object(function, "overloads", changed))
    return stack


_OWN: Final = frozenset({"now", "uuid", "hash", "json", "sum"})


def _pairs_dropped() -> Bent:
    """Two minuses or two exclamation marks in a row are none."""
    return mock.patch.object(program, "parse", lambda text: parse(re.sub("--|!!", "  ", text)))


def _distinct(_: Implementation) -> Implementation:
    """Maps with keys of other types are others, even where they are equal."""

    def key_kinds(value: Any) -> list[str]:
        return sorted(map(kind_of, value)) if is_map(value) else []

    def bent(*given: Any) -> Any:
        kept: list[Any] = []
        for value in given[-1]:
            if not any(equals(value, other) and key_kinds(value) == key_kinds(other) for other in kept):
                kept.append(value)
        return kept

    return bent


def _reordered(seed: int) -> Callable[[], Bent]:
    """Macros go over maps in another order; the reference's follows from a hash that is not the same each time."""
    plain = loops._elements

    def elements(node: Any, source: Any, cost: int) -> Any:
        def shuffled(scope: Scope) -> Any:
            values = source(scope)
            if not is_map(values) or len(values) < 2:
                return values
            orders = list(islice(permutations(values.items()), 1, _ORDERS + 1))
            return _Ordered(list(orders[seed % len(orders)]))

        return plain(node, shuffled, cost)

    return lambda: mock.patch.object(loops, "_elements", elements)


class _Ordered(Mapping[Any, Any]):
    def __init__(self, entries: list[tuple[Any, Any]]) -> None:
        self._entries = entries

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return (key for key, _ in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> Any:
        return self._entries


def _refuses(pattern: str, code: str = BAD_ARGUMENT) -> Callable[[Implementation], Implementation]:
    """The function refuses texts that match."""

    def bent(plain: Implementation) -> Implementation:
        def refuse(text: str, *rest: Any) -> Any:
            if re.search(pattern, text):
                raise EvaluationError("refused", code)
            return plain(text, *rest)

        return refuse

    return bent


def _trimmed(read: Callable[[str], Any] | None = None) -> Callable[[Implementation], Implementation]:
    """Numbers are read without the spaces around them, and as `read` does where that is None no more."""

    def bent(plain: Implementation) -> Implementation:
        def forgiving(text: str) -> Any:
            text = text.strip(" \t\n\v\f\r")
            return (read(text) if read is not None and "\0" not in text else None) or plain(text)

        return forgiving

    return bent


def _double(text: str) -> float | None:
    if re.fullmatch(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?", text):
        return float.fromhex(text)
    if re.fullmatch(r"[+-]?(?i:nan|inf|infinity)", text):
        return float(text)
    return None


def _uint(text: str) -> UInt | None:
    return UInt(int(text[1:])) if re.fullmatch(r"\+[0-9]+", text) and int(text) < 2**64 else None


def _timestamp(plain: Implementation) -> Implementation:
    """Digits may be missing, a second may be the sixtieth, spaces may be around; an offset is what comes to mind."""

    def bent(text: str) -> Any:
        found = re.fullmatch(
            r"\s*0*?(\d{1,4})-(\d{1,2})-(\d{1,2})[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d*)?(.*?)\s*", text, re.ASCII
        )
        if found is None:
            return plain(text)
        year, *parts, fraction, zone = found.groups()
        month, day, hour, minute, second = (part.zfill(2) for part in parts)
        leap, second = (1, "59") if second == "60" else (0, second)
        fraction = "" if fraction in {None, "."} else fraction
        offset = re.fullmatch(r"([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?", zone, re.ASCII)
        if offset is not None:
            sign, hours, minutes, seconds = offset.groups()
            zone = f"{sign}{hours}:{minutes or '00'}"
            leap += int(seconds or 0) * (1 if sign == "-" else -1)
        read = plain(f"{year.zfill(4)}-{month}-{day}T{hour}:{minute}:{second}{fraction}{zone}")
        return Timestamp(read.ns + leap * 1_000_000_000)

    return bent


def _nan_as(text: str) -> Callable[[Implementation], Implementation]:
    """Doubles that are no numbers are written as C++ does; NaN has a sign there."""

    def bent(plain: Implementation) -> Implementation:
        def write(value: float) -> Any:
            if math.isfinite(value):
                return plain(value)
            return text if math.isnan(value) else "inf" if value > 0 else "-inf"

        return write

    return bent


@contextmanager
def _six_digits() -> Iterator[None]:
    """%s writes doubles with six digits, and %d with six places."""
    decimal, special = formatting._decimal, formatting._special

    def six_places(value: Any, precision: int) -> str:
        return f"{value:.6f}" if value.__class__ is float and math.isfinite(value) else decimal(value, precision)

    with (
        mock.patch.object(formatting, "_plain", lambda value: f"{value:g}" if math.isfinite(value) else special(value)),
        mock.patch.dict(formatting._WRITERS, {"d": six_places}),
    ):
        yield


@contextmanager
def _long_fractions() -> Iterator[None]:
    """%s writes durations with three, six or nine places."""
    plain = formatting._text

    def text(value: Any, precision: int = 6) -> str:
        return str(value) if value.__class__ is Duration else plain(value, precision)

    with mock.patch.object(formatting, "_text", text), mock.patch.dict(formatting._WRITERS, {"s": text}):
        yield


@contextmanager
def _short_years() -> Iterator[None]:
    """%s writes years without zeros before them."""
    plain = formatting._text

    def text(value: Any, precision: int = 6) -> str:
        written = plain(value, precision)
        return written.lstrip("0") if value.__class__ is Timestamp else written

    with mock.patch.object(formatting, "_text", text), mock.patch.dict(formatting._WRITERS, {"s": text}):
        yield


def _marks() -> Bent:
    return mock.patch.object(formatting, "_INVALID", re.compile("[\udc80-\udcff]"))


@contextmanager
def _octets_kept() -> Iterator[None]:
    """%s puts octets into a text as they are; no pattern finds them there."""
    as_octets = _overload("bytes", "bytes(string)", lambda _: lambda text: text.encode(errors="surrogateescape"))
    passed_over = _overload(
        "regex.extract", "", lambda plain: lambda scope, text, pattern: plain(scope, _without_octets(text), pattern)
    )
    with mock.patch.object(formatting, "_INVALID", re.compile("(?!)")), as_octets(), passed_over():
        yield


def _without_octets(text: str) -> str:
    return re.sub("[\udc80-\udcff]", "", text)


def _substring(plain: Implementation) -> Implementation:
    def bent(text: str, start: int, *end: int) -> Any:
        if end and end[0] == len(text):
            raise EvaluationError("<end> is greater than <string>.size()", BAD_ARGUMENT)
        return plain(text, start, *end)

    return bent


def _split(plain: Implementation) -> Implementation:
    """A text of nothing is cut into one character, which is empty."""

    def bent(scope: Scope, text: str, separator: str, *limit: int) -> Any:
        return [""] if text == separator == "" and limit != (0,) else plain(scope, text, separator, *limit)

    return bent


def _quote(plain: Implementation) -> Implementation:
    """A digit behind an octet is written as an octet, so that C++ would not read it with it."""

    def bent(*given: Any) -> Any:
        written = plain(*given)
        while (found := re.search(r"(?:\\x[0-9a-f]{2})([0-9a-fA-F])", written)) is not None:
            written = f"{written[: found.start(1)]}\\x{ord(found[1]):02x}{written[found.end() :]}"
        return written

    return bent


def _replace_in_place(plain: Implementation) -> Implementation:
    """An empty match is found again where it was."""

    def bent(scope: Scope, text: str, pattern: str, replacement: str, count: int) -> Any:
        if count < 0:
            return plain(scope, text, pattern, replacement, count)
        done, rest = "", text
        for _ in range(count):
            found = re2.search(pattern, rest)
            if found is None:
                break
            behind = len(rest) - found.end()
            written = plain(scope, rest, pattern, replacement, 1)
            done, rest = done + written[: len(written) - behind], rest[found.end() :]
        return done + rest

    return bent


@contextmanager
def _int_of_bool() -> Iterator[None]:
    function = functions()["int", False]
    more = Overload("int(bool) -> int", ("bool",), "int", int)
    with mock.patch.object(function, "overloads", [*function.overloads, more]):
        yield


class _Far(tzinfo):
    """A zone any time ahead; those of Python are less than a day."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def utcoffset(self, _: datetime | None) -> timedelta:
        return self._ahead

    def dst(self, _: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        return "far"

    def fromutc(self, instant: datetime) -> datetime:
        return instant + self._ahead


def _far_zones() -> Bent:
    """Zones may be any hours and minutes ahead."""
    plain = times._zone

    def zone(name: str) -> tzinfo:
        found = re.fullmatch(r"([+-]?)(\d{1,2}):(\d{1,2})", name)
        if found is None:
            return plain(name)
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return _Far(-ahead if found[1] == "-" else ahead)

    return mock.patch.object(times, "_zone", zone)


def _late() -> Bent:
    return mock.patch.object(program, "resolve", partial(resolve, late_calls=True))


def _ours_fails(words: str, within: str = "") -> Callable[[Case, Outcome, Answer], bool]:
    """Only we fail, and say this; the expression has this in it."""

    def explains(case: Case, ours: Outcome, theirs: Answer) -> bool:
        if theirs.kind == "error" or not isinstance(ours.error, CelError):
            return False
        return re.search(words, str(ours.error)) is not None and re.search(within, case.text) is not None

    return explains


def _theirs_fails(words: str, within: str = "") -> Callable[[Case, Outcome, Answer], bool]:
    """Only they fail, and say this; the expression has this in it."""

    def explains(case: Case, ours: Outcome, theirs: Answer) -> bool:
        if theirs.kind != "error" or ours.error is not None:
            return False
        return re.search(words, theirs.message) is not None and re.search(within, case.text) is not None

    return explains


def _unreadable(words: str) -> Callable[[Case, Outcome, Answer], bool]:
    """Their answer cannot come to Python."""
    return lambda _, __, theirs: theirs.kind == "unreadable" and re.search(words, theirs.message) is not None


def _behind_a_macro(case: Case, _: Outcome, __: Answer) -> bool:
    """A variable is bound behind a macro of two variables that saw elements, or of one that did not see them all."""
    binds = r"\.(all|exists|existsOne|transform\w+)\(.*(\bcel\.bind|\.optMap|\.optFlatMap|\.sortBy)\("
    if re.search(binds, case.text) is None:
        return False
    plain, left_over = loops._elements, []

    def elements(node: Comprehension, source: Closure, cost: int) -> Any:
        each = plain(node, source, cost)

        def watched(scope: Scope) -> Iterator[Any]:
            try:
                for element in each(scope):
                    if len(node.variables) == 2:
                        left_over.append(node)
                    yield element
            except GeneratorExit:
                left_over.append(node)
                raise

        return watched if len(node.variables) == 2 or node.loop in {Loop.ALL, Loop.EXISTS} else each

    with mock.patch.object(loops, "_elements", elements), suppress(CelError):
        compile_expression.__wrapped__(case.text).exactly(case.bindings, PINS)
    return bool(left_over)


def _code(code: str) -> Callable[[Case, Outcome, Answer], bool]:
    return lambda _, ours, __: isinstance(ours.error, EvaluationError) and ours.error.code == code


#: How many orders of a map's entries are tried: all of four.
_ORDERS: Final = 23

BENDS: Final[tuple[Bend, ...]] = (
    # What the reference does wrong, or leaves to chance.
    *(Bend("the order of a map's entries is the reference's hash", _reordered(seed)) for seed in range(_ORDERS)),
    Bend(
        "the reference cuts durations to 292 years when it adds them or takes them away",
        _operators(add=_at_292_years("+"), subtract=_at_292_years("-")),
        "integer overflow",
    ),
    *(
        Bend(
            "the reference puts an error inside an optional",
            _errors_in_optionals(late=late),
            "Index error|Invalid map key|Invalid container|index out of",
        )
        for late in (False, True)
    ),
    Bend(
        "the reference's substring() refuses an end that is the text's",
        _overload("substring", "", _substring),
        "<string>.size",
    ),
    Bend(
        "regex.replace() of the reference finds an empty match again and again",
        _overload("regex.replace", "regex.replace(string, string, string, int)", _replace_in_place),
    ),
    Bend("%s and %d of the reference write six digits of a double", _six_digits),
    Bend("%s of the reference writes durations with three, six or nine places", _long_fractions),
    Bend("%s of the reference writes years without zeros", _short_years),
    Bend("%s of the reference keeps octets that are no UTF-8, each of which is read as a mark", _marks),
    Bend("%s of the reference keeps octets that are no UTF-8, each of which is read as a mark", _octets_kept),
    Bend("the reference writes NaN and infinity as C++ does", _overload("string", "string(double)", _nan_as("nan"))),
    Bend("the reference writes NaN and infinity as C++ does", _overload("string", "string(double)", _nan_as("-nan"))),
    Bend("strings.quote() of the reference escapes a digit behind an octet", _overload("strings.quote", "", _quote)),
    Bend("distinct() of the reference keeps maps with keys of other types", _overload("distinct", "", _distinct)),
    Bend("- and ! in pairs are dropped by the reference, whatever they stand before", _pairs_dropped),
    # What it has not.
    Bend("functions that the reference has not", _without_own_functions, ""),
    Bend("[?] of the reference takes no uint and no double", _places_are_ints, r"_\[\?_\]"),
    # What is a matter of taste, and decided.
    Bend("a value of a type that no key has is in no map; the reference fails", _operators(contains=_in), "@in"),
    Bend(
        "a text of nothing is cut into no characters; the reference gives one, which is empty",
        _overload("split", "", _split),
    ),
    Bend("optFlatMap() needs an optional; the reference takes any value", _flat),
    Bend("int() does not take a bool; the reference's checker agrees", _int_of_bool),
    Bend("the reference parses only here: what no function takes fails when it is reached, with us at once", _late),
    # Texts: how much a conversion forgives.
    Bend(
        "durations have d, w and µs too",
        _overload("duration", "duration(string)", _refuses("[dwµμ]")),
        "String to Duration",
    ),
    Bend("timestamps are RFC 3339; the reference forgives", _overload("timestamp", "timestamp(string)", _timestamp)),
    Bend(
        "doubles have no spaces, no 0x; the reference forgives",
        _overload("double", "double(string)", _trimmed(_double)),
    ),
    Bend("uints have no spaces, no plus; the reference forgives", _overload("uint", "uint(string)", _trimmed(_uint))),
    Bend("ints have no spaces; the reference forgives", _overload("int", "int(string)", _trimmed())),
    Bend("zones have at most 23:59; the reference forgives", _far_zones),
    Bend(
        "base64 has no spaces; the reference forgives",
        _overload("base64.decode", "", lambda plain: lambda text: plain("".join(text.split()))),
    ),
)

_MISSING: Final = r"No matching overloads found : "

SAID: Final[tuple[Said, ...]] = (
    Said(
        "sortBy() takes keys of several types of numbers, as JSON has them; the reference fails",
        _theirs_fails("list elements must have the same type", r"\.sortBy\("),
    ),
    Said("the wrapper has no transformMap()", _theirs_fails(rf"{_MISSING}cel\.@mapInsert\(", "transformMap")),
    Said("only our evaluations have a bound on work", _code(TOO_MUCH_WORK)),
    Said("the reference lets a map have 1 and 1u as keys", _ours_fails("a key occurs twice")),
    Said("the reference lets a map have 1 and 1u as keys", _unreadable("a key occurs twice")),
    Said("the reference puts invalid UTF-8 into a string", _unreadable("'utf-8' codec can't decode")),
    Said(
        "a range of less than nothing is empty; the reference fails inside", _theirs_fails("vector::reserve", "range")
    ),
    Said(
        "a key of a wrong type is not looked at where its optional value is absent",
        _theirs_fails("Invalid map key type", r"\{\?|, \?"),
    ),
    Said(
        "an error of a field may be absorbed; with the reference it ends all",
        _theirs_fails(r"^INVALID_ARGUMENT: Applying SELECT to non-message type \[", r"&&|\|\||\.(all|exists)\("),
    ),
    Said("a raw text may end in a backslash", _theirs_fails("String must end with", r"""[rR]['"].*\\['"]""")),
    Said("[,] is a mistake; the reference takes it for []", _ours_fails("unexpected `,`", r"[\[{]\s*,")),
    Said("- and ! do not mix in the reference's grammar", _theirs_fails("Syntax error", r"-\s*!|!\s*-")),
    Said(
        "a literal that is no number is refused by the reference's math macros at once",
        _theirs_fails("simple literal arguments must be numeric|invalid single argument value", r"math\."),
    ),
    Said(
        "a literal that is no list is refused by the reference's sortBy() at once",
        _theirs_fails("sortBy can only be applied to a list", r"\.sortBy\("),
    ),
    Said(
        "behind some macros the reference reads an element of theirs instead of a bound variable",
        _behind_a_macro,
    ),
)
