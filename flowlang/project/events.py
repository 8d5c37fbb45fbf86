"""Event schemas: `schemas/events/video/uploaded.json` is the schema of `video/uploaded`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic_core import PydanticCustomError

from flowlang.compiler.project_types import data_of
from flowlang.diagnostics import Diagnostic
from flowlang.expr.schema_types import SENSITIVE
from flowlang.model.fields import read_sent_event
from flowlang.plan import EventSchema
from flowlang.project.json_places import places
from flowlang.project.schema_files import SchemaFiles
from flowlang.source import SourceText, Span

FOLDER: Final = "schemas/events/"


@dataclass(frozen=True, slots=True)
class EventSchemas:
    """The schemas of a project's events.

    Attributes:
        schemas: By event, without mistakes.
        unreadable: Events whose schema has mistakes.
        found: Files whose path is no event's name.
    """

    schemas: dict[str, EventSchema]
    unreadable: frozenset[str]
    found: tuple[Diagnostic, ...]


def read_event_schemas(files: SchemaFiles) -> EventSchemas:
    """Read the schemas of all events.

    Args:
        files: The project's schemas; they collect the mistakes in them.
    """
    schemas: dict[str, EventSchema] = {}
    unreadable: set[str] = set()
    found: list[Diagnostic] = []
    for path in files.paths:
        if not path.startswith(FOLDER):
            continue
        name = path[len(FOLDER) : -len(".json")]
        try:
            read_sent_event(name)
        except PydanticCustomError as refused:
            files.content(path)
            found.append(_refused(path, name, refused))
            continue
        schema = files.schema(path)
        if schema is None:
            unreadable.add(name)
        else:
            schemas[name] = EventSchema(name, schema, path)
    return EventSchemas(schemas, frozenset(unreadable), tuple(found))


def sensitive_marks(events: EventSchemas, sources: Mapping[str, SourceText]) -> dict[str, Span]:
    """Where schemas mark fields as sensitive, by what the types of their data call these fields.

    Args:
        events: As they were read.
        sources: Texts of the files.
    """
    marks: dict[str, Span] = {}
    for name, schema in events.schemas.items():
        source = sources.get(schema.path)
        if source is None or SENSITIVE not in source.text:
            continue
        for place in places(source.text):
            *owner, last = place.path or ("",)
            if owner[-1:] == ["items"]:  # the list as a whole is marked by its elements
                owner.pop()
            if last == SENSITIVE and owner and place.key is not None:
                marks.setdefault(f"`{owner[-1]}` of {data_of(name)}", source.span(place.key[0], place.end))
    return marks


def _refused(path: str, name: str, refused: PydanticCustomError) -> Diagnostic:
    span = SourceText(path, "").span(0, 0)
    if refused.type == "FL119":
        message = f"the file's path makes it the schema of `{name}`, whose data FlowLang alone decides"
        return Diagnostic("FL119", message, span, hint="remove the file, or put it below another folder")
    message = f"the file's path makes it the schema of an event `{name}`, which is no event's name"
    near = "/".join("-".join(part.lower().split()) for part in name.split("/"))
    hint = "names are lower-case segments of letters, digits and `. _ -`, joined by `/`"
    if near != name and _is_event(near):
        hint = f"rename it to `{FOLDER}{near}.json`"
    return Diagnostic(refused.type, message, span, hint=hint)


def _is_event(name: str) -> bool:
    try:
        read_sent_event(name)
    except PydanticCustomError:
        return False
    return True
