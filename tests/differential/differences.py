"""The differences from the reference that are known, each with its reason and a test for just that.

A difference is told by what the side that fails says, or by both values; what the expression has in it narrows it down.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flowlang.expr import CelError, Optional
from flowlang.expr.values import is_list, is_map

if TYPE_CHECKING:
    from tests.differential.compare import Outcome
    from tests.differential.generator import Case
    from tests.differential.reference import Answer

Explains = Callable[["Case", "Outcome", "Answer"], bool]


@dataclass(frozen=True, slots=True)
class Difference:
    """A known difference."""

    reason: str
    explains: Explains


def _ours_fails(words: str, within: str = "") -> Explains:
    """Only we fail, and say this; the expression has this in it."""

    def explains(case: Case, ours: Outcome, theirs: Answer) -> bool:
        if theirs.kind == "error" or not isinstance(ours.error, CelError):
            return False
        return re.search(words, str(ours.error)) is not None and re.search(within, case.text) is not None

    return explains


def _theirs_fails(words: str, within: str = "") -> Explains:
    """Only they fail, and say this; the expression has this in it."""

    def explains(case: Case, ours: Outcome, theirs: Answer) -> bool:
        if theirs.kind != "error" or ours.error is not None:
            return False
        return re.search(words, theirs.message) is not None and re.search(within, case.text) is not None

    return explains


def _unreadable(words: str) -> Explains:
    """Their answer cannot come to Python."""
    return lambda _, __, theirs: theirs.kind == "unreadable" and re.search(words, theirs.message) is not None


def _both(alike: Callable[[Any, Any], bool], within: str) -> Explains:
    """Both give values, which are alike in this way; the expression has this in it."""

    def explains(case: Case, ours: Outcome, theirs: Answer) -> bool:
        if theirs.kind != "value" or ours.error is not None:
            return False
        return re.search(within, case.text) is not None and alike(ours.value, theirs.value)

    return explains


def _in_any_order(a: Any, b: Any) -> bool:
    return _unordered(a) == _unordered(b)


def _unordered(value: Any) -> str:
    """Write a value so that lists with the same elements are written the same."""
    if value.__class__ is Optional:
        return f"?{_unordered(value.value)}" if value.present else "?"
    if is_map(value):
        return "{" + ",".join(sorted(f"{key!r}:{_unordered(other)}" for key, other in value.items())) + "}"
    if is_list(value):
        return "[" + ",".join(sorted(map(_unordered, value))) + "]"
    if value.__class__ is float:
        return "nan" if math.isnan(value) else f"{value:.5e}"
    return "".join(sorted(value)) if value.__class__ is str else repr(value)


_MACROS: Final = r"\.(map|filter|transformList|sortBy|exists|all|transformMap)\("
#: A macro over a map of two entries or more, and something that takes an element by its place.
_FROM_ORDER: Final = r"\{[^{}]*:[^{}]*,.*\}\)?\.(map|filter|transformList)\(.*(\.(first|last|join|reverse|slice)\(|\[)"
_LATE: Final = "the reference parses only here: what no function takes fails when it is reached, with us at once"

DIFFERENCES: Final[tuple[Difference, ...]] = (
    # What the reference does wrong, or leaves to chance.
    Difference("the reference lets a map have 1 and 1u as keys", _ours_fails("a key occurs twice")),
    Difference(
        "the reference lets a map have 1 and 1u as keys",
        _unreadable("a key occurs twice"),
    ),
    Difference(
        "the reference bends a timestamp that is out of range to another one",
        _ours_fails("the timestamp is outside the years", r"[-+]|timestamp"),
    ),
    Difference(
        "the reference bends durations of more than 292 years to 292 years when it adds them",
        _both(lambda a, b: a != b, r"315576000000s"),
    ),
    Difference(
        "the reference puts an error inside an optional",
        _ours_fails(r"`\[\?\]` does not take|a list is indexed by an int", r"optional|\?|first\(|last\(|extract\("),
    ),
    Difference(
        "the reference puts an error inside an optional",
        lambda _, __, theirs: re.search(r"optional\.of\([A-Z_]+: ", theirs.printed) is not None,
    ),
    Difference(
        "the reference puts invalid UTF-8 into a string",
        _unreadable("'utf-8' codec can't decode"),
    ),
    Difference("the order of a map's keys is the reference's hash", _both(_in_any_order, _MACROS)),
    Difference("the order of a map's keys is the reference's hash", _both(lambda *_: True, _FROM_ORDER)),
    Difference(
        "a range of less than nothing is empty; the reference fails inside", _theirs_fails("vector::reserve", "range")
    ),
    Difference(
        "the reference replaces an empty match again and again at one place",
        _both(lambda a, b: a.__class__ is b.__class__, r"regex\.replace\("),
    ),
    # What is a matter of taste, and decided.
    Difference(
        "a value of a type that no key has is in no map; the reference fails",
        _theirs_fails("No matching overloads found : @in", r"\bin\b"),
    ),
    Difference(
        "an optional's index that is out of range gives none, as its field does; the reference fails",
        _theirs_fails("Index error: index=|index out of bounds", r"optional|\?|first\(|last\("),
    ),
    Difference(
        "a key of a wrong type is not looked at where its optional value is absent",
        _theirs_fails("Invalid map key type", r"\{\?"),
    ),
    Difference(
        "a text of nothing is cut into no characters; the reference gives one, which is empty",
        lambda case, _, __: ".split(" in case.text and _splits_nothing(case),
    ),
    Difference(
        "an error of has() may be absorbed; with the reference it ends all",
        _theirs_fails(r"^INVALID_ARGUMENT: Applying SELECT to non-message type \[", r"\bhas\("),
    ),
    Difference(
        "optFlatMap needs an optional; the reference takes any value",
        _ours_fails("needs an optional as its result", "optFlatMap"),
    ),
    Difference(
        "int() does not take a bool; the reference's checker agrees",
        _ours_fails(r"`int` does not take \(bool\)", r"\bint\("),
    ),
    Difference("a raw text may end in a backslash", _theirs_fails("String must end with", r"[rR]['\"]")),
    Difference("[,] is a mistake; the reference takes it for []", _ours_fails("unexpected `,`", r"[\[{]\s*,")),
    Difference(
        "- and ! do not mix in the reference's grammar",
        _theirs_fails("no viable alternative|extraneous input|mismatched", r"-\s*!|!\s*-"),
    ),
    # Texts: how much a conversion forgives.
    Difference("timestamps are RFC 3339; the reference forgives", _ours_fails("is no timestamp", "timestamp")),
    Difference("doubles have no spaces, no 0x; the reference forgives", _ours_fails("is no double", "double")),
    Difference(
        "uint('+5') is no uint; the reference forgives", _ours_fails(r"`[ +].*` is no uint|`.* ` is no uint", "uint")
    ),
    Difference("int(' 1') is no int; the reference forgives", _ours_fails(r"` .*` is no int|`.* ` is no int", "int")),
    Difference("zones are IANA's or +hh:mm; the reference forgives", _ours_fails("is no time zone", "get")),
    Difference(
        "the letters of base64 stand without spaces; the reference forgives", _ours_fails("is no base64", "decode")
    ),
    Difference("durations have d and w too", _theirs_fails("String to Duration conversion failed", "duration")),
    # How doubles and times are written.
    Difference(
        "string() and %s write infinity, NaN and digits as Go does",
        _both(lambda a, b: _has_text(a) and _has_text(b), r"string\(|format\("),
    ),
    # What is said when a text is compiled.
    Difference(
        "a literal that is no number is refused by the reference's math macros at once",
        _theirs_fails("simple literal arguments must be numeric|invalid single argument value", r"math\."),
    ),
    Difference(_LATE, _ours_fails(r"no such (function|method)|takes \d.* arguments?, not|does not take \d+ argument")),
)


def _splits_nothing(case: Case) -> bool:
    """Whether the expression has a text of nothing somewhere, written or bound."""
    return re.search(r"''|charAt|trim|substring|'%s'|\\bs\\b", case.text) is not None


def _has_text(value: Any) -> bool:
    return value.__class__ in {str, bytes, int, bool, Optional} or is_list(value) or is_map(value)
