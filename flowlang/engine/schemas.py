"""Data against its JSON Schema at run time: failing paths as people write them, numbers as the schema types them.

Owns the compiled validator of an event or input and what happens to data on its way through it. Whether a schema is
itself sound is the compiler's business; a schema that cannot be compiled is refused here with `SchemaError`.

JSON has one kind of number, expressions have two: after the check an integral number is an int where the schema says
`integer` and a float where it says `number`; where `allOf` and the like say both, an int. Of `anyOf` and `oneOf` the
first branch that takes the value converts it. Conditional subschemas (`if`, `then`, `else`) check but do not convert.
What comes out is of the type that `expr.schema_types` reads from the schema.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from typing import Any, Final
from urllib.parse import quote, urljoin

import jsonschema_rs
import msgspec

from flowlang import jsondata
from flowlang.errors import FlowError
from flowlang.expr.schema_document import Place, SchemaDocument, number_kind

MAX_FAILURES = 20  #: failing paths that are reported of one value

_ROOT: Final = "https://schema.invalid/"  #: name of a schema without `$id`, by which tests of its parts refer to it

Convert = Callable[[Any], Any]
Schema = dict[str, Any] | bool

#: Places that hold for one value, and those of them whose `anyOf` and `oneOf` are settled.
_Set = tuple[frozenset[Place], frozenset[Place]]


class SchemaError(FlowError):
    """A schema that cannot be compiled: unsound, or it refers to something outside itself."""


class Failure(msgspec.Struct, frozen=True):
    """One place where data breaks its schema."""

    path: str  #: `data.items[3].sku`
    message: str  #: never holds the offending value


class CheckedData(msgspec.Struct, frozen=True):
    """What came out of a check: the data with its numbers typed, or the failures and the data as it came."""

    data: Any
    failures: tuple[Failure, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the data may be used."""
        return not self.failures


class EventValidator:
    """Checks data against one schema; built once, used from any thread.

    Args:
        schema: JSON Schema 2020-12; None takes everything as it is.
        root: What failing paths begin with.

    Raises:
        SchemaError: when the schema cannot be compiled; nothing is ever fetched for a `$ref`.
    """

    def __init__(self, schema: Any, root: str = "data") -> None:
        self._root = root
        self._validator = None if schema is None else _compile(schema)
        self._convert = _Conversions(schema).whole() if isinstance(schema, dict) else None

    def check(self, data: Any) -> CheckedData:
        """Check data and type its numbers.

        Args:
            data: A JSON value; it is not changed.

        Returns:
            The converted data, or up to `MAX_FAILURES` failures.
        """
        if self._validator is None:
            return CheckedData(data)
        if self._validator.is_valid(data):
            return self._converted(data)
        failures: list[Failure] = []
        for error in self._validator.iter_errors(data):
            failures.extend(_failures(error, self._root))
            if len(failures) >= MAX_FAILURES:
                break
        return CheckedData(data, tuple(failures[:MAX_FAILURES]))

    def _converted(self, data: Any) -> CheckedData:
        if self._convert is None:
            return CheckedData(data)
        try:
            return CheckedData(self._convert(data))
        except _TooLargeError as error:
            path = jsondata.render_path((self._root, *reversed(error.path)))
            return CheckedData(data, (Failure(path, "is an integer beyond 64 bits"),))


def fill_defaults(schema: Any, data: Any) -> Any:
    """Fill in the `default`s of absent properties, in nested objects too.

    Args:
        schema: JSON Schema 2020-12; None or a boolean has no defaults.
        data: A JSON value; it is not changed.

    Returns:
        The value with defaults; anything but an object comes back as it is.
    """
    if not isinstance(schema, dict) or not isinstance(data, dict):
        return data
    document = SchemaDocument(schema)
    return _filled(document, document.root, data, frozenset())


def _filled(document: SchemaDocument, place: Place, data: Any, seen: frozenset[Place]) -> Any:
    """Fill in by one schema; `seen` are those that this value is being filled by already."""
    if place in seen or not place.keywords or not isinstance(data, dict):
        return data
    filled = dict(data)
    for part in document.conjuncts(place):
        filled = _filled(document, part, filled, seen | {place})
    for name, member in place.keywords.get("properties", {}).items():
        if name not in filled:
            if isinstance(member, dict) and "default" in member:
                filled[name] = copy.deepcopy(member["default"])
        elif isinstance(filled[name], dict):
            inner = document.at((*place.path, "properties", name), member)
            filled[name] = _filled(document, inner, filled[name], frozenset())
    return filled


def _compile(schema: Schema, registry: jsonschema_rs.Registry | None = None) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            registry=registry,
            offline=True,
            mask="the value",  # messages end up in dead letters and answers; the sender knows what it sent
            pattern_options=jsonschema_rs.RegexOptions(),  # linear time; a backtracking engine is a door for attacks
        )
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaError(f"schema: {str(error).splitlines()[0]}") from error


def _failures(error: jsonschema_rs.ValidationError, root: str) -> list[Failure]:
    path = (root, *error.instance_path)
    facts = error.kind.as_dict()
    if error.kind.name == "required":
        return [Failure(jsondata.render_path((*path, facts["property"])), "is required, and missing")]
    if error.kind.name == "additionalProperties":
        return [Failure(jsondata.render_path((*path, name)), "is not a known field") for name in facts["unexpected"]]
    return [Failure(jsondata.render_path(path), error.message)]


class _TooLargeError(Exception):
    """An integer beyond 64 bits; the path to it is collected on the way out, innermost first."""

    def __init__(self) -> None:
        super().__init__()
        self.path: list[str | int] = []


def _to_float(value: Any) -> Any:
    return float(value) if type(value) is int else value


def _to_int(value: Any) -> Any:
    if type(value) is not float or not value.is_integer():
        return value
    if not jsondata.INT_MIN <= value <= jsondata.INT_MAX:
        raise _TooLargeError
    return int(value)


class _Tests:
    """Tests of parts of a schema, in which references are those of the whole."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._name = urljoin(_ROOT, schema.get("$id", "")).partition("#")[0]
        self._made: dict[Place, jsonschema_rs.Draft202012Validator] = {}

    def of(self, place: Place) -> jsonschema_rs.Draft202012Validator:
        if place not in self._made:
            steps = (quote(str(step).replace("~", "~0").replace("/", "~1"), safe="~") for step in place.path)
            self._made[place] = _compile({"$ref": "/".join((f"{self._name}#", *steps))}, self._registry)
        return self._made[place]

    @cached_property
    def _registry(self) -> jsonschema_rs.Registry:
        plain = {key: value for key, value in self._schema.items() if key != "$schema"}  # all is read as 2020-12
        return jsonschema_rs.Registry([(self._name, plain)], draft=jsonschema_rs.Draft202012)


class _Conversions:
    """Compiles a schema to functions that type its numbers; None where there is nothing to convert.

    What converts a value follows from all the places that hold for it: those that `$ref` and `allOf` add, and of each
    `anyOf` and `oneOf` the first branch that takes the value. So there is one function for each set of places.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        self._document = SchemaDocument(schema)
        self._tests = _Tests(schema)
        self._made: dict[_Set, Convert | None] = {}
        self._idle: set[Place] = set()  #: places that lead to no number

    def whole(self) -> Convert | None:
        """What converts a value of the whole schema."""
        return self._of([self._document.root], frozenset())

    def _of(self, starts: Iterable[Place | None], within: frozenset[_Set]) -> Convert | None:
        places = [place for place in starts if place is not None]
        return self._make((self._together(places), frozenset()), within) if any(map(self._matters, places)) else None

    def _together(self, starts: Iterable[Place]) -> frozenset[Place]:
        """All places that hold when some do, whatever the value is."""
        places: set[Place] = set()
        pending = list(starts)
        while pending:
            place = pending.pop()
            if place not in places:
                places.add(place)
                pending += self._document.conjuncts(place)
        return frozenset(places)

    def _make(self, which: _Set, within: frozenset[_Set]) -> Convert | None:
        if which in self._made:
            return self._made[which]
        if which in within:  # a schema that contains itself: the function is looked up when it is needed
            return lambda value: value if (convert := self._make(which, frozenset())) is None else convert(value)
        inner = within | {which}
        places, settled = which
        unions = [
            branches
            for place in places - settled
            for keyword in ("anyOf", "oneOf")
            if any(map(self._matters, branches := self._document.each(place, keyword)))
        ]
        self._made[which] = convert = self._chosen(which, unions) if unions else self._plain(places, inner)
        return convert

    def _matters(self, start: Place) -> bool:
        """Whether a schema, or anything that it may lead to, says what kind a number is of."""
        reached: set[Place] = set()
        pending = [start]
        while pending:
            place = pending.pop()
            if place in reached or place in self._idle:
                continue
            reached.add(place)
            if number_kind(place.keywords) is not None:
                return True
            pending += self._document.conjuncts(place)
            for keyword in ("anyOf", "oneOf", "prefixItems"):
                pending += self._document.each(place, keyword)
            for keyword in ("properties", "patternProperties"):
                pending += self._document.named(place, keyword).values()
            for keyword in ("additionalProperties", "items"):
                pending += filter(None, [self._document.one(place, keyword)])
        self._idle |= reached
        return False

    def _chosen(self, which: _Set, unions: list[list[Place]]) -> Convert:
        """Choose the branches that take the value, and convert by them and all that holds besides."""
        places, settled = which
        choices = [[(self._tests.of(branch), branch) for branch in branches] for branches in unions]
        made: dict[tuple[Place, ...], Convert | None] = {}

        def convert(value: Any) -> Any:
            first = (next((branch for test, branch in tests if test.is_valid(value)), None) for tests in choices)
            chosen = tuple(branch for branch in first if branch is not None)
            if chosen not in made:
                made[chosen] = self._make((places | self._together(chosen), settled | places), frozenset())
            apply = made[chosen]
            return value if apply is None else apply(value)

        return convert

    def _plain(self, places: frozenset[Place], within: frozenset[_Set]) -> Convert | None:
        """Convert by the places' own keywords."""
        numbers = {number_kind(place.keywords) for place in places}
        leaf = _to_int if "integer" in numbers else _to_float if "number" in numbers else None
        found = [part for part in (leaf, self._object(places, within), self._array(places, within)) if part is not None]
        if len(found) <= 1:
            return found[0] if found else None
        return _in_turn(found)  # each is for another kind of value

    def _object(self, places: frozenset[Place], within: frozenset[_Set]) -> Convert | None:
        owns = [_Members(self._document, place) for place in places]
        if any(own.patterns for own in owns):
            return self._by_pattern(owns) if any(map(self._matters, chain(*(own.all() for own in owns)))) else None
        known = {name: self._of(_called(name, owns), within) for own in owns for name in own.named}
        rest = self._of([own.rest for own in owns], within)
        if rest is None:
            kept = {name: apply for name, apply in known.items() if apply is not None}
            return _of_known(kept) if kept else None
        return _of_members(lambda name: known.get(name, rest))

    def _by_pattern(self, owns: list[_Members]) -> Convert:
        made: dict[frozenset[Place], Convert | None] = {}

        def apply(name: str) -> Convert | None:
            called = frozenset(_called(name, owns))
            if called not in made:
                made[called] = self._of(called, frozenset())
            return made[called]

        return _of_members(apply)

    def _array(self, places: frozenset[Place], within: frozenset[_Set]) -> Convert | None:
        lists = [(self._document.each(place, "prefixItems"), self._document.one(place, "items")) for place in places]
        width = max((len(first) for first, _ in lists), default=0)
        members = [
            self._of([first[index] if index < len(first) else rest for first, rest in lists], within)
            for index in range(width)
        ]
        rest = self._of([rest for _, rest in lists], within)
        if rest is None and not any(members):
            return None

        def convert(value: Any) -> Any:
            if type(value) is not list:
                return value
            changed = list(value)
            for index, member in enumerate(value):
                apply = members[index] if index < width else rest
                if apply is not None:
                    try:
                        changed[index] = apply(member)
                    except _TooLargeError as error:
                        error.path.append(index)
                        raise
            return changed

        return convert


class _Members:
    """Which schemas of one place hold for the members of an object."""

    def __init__(self, document: SchemaDocument, place: Place) -> None:
        self.named = document.named(place, "properties")
        patterns = document.named(place, "patternProperties")
        self.patterns = [(_compile({"pattern": pattern}), part) for pattern, part in patterns.items()]
        self.rest = document.one(place, "additionalProperties")

    def all(self) -> list[Place]:
        rest = [] if self.rest is None else [self.rest]
        return [*self.named.values(), *(part for _, part in self.patterns), *rest]

    def called(self, name: str) -> Iterator[Place]:
        """The schemas for a member of a name."""
        found = [part for test, part in self.patterns if test.is_valid(name)]
        if name in self.named:
            found.append(self.named[name])
        elif not found and self.rest is not None:
            found.append(self.rest)
        yield from found


def _called(name: str, owns: list[_Members]) -> Iterator[Place]:
    return (part for own in owns for part in own.called(name))


def _of_known(known: Mapping[str, Convert]) -> Convert:
    """Convert the members that have a conversion; the others need not be looked at."""

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            return value
        changed = dict(value)
        for name, apply in known.items():
            if name in value:
                try:
                    changed[name] = apply(value[name])
                except _TooLargeError as error:
                    error.path.append(name)
                    raise
        return changed

    return convert


def _of_members(conversion: Callable[[str], Convert | None]) -> Convert:
    """Convert all members that have a conversion."""

    def convert(value: Any) -> Any:
        if type(value) is not dict:
            return value
        changed = dict(value)
        for name, member in value.items():
            apply = conversion(name)
            if apply is not None:
                try:
                    changed[name] = apply(member)
                except _TooLargeError as error:
                    error.path.append(name)
                    raise
        return changed

    return convert


def _in_turn(parts: list[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        for part in parts:
            value = part(value)
        return value

    return convert
