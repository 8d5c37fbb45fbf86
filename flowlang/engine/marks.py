"""Which of a run's data must not be shown: the fields that schemas and handlers' hints mark as sensitive.

Owns the way from a mark (`x-sensitive`, in a schema or by `Sensitive[...]` in a hint) to the values that stand there in
data at hand. Where these are shown, `redaction` hides them, also where they were carried on from the marked field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from flowlang.engine.schemas import EventValidator
from flowlang.engine.state import Event, Record, RunMeta
from flowlang.expr.schema_document import Place, SchemaDocument
from flowlang.expr.schema_types import SENSITIVE, has_marks
from flowlang.plan import Plan, Step, Uses
from flowlang.redaction import HIDDEN, Mask

#: Which places of a schema may hold for the same value, besides those that hold for certain.
_PERHAPS: Final = ("if", "then", "else")
_EITHER: Final = ("anyOf", "oneOf")


class Marks:
    """The marked fields of one schema.

    Args:
        schema: JSON Schema; None marks nothing.
    """

    def __init__(self, schema: Any) -> None:
        self._document = SchemaDocument(schema) if has_marks(schema) else None

    def __bool__(self) -> bool:
        return self._document is not None

    def values(self, data: Any) -> Iterator[Any]:
        """The texts and numbers in data that stand in marked fields."""
        if self._document is not None:
            for found in self._found([self._document.root], data):
                yield from leaves(found)

    def hidden(self, data: Any) -> Any:
        """The data with `***` in place of what stands in marked fields, of whatever kind it is."""
        return data if self._document is None else self._without([self._document.root], data)

    def hidden_at(self, path: Sequence[str], value: Any) -> Any:
        """What was read at a path of the data, as it may be shown."""
        whole = value
        for name in reversed(path):
            whole = {name: whole}
        whole = self.hidden(whole)
        for name in path:
            if not isinstance(whole, dict):
                return HIDDEN  # what it lies in is marked
            whole = whole[name]
        return whole

    def _found(self, places: Iterable[Place], data: Any) -> Iterator[Any]:
        places = self._all(places)
        if _is_marked(places):
            yield data
        elif isinstance(data, Mapping):
            for name, value in data.items():
                yield from self._found(self._members(places, name), value)
        elif isinstance(data, list):
            for index, value in enumerate(data):
                yield from self._found(self._elements(places, index), value)

    def _without(self, places: Iterable[Place], data: Any) -> Any:
        places = self._all(places)
        if _is_marked(places):
            return None if data is None else HIDDEN
        if isinstance(data, Mapping):
            return {name: self._without(self._members(places, name), value) for name, value in data.items()}
        if isinstance(data, list):
            return [self._without(self._elements(places, index), value) for index, value in enumerate(data)]
        return data

    def _all(self, places: Iterable[Place]) -> list[Place]:
        """All places that hold or may hold for a value: a mark in any of them counts."""
        document, found, pending = self._document, dict[Place, None](), list(places)
        assert document is not None
        while pending:
            place = pending.pop()
            if place in found:
                continue
            found[place] = None
            pending += document.conjuncts(place)
            for keyword in _EITHER:
                pending += document.each(place, keyword)
            pending += filter(None, (document.one(place, keyword) for keyword in _PERHAPS))
            pending += document.named(place, "dependentSchemas").values()
        return list(found)

    def _members(self, places: Iterable[Place], name: str) -> Iterator[Place]:
        document = self._document
        assert document is not None
        for place in places:
            known = document.named(place, "properties")
            if name in known:
                yield known[name]
            patterns = document.named(place, "patternProperties")
            matching = [part for pattern, part in patterns.items() if _matches(pattern, name)]
            yield from matching
            for keyword in ("additionalProperties", "unevaluatedProperties"):
                rest = document.one(place, keyword)
                if rest is not None and name not in known and not matching:
                    yield rest

    def _elements(self, places: Iterable[Place], index: int) -> Iterator[Place]:
        document = self._document
        assert document is not None
        for place in places:
            first = document.each(place, "prefixItems")
            if index < len(first):
                yield first[index]
                continue
            for keyword in ("items", "contains", "unevaluatedItems"):
                rest = document.one(place, keyword)
                if rest is not None:
                    yield rest


#: Of what has no schema.
NO_MARKS: Final = Marks(None)

#: Keys and indices that lead to a part of JSON data.
DataPath = tuple[str | int, ...]

#: Gives the marks of an event's schema, by the event's name.
EventMarks = Callable[[str], Marks]


def event_values(event: Event, marks: EventMarks) -> Iterator[Any]:
    """What must not be shown of an event: marked fields, and what was carried on to it."""
    yield from marks(event.name).values(event.data)
    for path in event.hidden:
        yield from leaves(_at(event.data, path))


class RunMarks:
    """The marks of one version of a pipeline.

    Args:
        plan: The version.
    """

    def __init__(self, plan: Plan) -> None:
        self._input = Marks(plan.input_schema)
        self._returned = {handler: Marks(hints.returns) for handler, hints in plan.marked.items()}
        self._arguments = {
            (handler, name): Marks(schema)
            for handler, hints in plan.marked.items()
            for name, schema in hints.arguments.items()
        }
        self._steps: Mapping[str, Step] = {step.key: step for step in plan.steps}

    def __bool__(self) -> bool:
        """Whether the version marks anything itself."""
        return bool(self._input) or bool(self._returned) or bool(self._arguments)

    def hidden_input(self, data: Any) -> Any:
        """What the pipeline takes, as it may be shown."""
        return self._input.hidden(data)

    def hidden_output(self, instance: str, output: Any) -> Any:
        """What a step has given, as it may be shown; what was carried on from other fields is left to `mask`."""
        step = self._steps.get(step_key(instance))
        if step is None or not isinstance(step.verb, Uses):
            return output
        return self._returned.get(step.verb.handler, NO_MARKS).hidden(output)

    def mask(self, meta: RunMeta, records: Mapping[str, Record], marks: EventMarks) -> Mask:
        """What hides all that is marked of a run's data.

        Args:
            meta: The run's event, or events.
            records: Of steps, as far as they are known.
            marks: Of events.
        """
        return Mask(self._values(meta, records, marks))

    def argument_values(self, handler: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """What must not be shown of the arguments of a call."""
        for name, value in arguments.items():
            yield from self._arguments.get((handler, name), NO_MARKS).values(value)

    def _values(self, meta: RunMeta, records: Mapping[str, Record], marks: EventMarks) -> Iterator[Any]:
        for event in (meta.event, *meta.events):
            yield from event_values(event, marks)
            yield from self._input.values(event.data)
        for instance, record in records.items():
            if record.output is not msgspec.UNSET:
                yield from self._output(instance, record.output, marks)

    def _output(self, instance: str, output: Any, marks: EventMarks) -> Iterator[Any]:
        step = self._steps.get(step_key(instance))
        if step is not None and isinstance(step.verb, Uses):
            yield from self._returned.get(step.verb.handler, NO_MARKS).values(output)
        else:
            yield from _events_in(output, marks)


def carrying(mask: Mask, event: Event) -> Event:
    """An event that was made of other data, with the places where it carries on what must not be shown of those.

    Args:
        mask: Of the other data.
        event: With its own data.
    """
    if not mask:
        return event
    return msgspec.structs.replace(event, hidden=tuple(_carrying(mask, event.data, ())))


def _carrying(mask: Mask, value: Any, path: DataPath) -> Iterator[DataPath]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _carrying(mask, part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _carrying(mask, part, (*path, index))
    elif mask.tree(value) != value:
        yield path


def _at(data: Any, path: DataPath) -> Any:
    """What lies at a path; None when there is nothing."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _events_in(output: Any, marks: EventMarks) -> Iterator[Any]:
    """What is marked of the events that a wait gives: one, or a list of them."""
    for each in output if isinstance(output, list) else (output,):
        if isinstance(each, Mapping) and isinstance(name := each.get("name"), str) and "data" in each:
            yield from marks(name).values(each["data"])


def step_key(instance: str) -> str:
    """The step of an instance: `notify` for `pages[3].notify`, and for an item of it."""
    return instance.rpartition("].")[2].partition("[")[0]


def leaves(value: Any) -> Iterator[Any]:
    """The texts and numbers in JSON data."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    elif value is not None and not isinstance(value, bool):
        yield value


@lru_cache(maxsize=1024)
def _pattern(text: str) -> EventValidator:
    return EventValidator({"pattern": text})


def _matches(pattern: str, name: str) -> bool:
    return _pattern(pattern).check(name).ok


def _is_marked(places: Iterable[Place]) -> bool:
    return any(place.keywords.get(SENSITIVE) is True for place in places)
