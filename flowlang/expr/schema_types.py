"""Types from JSON Schemas: what a value is, once it has passed a schema and `engine.schemas` has typed its numbers.

The law, which tests hold against the JSON Schema test suite: a value that is valid, and converted, is of the type. The
checker and the fast tier both build on it, so wherever the language of types cannot say what a schema says, the type
says less, in the end `dyn`.

- `properties` without `type: object` take a text and a number too; such a schema is `dyn`, unless what surrounds it
  (`allOf`, `$ref`, a sibling) says that it is an object. To be checked, a schema says `type`.
- Of an object that lists its `properties` and is silent on others, the others are left out (`rest` is None): reading
  one is nearly always a slip. The data may hold them all the same, of any type, so what one alternative of `oneOf` or
  `anyOf` declares is `dyn` where another one is silent on it; with `additionalProperties: false` it keeps its type.
- `not`, `if`, `then`, `else`, `dependentSchemas`, `contains`, `propertyNames` and `unevaluated…` check data but neither
  type nor convert them; fields that only they name are optional and `dyn`.

How it is done: a schema becomes alternatives (`anyOf`, `oneOf`), each a set of places that hold together (`$ref`,
`allOf`). A type belongs to such a formula, and the formula of a field or an element follows from that of the whole.
There are finitely many, so recursion ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from flowlang.expr.schema_document import Place, SchemaDocument, number_kind
from flowlang.expr.types import DYN, NULL, STRING, Field, ListOf, MapOf, ObjectOf, Scalar, Type, nullable
from flowlang.expr.values import INT_MAX, INT_MIN

#: Alternatives of one value. Beyond, and beyond the other bounds, the type is `dyn`.
MAX_ALTERNATIVES: Final = 256
#: Nesting; data are not nested deeper either (`jsondata.MAX_DEPTH`).
MAX_DEPTH: Final = 64
#: Steps of reading one schema, some microseconds each.
MAX_STEPS: Final = 100_000
#: Patterns that may apply to one field: each may or may not, in any combination.
MAX_PATTERNS: Final = 3

#: A place, and whether absent properties with a `default` are filled in there.
Atom = tuple[Place, bool]
Clause = frozenset[Atom]
Formula = frozenset[Clause]

_ANYTHING: Final[Formula] = frozenset({frozenset()})
_NOTHING: Final[Formula] = frozenset()

_KINDS: Final = {
    "null": "null", "boolean": "bool", "string": "string", "array": "list", "object": "map",
    "integer": "number", "number": "number",
}  # fmt: skip
_ALL_KINDS: Final = frozenset(_KINDS.values())
_CLASSES: Final = {
    type(None): "null", bool: "bool", str: "string", list: "list", dict: "map", int: "number", float: "number",
}  # fmt: skip

#: Kinds of numbers from narrow to wide: where several schemas hold, the data are converted to the narrowest.
_NUMBERS: Final = ("integer", "number", None)

#: Keywords by which a place matters beyond those that lead to other places.
_TELLING: Final = frozenset(
    {
        "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "items", "prefixItems",
        "additionalItems", "properties", "patternProperties", "additionalProperties", "unevaluatedProperties",
        "required", "dependentRequired", "dependentSchemas", "if", "then", "else", "not", "$dynamicRef",
    }
)  # fmt: skip
#: Marks a field whose value must not be shown.
SENSITIVE: Final = "x-sensitive"
#: Keywords of schemas that may hold for the same object, or not.
_PERHAPS: Final = ("if", "then", "else", "not")

#: What a name must begin with for a pattern to match it; a last character that is repeated does not count.
_PREFIX: Final = re.compile(r"\^([A-Za-z0-9_-]*[A-Za-z0-9_-](?![*?{])|)")


def has_marks(schema: Any) -> bool:
    """Whether a schema marks anything as sensitive; most do not, and that is quickly seen."""
    pending = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if SENSITIVE in value:
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def type_of_schema(schema: object, *, name: str = "", defaults_filled: bool = False) -> Type:
    """Read a JSON Schema 2020-12 as a type.

    Args:
        schema: Any JSON value; what is no schema, or broken, says nothing.
        name: What to call its objects in messages, such as `the data of order/placed`; empty: by the schema's `title`.
        defaults_filled: Whether `fill_defaults` goes over the data before they are checked, so that a property with a
            `default` is always there: so it is with a pipeline's input, and not with events.

    Returns:
        The type of all valid data, after conversion; `dyn` where it cannot be said.
    """
    reader = _Reader(SchemaDocument(schema))
    return reader.read(name, filled=defaults_filled)


class _TooMuchError(Exception):
    """A bound is passed: the part that was being read is `dyn`."""


@dataclass(frozen=True, slots=True)
class _Own:
    """What the keywords of one place say, each kind of value by itself."""

    kinds: frozenset[str]
    number: int  #: among `_NUMBERS`
    values: tuple[Any, ...] | None
    lower: tuple[tuple[Any, bool], ...]  #: bound, and whether it is excluded
    upper: tuple[tuple[Any, bool], ...]
    prefix: tuple[Place, ...]
    items: Place | None
    properties: dict[str, Place]
    patterns: tuple[tuple[str, Place], ...]
    additional: Place | None
    required: tuple[str, ...]
    open: bool  #: whether it says that there are other fields, or may say so where we do not look
    closed: bool  #: whether it says that there are none


@dataclass(frozen=True, slots=True)
class _Case:
    """One alternative: places that hold together, and what follows for scalars."""

    places: tuple[tuple[_Own, Place, bool], ...]
    clause: Clause
    kinds: frozenset[str]
    number: int
    values: tuple[Any, ...] | None
    lower: tuple[tuple[Any, bool], ...]
    upper: tuple[tuple[Any, bool], ...]

    @property
    def silent(self) -> bool:
        """Whether it lists fields and does not speak of others."""
        owns = [own for own, _, _ in self.places]
        return any(own.properties for own in owns) and not any(own.open or own.closed for own in owns)

    def has(self, name: str) -> bool:
        """Whether a field is always there."""
        return any(name in own.required or (filled and _has_default(own, name)) for own, _, filled in self.places)


class _Reader:
    """Reads one document; types are made once for each formula."""

    def __init__(self, document: SchemaDocument) -> None:
        self._document = document
        self._owns: dict[Place, _Own] = {}
        self._formulas: dict[Atom, Formula] = {}
        self._types: dict[Formula, Type] = {}
        self._open: set[Formula] = set()
        self._serials: dict[Place, int] = {}
        self._owner = ""
        self._steps = 0

    def read(self, name: str, *, filled: bool) -> Type:
        root = self._document.root
        self._owner = name or "the data"
        try:
            formula = self._formula(root, filled=filled)
        except _TooMuchError:
            return DYN
        return self._type(formula, name or self._label(root), 0)

    # From schemas to formulas

    def _formula(self, start: Place, *, filled: bool = False) -> Formula:
        """The alternatives of a place."""
        formula = self._formulas.get((start, filled))
        if formula is None:
            formula = self._formulas[start, filled] = self._read(start, frozenset(), 0, filled=filled)
        return formula

    def _read(self, start: Place, seen: frozenset[Place], depth: int, *, filled: bool) -> Formula:
        """The same; a schema that contains itself for the same value adds nothing by that, so what is seen is left."""
        if depth > MAX_DEPTH:
            raise _TooMuchError
        self._step(len(seen))
        together: list[Place] = []
        reached = set(seen)
        pending = [start]
        while pending:
            place = pending.pop()
            self._step()
            if place.schema is False:
                return _NOTHING
            if place in reached:
                continue
            reached.add(place)
            self._serials.setdefault(place, len(self._serials))
            together.append(place)
            pending += reversed(self._document.conjuncts(place))
        own = frozenset((place, filled) for place in together if self._tells(place))
        formula: Formula = frozenset({own})
        inner = frozenset(reached)
        for place in together:
            for keyword in ("anyOf", "oneOf"):
                branches = self._document.each(place, keyword)
                if branches:
                    either = (self._read(branch, inner, depth + 1, filled=False) for branch in branches)
                    formula = self._both(formula, frozenset[Clause]().union(*either))
        return formula

    def _tells(self, place: Place) -> bool:
        """Whether a place says something beyond what the places that it leads to say."""
        return place.foreign or bool(_TELLING & place.keywords.keys()) or self._own(place).open

    def _both(self, one: Formula, other: Formula) -> Formula:
        """What holds when both do."""
        if len(one) * len(other) > MAX_ALTERNATIVES:
            raise _TooMuchError
        self._step(len(one) * len(other))
        return frozenset(left | right for left in one for right in other)

    def _all(self, formulas: Iterable[Formula]) -> Formula:
        return reduce(self._both, formulas, _ANYTHING)

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > MAX_STEPS:
            raise _TooMuchError

    def _cases(self, formula: Formula) -> list[_Case]:
        """The alternatives that some value fits, in the order of the schema."""
        numbered = [sorted((self._serials[place], filled, place) for place, filled in clause) for clause in formula]
        numbered.sort(key=lambda clause: [(serial, filled) for serial, filled, _ in clause])
        cases = [_case([(self._own(place), place, filled) for _, filled, place in clause]) for clause in numbered]
        return [case for case in cases if case.kinds]

    def _own(self, place: Place) -> _Own:
        own = self._owns.get(place)
        if own is None:
            own = self._owns[place] = _own(self._document, place)
        return own

    # From formulas to types

    def _type(self, formula: Formula, name: str, depth: int) -> Type:
        made = self._types.get(formula)
        if made is not None:
            return made
        if depth > MAX_DEPTH or formula in self._open:  # lists and maps cannot contain themselves
            return DYN
        self._open.add(formula)
        try:
            made = self._made(formula, name, depth)
        except _TooMuchError:
            made = DYN
        finally:
            self._open.discard(formula)
        return self._types.setdefault(formula, made)

    def _made(self, formula: Formula, name: str, depth: int) -> Type:
        cases = self._cases(formula)
        kinds = frozenset[str]().union(*(case.kinds for case in cases))
        null = "null" in kinds
        if kinds == {"null"}:
            return NULL
        if len(kinds - {"null"}) != 1:
            return DYN
        (kind,) = kinds - {"null"}
        others = frozenset(case.clause for case in cases if kind in case.kinds)
        if others != formula:  # so that `T` and `T` or null are the same objects
            return _with_null(self._type(others, name, depth), null=null)
        if kind == "map":
            names = self._names(cases)
            if names or all(self._rest(case) is None for case in cases):
                closed = all(any(own.closed for own, _, _ in case.places) for case in cases)
                made = ObjectOf(name, closed=closed)
                self._types[formula] = nullable(made) if null else made
                self._fill(made, names, cases, depth)
                return self._types[formula]
            return _with_null(MapOf(STRING, self._others(cases, depth) or DYN), null=null)
        if kind == "list":
            return _with_null(ListOf(self._element(cases, depth)), null=null)
        return _with_null(_number(cases) if kind == "number" else Scalar(kind, _values(cases, kind)), null=null)

    def _element(self, cases: list[_Case], depth: int) -> Type:
        elements: set[Clause] = set()
        for case in cases:
            width = max((len(own.prefix) for own, _, _ in case.places), default=0)
            for index in range(width + 1):
                elements |= self._all(self._item(own, index) for own, _, _ in case.places)
        labels = (self._label(own.items) for case in cases for own, _, _ in case.places if own.items)
        return self._type(frozenset(elements), next(filter(None, labels), ""), depth + 1)

    def _item(self, own: _Own, index: int) -> Formula:
        place = own.prefix[index] if index < len(own.prefix) else own.items
        return _ANYTHING if place is None else self._formula(place)

    def _names(self, cases: list[_Case]) -> list[str]:
        """All fields that are spoken of, in written order; those of conditions come last."""
        names: dict[str, None] = {}
        places = dict.fromkeys(place for case in cases for _, place, _ in case.places)
        pending = list(places)
        while pending:
            place = pending.pop(0)
            own = self._own(place)
            names.update(dict.fromkeys((*own.properties, *own.required, *_dependent(place))))
            for formula in self._conditions(place):
                found = {inner for clause in formula for inner, _ in clause} - places.keys()
                places.update(dict.fromkeys(found))
                pending += sorted(found, key=self._serials.__getitem__)
        return list(names)

    def _conditions(self, place: Place) -> Iterator[Formula]:
        """What may hold for the same object, or not."""
        parts = [self._document.one(place, keyword) for keyword in _PERHAPS]
        parts += self._document.named(place, "dependentSchemas").values()
        return (self._formula(part) for part in parts if part is not None)

    def _fill(self, made: ObjectOf, names: list[str], cases: list[_Case], depth: int) -> None:
        fields = {}
        for name in names:
            field = self._field(name, cases, depth)
            if field is not None:
                fields[name] = field
        made.fill(fields, self._others(cases, depth))

    def _field(self, name: str, cases: list[_Case], depth: int) -> Field | None:
        """A field; None when it can never be there."""
        try:
            found = [self._member(name, case) for case in cases]
        except _TooMuchError:
            return Field(DYN, required=all(case.has(name) for case in cases))
        there = frozenset[Clause]().union(*found)
        if not there:
            return None
        labels = (
            self._label(own.properties[name]) for case in cases for own, _, _ in case.places if name in own.properties
        )
        required = all(formula and case.has(name) for formula, case in zip(found, cases, strict=True))
        declared = [own.properties[name] for case in cases for own, _, _ in case.places if name in own.properties]
        sensitive = f"`{name}` of {self._owner}" if any(map(self._is_sensitive, declared)) else ""
        default = any(filled and _has_default(own, name) for case in cases for own, _, filled in case.places)
        found_type = self._type(there, next(filter(None, labels), ""), depth + 1)
        return Field(found_type, required, sensitive, filled=default)

    def _is_sensitive(self, place: Place) -> bool:
        """Whether a schema, or that of the elements of its lists, marks what must not be shown."""
        target = self._document.follow(place)
        items = self._document.one(place, "items")
        marked = [each for each in (place, target, items) if each is not None]
        return any(each.keywords.get(SENSITIVE) is True for each in marked)

    def _member(self, name: str, case: _Case) -> Formula:
        # A default is taken as it is written, so what it lacks is not filled in.
        whole = not any(filled and _has_default(own, name) for own, _, filled in case.places)
        return self._all(self._member_of(name, own, filled=filled and whole) for own, _, filled in case.places)

    def _member_of(self, name: str, own: _Own, *, filled: bool) -> Formula:
        self._step()
        patterns = [place for pattern, place in own.patterns if _may_match(pattern, name)]
        declared = own.properties.get(name)
        if declared is None:
            return self._unnamed(patterns, own.additional)
        return self._perhaps(self._formula(declared, filled=filled), patterns)

    def _unnamed(self, patterns: list[Place], additional: Place | None) -> Formula:
        """A field without a name of its own: by one pattern or more, else an additional one."""
        other = _ANYTHING if additional is None else self._formula(additional)
        for index, pattern in enumerate(patterns):
            other |= self._perhaps(self._formula(pattern), patterns[index + 1 :])
        return other

    def _perhaps(self, formula: Formula, patterns: list[Place]) -> Formula:
        """A formula with any of the patterns' besides: which of them match is not known here."""
        if len(patterns) > MAX_PATTERNS:
            raise _TooMuchError
        for pattern in patterns:
            formula |= self._both(formula, self._formula(pattern))
        return formula

    def _rest(self, case: _Case) -> Formula | None:
        """What fields without names are; None when there are none, as far as the checker is concerned."""
        if case.silent:
            return None
        owns = (own for own, _, _ in case.places)
        return self._all(self._unnamed([place for _, place in own.patterns], own.additional) for own in owns) or None

    def _others(self, cases: list[_Case], depth: int) -> Type | None:
        """The type of fields without names; None when there are none, as far as the checker is concerned."""
        try:
            found = [formula for case in cases if (formula := self._rest(case)) is not None]
        except _TooMuchError:
            return DYN
        if not found:
            return None
        if any(case.silent for case in cases):  # there it may be of any type
            return DYN
        return self._type(frozenset[Clause]().union(*found), "", depth + 1)

    def _label(self, place: Place) -> str:
        """What a schema is called: by its title or the name that refers to it, also from within `anyOf`."""
        parts = [part for keyword in ("allOf", "anyOf", "oneOf") for part in self._document.each(place, keyword)]
        found = {called for part in parts if (called := self._own_label(part))}
        return self._own_label(place) or (found.pop() if len(found) == 1 else "")

    def _own_label(self, place: Place) -> str:
        target = self._document.follow(place)
        for there in (place, target):
            title = there.keywords.get("title") if there else None
            if isinstance(title, str) and title:
                return title
        named = target is not None and len(target.path) > 1 and target.path[-2] in {"$defs", "definitions"}
        return str(target.path[-1]) if target is not None and named else ""


def _own(document: SchemaDocument, place: Place) -> _Own:
    keywords = place.keywords
    declared = keywords.get("type")
    names = [name for name in (declared if isinstance(declared, list) else [declared]) if isinstance(name, str)]
    kinds = frozenset(_KINDS[name] for name in names if name in _KINDS)
    # 2020-12 has `prefixItems` and `items` for what was written as a list of `items` and `additionalItems` before.
    former = isinstance(keywords.get("items"), list)
    properties = document.named(place, "properties")
    patterns = tuple(document.named(place, "patternProperties").items())
    additional = document.one(place, "additionalProperties")
    closed = additional is not None and additional.schema is False
    elsewhere = place.foreign or "$dynamicRef" in keywords or ("$ref" in keywords and document.follow(place) is None)
    return _Own(
        kinds=kinds or _ALL_KINDS,
        number=_NUMBERS.index(number_kind(keywords)),
        values=_enumerated(keywords),
        lower=_bounds(keywords, "minimum", "exclusiveMinimum"),
        upper=_bounds(keywords, "maximum", "exclusiveMaximum"),
        prefix=tuple(document.each(place, "items" if former else "prefixItems")),
        items=document.one(place, "additionalItems" if former else "items"),
        properties=properties,
        patterns=patterns,
        additional=additional,
        required=tuple(_texts(keywords.get("required"))),
        open=bool(patterns) or elsewhere or (additional is not None and not closed)
        or keywords.get("unevaluatedProperties", False) is not False,
        closed=closed and not patterns,
    )  # fmt: skip


def _case(places: Sequence[tuple[_Own, Place, bool]]) -> _Case:
    owns = [own for own, _, _ in places]
    kinds = reduce(frozenset.intersection, (own.kinds for own in owns), _ALL_KINDS)
    number = min((own.number for own in owns), default=_NUMBERS.index(None))
    values = None
    for members in [own.values for own in owns if own.values is not None]:
        keys = {_key(member) for member in members}
        values = [value for value in (members if values is None else values) if _key(value) in keys]
    if values is not None:
        whole = _NUMBERS[number] == "integer"
        values = [value for value in values if not (whole and value.__class__ is float and not value.is_integer())]
        kinds &= {_CLASSES[value.__class__] for value in values}
    return _Case(
        places=tuple(places),
        clause=frozenset((place, filled) for _, place, filled in places),
        kinds=kinds,
        number=number,
        values=None if values is None else tuple(values),
        lower=tuple(bound for own in owns for bound in own.lower),
        upper=tuple(bound for own in owns for bound in own.upper),
    )


def _number(cases: list[_Case]) -> Type:
    lower: list[float | None]
    upper: list[float | None]
    kinds = {_NUMBERS[case.number] for case in cases}
    if kinds == {"integer"}:
        values = _values(cases, "number", int)
        lower, upper = [_whole_minimum(case.lower) for case in cases], [_whole_maximum(case.upper) for case in cases]
    elif kinds == {"number"}:
        values = _values(cases, "number", _double)
        lower, upper = [_double_minimum(case.lower) for case in cases], [_double_maximum(case.upper) for case in cases]
    else:
        return DYN
    return Scalar(
        "int" if kinds == {"integer"} else "double",
        values,
        None if None in lower else min(bound for bound in lower if bound is not None),
        None if None in upper else max(bound for bound in upper if bound is not None),
    )


def _values(
    cases: list[_Case], kind: str, convert: Callable[[Any], Any] = lambda value: value
) -> tuple[Any, ...] | None:
    """The only values of a kind, or None."""
    found: dict[Any, None] = {}
    for case in cases:
        if case.values is None:
            return None
        found.update(dict.fromkeys(convert(value) for value in case.values if _CLASSES[value.__class__] == kind))
    return tuple(found)


def _whole_minimum(bounds: Iterable[tuple[Any, bool]]) -> int | None:
    found = max(
        (math.floor(bound) + 1 if excluded else math.ceil(bound) for bound, excluded in bounds), default=INT_MIN
    )
    return found if found > INT_MIN else None


def _whole_maximum(bounds: Iterable[tuple[Any, bool]]) -> int | None:
    found = min(
        (math.ceil(bound) - 1 if excluded else math.floor(bound) for bound, excluded in bounds), default=INT_MAX
    )
    return found if found < INT_MAX else None


# An excluded bound of doubles is kept as the bound: converting an int that is near it may round to the bound itself.
def _double_minimum(bounds: Iterable[tuple[Any, bool]]) -> float | None:
    return max((_double(bound) for bound, _ in bounds), default=None)


def _double_maximum(bounds: Iterable[tuple[Any, bool]]) -> float | None:
    return min((_double(bound) for bound, _ in bounds), default=None)


def _bounds(keywords: dict[str, Any], included: str, excluded: str) -> tuple[tuple[Any, bool], ...]:
    found = ((keywords.get(included), False), (keywords.get(excluded), True))
    return tuple((bound, out) for bound, out in found if _is_finite(bound))


def _is_finite(value: Any) -> bool:
    return value.__class__ is int or (value.__class__ is float and math.isfinite(value))


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an int beyond all doubles
        return math.copysign(math.inf, value)


def _enumerated(keywords: dict[str, Any]) -> tuple[Any, ...] | None:
    """The values that `enum` and `const` allow; None: any."""
    lists = [keywords["enum"]] if isinstance(keywords.get("enum"), list) else []
    lists += [[keywords["const"]]] if "const" in keywords else []
    if not lists:
        return None
    keys = {_key(value) for value in lists[-1]}
    return tuple(value for value in lists[0] if value.__class__ in _CLASSES and _key(value) in keys)


def _key(value: Any) -> tuple[str | None, object]:
    """What equal values have in common; lists and maps of which only the kind is looked at count as equal."""
    kind = _CLASSES.get(value.__class__)
    return kind, None if kind in {"list", "map", None} else value


def _has_default(own: _Own, name: str) -> bool:
    declared = own.properties.get(name)
    return declared is not None and isinstance(declared.schema, dict) and "default" in declared.schema


def _may_match(pattern: str, name: str) -> bool:
    """Whether a pattern may match a name: not when it asks for another beginning."""
    prefix = _PREFIX.match(pattern)
    return prefix is None or "|" in pattern or name.startswith(prefix[1])


def _dependent(place: Place) -> Iterator[str]:
    written = place.keywords.get("dependentRequired")
    for name, others in written.items() if isinstance(written, dict) else ():
        yield name
        yield from _texts(others)


def _texts(written: Any) -> list[str]:
    return [text for text in written if isinstance(text, str)] if isinstance(written, list) else []


def _with_null(made: Type, *, null: bool) -> Type:
    return nullable(made) if null else made
