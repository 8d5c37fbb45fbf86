"""The types of the names that expressions of a pipeline read: events, steps, runs, errors, results (language.md §5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from flowlang.expr.types import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    Field,
    ListOf,
    MapOf,
    ObjectOf,
    Scalar,
    Type,
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


def step_type(output: Type) -> ObjectOf:
    """The type of `steps.ID`. What of it may be absent depends on how the step ended, and is not decided here.

    Args:
        output: Type of the step's output.
    """
    return _object(
        "a step",
        {
            "status": STATUS,
            "output": output,
            "error": ERROR,
            "attempts": INT,
            "started_at": STRING,
            "ended_at": STRING,
        },
    )


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


def type_of_value(value: Any, templates: Mapping[tuple[str | int, ...], Type]) -> Type:
    """The type of a value whose texts are templates.

    Args:
        value: The value as written.
        templates: By path, the types of those of its texts that hold expressions.
    """
    return _type_at(value, (), templates)


def _type_at(value: Any, path: tuple[str | int, ...], templates: Mapping[tuple[str | int, ...], Type]) -> Type:
    if path in templates:
        return templates[path]
    match value:
        case dict():
            fields = {key: Field(_type_at(part, (*path, key), templates)) for key, part in value.items()}
            return ObjectOf("", fields)
        case list():
            return ListOf(_common(_type_at(part, (*path, place), templates) for place, part in enumerate(value)))
        case bool() | int() | float() | str():
            return _PLAIN[value.__class__]
        case _:
            return DYN


_PLAIN: Final[Mapping[type, Type]] = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}


def _common(types: Iterable[Type]) -> Type:
    found = list(types)
    return found[0] if found and all(type_ == found[0] for type_ in found) else DYN
