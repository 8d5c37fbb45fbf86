"""The types of the names that expressions of a pipeline read: events, steps, runs, errors, results (language.md §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from flowlang.expr.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    Field,
    ListOf,
    MapOf,
    Nullable,
    ObjectOf,
    Scalar,
    Type,
    kind,
    nullable,
    plain,
    without_null,
)
from flowlang.expr.value_template import texts_of

STATUS: Final = Scalar("string", ("succeeded", "failed", "timed_out", "skipped", "cancelled"))
_CLASS: Final = Scalar("string", ("transient", "resource", "permanent", "bug", "timeout", "cancelled"))


def _object(name: str, required: Mapping[str, Type], optional: Mapping[str, Type] | None = None) -> ObjectOf:
    fields = {key: Field(type_) for key, type_ in required.items()}
    fields |= {key: Field(type_, required=False) for key, type_ in (optional or {}).items()}
    return ObjectOf(name, fields)


ERROR: Final = _object(
    "the error",
    {"class": _CLASS, "code": STRING, "message": STRING, "step": STRING, "attempts": INT},
    {"failed": DYN},
)

#: `run` once it has started; triggers, vars and keys are evaluated before, without `started_at`.
RUN: Final = _object(
    "the run",
    {"id": STRING, "pipeline": STRING, "version": STRING, "started_at": STRING, "root": STRING},
    {"parent": STRING, "replay_of": STRING},
)

#: Types of names that are the same wherever they can be read.
EVERYWHERE: Final[Mapping[str, Type]] = {
    "error": ERROR,
    "run": RUN,
    "index": INT,
    "secrets": MapOf(STRING, STRING),
    "env": MapOf(STRING, STRING),
    "headers": MapOf(STRING, STRING),
}

#: What is known of a run or event that was sent on its way.
SENT: Final = _object("what was sent", {"id": STRING})

#: What a schedule sends.
TICK: Final = _object("the data of a tick", {"scheduled_at": STRING, "previous_at": STRING})


def event_type(data: Type) -> ObjectOf:
    """The type of an event.

    Args:
        data: Type of its data.
    """
    return _object(
        "the event",
        {"name": STRING, "id": STRING, "time": STRING, "source": STRING, "data": data},
        {"user": DYN},
    )


#: What `steps.ID` has whatever the step does.
_STEP_FIELDS: Final = {
    "status": Field(STATUS),
    "output": Field(DYN),
    "error": Field(ERROR),
    "attempts": Field(INT),
    "started_at": Field(STRING),
    "ended_at": Field(STRING),
}


def step_type(output: Type, *, none: str = "", unsure: str = "", sensitive: str = "") -> ObjectOf:
    """The type of `steps.ID`.

    Args:
        output: Type of the step's output.
        none: Why the step may have none although it has succeeded, in words; empty: it has one.
        unsure: Why it may not have succeeded, in words; empty: it has. A test of its status tells.
        sensitive: What the output is that must not be shown; empty: it may be, or parts of it are marked.
    """
    fields = {**_STEP_FIELDS, "output": Field(output, required=not none, sensitive=sensitive, reason=none)}
    succeeded = ObjectOf("a step", fields)
    if not unsure:
        return succeeded
    perhaps = {**fields, "output": Field(output, required=False, sensitive=sensitive, reason=none or unsure)}
    return ObjectOf("a step", perhaps, variants=("status", {"succeeded": succeeded}))


def any_event(events: Mapping[str, Type]) -> ObjectOf:
    """The type of an event that is one of several; a test of its name tells which.

    Args:
        events: Types of their data, by name.
    """
    if len(events) == 1:
        return event_type(next(iter(events.values())))
    made = event_type(either(events.values()))
    variants: dict[object, ObjectOf] = {name: event_type(data) for name, data in events.items()}
    return ObjectOf(made.name, made.fields, variants=("name", variants))


def either(types: Iterable[Type]) -> Type:
    """The type of what is one of several things, such as the output of the case that was chosen.

    Args:
        types: Of what it may be.
    """
    found = list(types)
    inner = [without_null(type_) for type_ in found if kind(type_) != "null"]
    made = _either(inner) if inner else (NULL if found else DYN)
    with_null = len(inner) < len(found) or any(isinstance(type_, Nullable) for type_ in found)
    return nullable(made) if with_null else made


def _either(types: Sequence[Type]) -> Type:
    first, *others = types
    if all(other == first for other in others):
        return first
    if all(isinstance(type_, ObjectOf) for type_ in types):
        return _either_object([type_ for type_ in types if isinstance(type_, ObjectOf)])
    if all(isinstance(type_, ListOf) for type_ in types):
        return ListOf(either(type_.element for type_ in types if isinstance(type_, ListOf)))
    if isinstance(first, Scalar) and all(kind(other) == first.kind for other in others):
        return plain(first)
    return DYN


def _either_object(types: Sequence[ObjectOf]) -> ObjectOf:
    """Fields that not all of them have may be missing; where one is silent on a field, it may be of any type."""
    fields: dict[str, Field] = {}
    for name in dict.fromkeys(name for type_ in types for name in type_.fields):
        there = [field for type_ in types if (field := type_.field(name)) is not None]
        silent = any(type_.field(name) is None and not type_.closed and type_.name for type_ in types)
        sensitive = next((field.sensitive for field in there if field.sensitive), "")
        required = len(there) == len(types) and all(field.required for field in there)
        fields[name] = Field(DYN if silent else either(field.type for field in there), required, sensitive)
    rest = DYN if any(type_.rest is not None for type_ in types) else None
    names = {type_.name for type_ in types}
    return ObjectOf(names.pop() if len(names) == 1 else "", fields, rest)


def results_type(item: Type) -> ListOf:
    """The type of `results` in a `collect`.

    Args:
        item: Type of the items; null for a `repeat`.
    """
    fields = {"item": item, "index": INT, "status": STATUS, "output": DYN, "error": DYN}
    return ListOf(_object("a result", fields))


def literal_type(value: Any) -> Type:
    """The type of a value that was checked elsewhere; of its texts with templates nothing is known.

    Args:
        value: The value as written.
    """
    templates: dict[tuple[str | int, ...], Type] = {}
    for path, text in texts_of(value):
        if "${{" in text:
            templates[path] = DYN
    return type_of_value(value, templates)


def type_of_value(
    value: Any,
    templates: Mapping[tuple[str | int, ...], Type],
    sensitive: Mapping[tuple[str | int, ...], str] | None = None,
) -> Type:
    """The type of a value whose texts are templates.

    Args:
        value: The value as written.
        templates: By path, the types of those of its texts that hold expressions.
        sensitive: By path, which of them must not be shown, and what they hold.
    """
    return _type_at(value, (), templates, sensitive or {})


def _type_at(
    value: Any,
    path: tuple[str | int, ...],
    templates: Mapping[tuple[str | int, ...], Type],
    sensitive: Mapping[tuple[str | int, ...], str],
) -> Type:
    if path in templates:
        return templates[path]
    match value:
        case dict():
            fields = {}
            for key, part in value.items():
                there = (*path, key)
                # Of a list, its elements have no fields of their own: the list as a whole is marked.
                marks = [name for at, name in sensitive.items() if at[: len(there)] == there]
                mark = marks[0] if marks and not isinstance(part, dict) else ""
                fields[key] = Field(_type_at(part, there, templates, sensitive), sensitive=mark)
            return ObjectOf("", fields)
        case list():
            parts = (_type_at(part, (*path, place), templates, sensitive) for place, part in enumerate(value))
            return ListOf(_common(parts))
        case bool() | int() | float() | str():
            return _PLAIN[value.__class__]
        case _:
            return DYN


_PLAIN: Final[Mapping[type, Type]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}


def _common(types: Iterable[Type]) -> Type:
    found = list(types)
    return found[0] if found and all(type_ == found[0] for type_ in found) else DYN
