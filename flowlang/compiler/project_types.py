"""The types that a project's files declare: events, handlers, and what pipelines take and give. Each is made once."""

from __future__ import annotations

from collections.abc import Iterable

from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.place_types import TICK, any_event, event_type
from flowlang.expr.schema_types import SENSITIVE, type_of_schema
from flowlang.expr.types import DYN, ObjectOf, Type


class ProjectTypes:
    """Types of a project.

    Args:
        project: What was read.

    Attributes:
        inputs: What pipelines take, by name; filled as they are compiled.
        outputs: What they give.
    """

    def __init__(self, project: ProjectInput) -> None:
        self._project = project
        self._events: dict[str, Type] = {}
        self._arguments: dict[tuple[str, str], Type] = {}
        self._results: dict[str, Type] = {}
        self._filled: dict[str, Type] = {}
        self.inputs: dict[str, Type] = {}
        self.outputs: dict[str, Type] = {}

    def event_data(self, name: str) -> Type:
        """The type of an event's data; `dyn` where it has no schema."""
        if name == "schedule/tick":
            return TICK
        if name not in self._events:
            schema = self._project.schemas.get(name)
            made = DYN if schema is None else type_of_schema(schema.schema, name=data_of(name))
            self._events[name] = made
        return self._events[name]

    def filled_event_data(self, name: str) -> Type:
        """The type of an event's data as the input of a pipeline: defaults of its schema are filled in."""
        if name not in self._filled:
            schema = self._project.schemas[name]
            self._filled[name] = type_of_schema(schema.schema, name=data_of(name), defaults_filled=True)
        return self._filled[name]

    def event(self, names: Iterable[str]) -> ObjectOf:
        """The type of an event that has one of these names or matches one of these patterns."""
        found = tuple(dict.fromkeys(names))
        if any("*" in name for name in found):
            return event_type(DYN)
        return any_event({name: self.event_data(name) for name in found})

    def argument(self, handler: str, name: str) -> Type:
        """The type of a handler's argument."""
        key = handler, name
        if key not in self._arguments:
            schemas = self._project.handler_types.get(handler)
            schema = True if schemas is None else schemas.arguments.get(name, True)
            self._arguments[key] = type_of_schema(schema)
        return self._arguments[key]

    def result(self, handler: str) -> Type:
        """The type of what a handler returns."""
        if handler not in self._results:
            schemas = self._project.handler_types.get(handler)
            named = f"the output of `{handler}`"
            self._results[handler] = DYN if schemas is None else type_of_schema(schemas.returns, name=named)
        return self._results[handler]

    def result_mark(self, handler: str) -> str:
        """What the whole of what a handler returns is, in words, when its hint marks it as sensitive; else empty."""
        schemas = self._project.handler_types.get(handler)
        marked = schemas is not None and isinstance(schemas.returns, dict) and schemas.returns.get(SENSITIVE) is True
        return f"the output of `{handler}`" if marked else ""


def data_of(event: str) -> str:
    """What to call the data of an event in messages."""
    return f"the data of `{event}`"
