"""What events carry against what their takers need: fields that are missing, and fields that nobody may send.

An event with a schema is checked against it by both sides. Of one without, a sender shows the fields that it writes,
and a taker those that it reads. Whether a field's value is of the right type is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowlang.compiler.expressions import Read
from flowlang.compiler.findings import near
from flowlang.compiler.graph import ProjectGraph, Sender, Taker
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.rules.subject import Subject
from flowlang.diagnostics import Diagnostic, Label, Severity
from flowlang.expr.schema_types import type_of_schema
from flowlang.expr.types import Field, ObjectOf
from flowlang.model import Path
from flowlang.source import SourceText, Span


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What somebody says of the data of an event.

    Attributes:
        fields: By name; required ones must be there.
        closed: Whether no others may be.
        owner: What says so.
        span: Where.
    """

    fields: Mapping[str, Field]
    closed: bool
    owner: str
    span: Span


def emitted_findings(graph: ProjectGraph, given: ProjectInput, subjects: Sequence[Subject]) -> Iterator[Diagnostic]:
    """Find events that do not carry what their takers need.

    Args:
        graph: The project's.
        given: What was read.
        subjects: Its pipelines.
    """
    by_name = {subject.pipeline.pipeline: subject for subject in subjects}
    declared: dict[str, _Wanted | None] = {}
    for sender in graph.senders:
        if sender.event in given.unreadable_schemas:
            continue
        schema = given.schemas.get(sender.event)
        if schema is not None:
            if sender.event not in declared:
                owner = f"the schema of `{sender.event}`"
                declared[sender.event] = _by_schema(schema.schema, owner, _file_span(schema.path))
            yield from _sent(sender, declared[sender.event])
            continue
        for taker in graph.takers_of(sender.event):
            subject = by_name[taker.node.name]
            if not _chooses(taker):
                yield from _sent(sender, _by_input(taker, subject))
            yield from _unread(sender, taker, subject, graph)
    yield from _inputs(graph, given, by_name)


def _by_schema(schema: object, owner: str, span: Span) -> _Wanted | None:
    """What a schema says, as far as it speaks of an object; a field that has a default may be left out."""
    type_ = type_of_schema(schema, name=owner)
    if not isinstance(type_, ObjectOf):
        return None
    written = schema.get("properties", {}) if isinstance(schema, dict) else {}
    fields = {
        name: Field(field.type, field.required and "default" not in _plain(written.get(name)))
        for name, field in type_.fields.items()
    }
    return _Wanted(fields, type_.rest is None, owner, span)


def _plain(schema: object) -> dict[str, object]:
    return schema if isinstance(schema, dict) else {}


def _by_input(taker: Taker, subject: Subject) -> _Wanted | None:
    """What the input of a pipeline says of the events that start it, where they are taken as they come."""
    pipeline = taker.node.pipeline
    if taker.kind != "trigger" or pipeline.input is None or pipeline.triggers[taker.number].has("data"):
        return None
    span = taker.node.span(("input",), key=True)
    return _by_schema(subject.input_schema, f"the input of `{taker.node.name}`", span)


def _sent(sender: Sender, wanted: _Wanted | None) -> Iterator[Diagnostic]:
    """Compare the fields that a step writes with those that are wanted."""
    step = sender.standing.step
    given = step.with_ if step.has("with_") else {}
    if wanted is None or not isinstance(given, dict):
        return
    label = Label(wanted.span, "declared here")
    unknown = {name: near(name, wanted.fields) for name in given if name not in wanted.fields}
    missing = [name for name, field in wanted.fields.items() if field.required and name not in given]
    misspelt = {hint: name for name, hint in unknown.items() if hint is not None}
    if wanted.closed:
        missing = [name for name in missing if f"did you mean `{name}`?" not in misspelt]
    if missing:
        hint = f"add {_listed(missing)} to `with`"
        for name in missing:
            written = misspelt.get(f"did you mean `{name}`?")
            hint = hint if written is None else f"`{written}` may be meant: write `{name}`"
        message = f"`{sender.event}` is sent without {_listed(missing)}, and {wanted.owner} requires it"
        yield Diagnostic("FL310", message, sender.span, hint=hint, labels=(label,))
    for name in unknown if wanted.closed else ():
        hint = unknown[name] or near(name, wanted.fields, listing="the fields are") or ""
        message = f"{wanted.owner} has no field `{name}`"
        place: Path = (*step.path, "with", name)
        yield Diagnostic("FL311", message, sender.node.span(place, key=True), hint=hint, labels=(label,))


def _inputs(graph: ProjectGraph, given: ProjectInput, by_name: Mapping[str, Subject]) -> Iterator[Diagnostic]:
    """Compare the schemas of events with the inputs of the pipelines that they start as they come."""
    for taker in graph.takers:
        schema = given.schemas.get(taker.event)
        if schema is None:
            continue
        wanted = _by_input(taker, by_name[taker.node.name])
        if wanted is None:
            continue
        sent = _by_schema(schema.schema, f"the schema of `{taker.event}`", _file_span(schema.path))
        if sent is None:
            continue
        label = Label(wanted.span, "the input")
        never = [
            name for name, field in wanted.fields.items() if field.required and name not in sent.fields and sent.closed
        ]
        if never:
            message = f"{wanted.owner} requires {_listed(never)}, which {sent.owner} does not have"
            hint = "map the event by `data` of the trigger, or change one of the two"
            yield Diagnostic("FL310", message, taker.span, hint=hint, labels=(label,))
        refused = [
            name
            for name, field in sent.fields.items()
            if field.required and name not in wanted.fields and wanted.closed
        ]
        if refused:
            message = f"{wanted.owner} has no field {_listed(refused)}, which every `{taker.event}` carries"
            hint = "map the event by `data` of the trigger, or change one of the two"
            yield Diagnostic("FL311", message, taker.span, hint=hint, labels=(label,))


def _chooses(taker: Taker) -> bool:
    """Whether a trigger does not take all events of its name: then what it does not need may be missing."""
    return taker.kind == "trigger" and taker.node.pipeline.triggers[taker.number].if_ is not None


def _unread(sender: Sender, taker: Taker, subject: Subject, graph: ProjectGraph) -> Iterator[Diagnostic]:
    """Compare the fields that a step writes with those that the taker's expressions read without a guard.

    Where another step sends the field, the taker may tell the events apart.
    """
    given: set[str] = set()
    for other in graph.senders_of(sender.event):
        step = other.standing.step
        written = step.with_ if step.has("with_") else {}
        if not isinstance(written, dict):
            return
        given |= written.keys()
    first: dict[str, Read] = {}
    guarded: set[str] = set()
    for read, name, tested in _fields_read(taker, subject):
        guarded |= {name} if tested else set()
        first.setdefault(name, read)
    missing = [name for name in first if name not in given and name not in guarded]
    if missing:
        labels = tuple(
            Label(taker.node.document.document.span_in(first[name].path, *first[name].part), f"reads `{name}`")
            for name in missing
        )
        message = f"`{sender.event}` is sent without {_listed(missing)}, and `{taker.node.name}` reads it"
        hint = near(missing[0], [name for name in given if name not in first])
        hint = hint or f"add {_listed(missing)} to `with`"
        yield Diagnostic("FL310", message, sender.span, Severity.WARNING, hint, labels)


def _fields_read(taker: Taker, subject: Subject) -> Iterator[tuple[Read, str, bool]]:
    """The fields of the event's data that a taker reads, each with whether it is tested there."""
    for read in subject.checker.reads:
        at = _data_at(taker, read)
        if at is not None and len(read.reading.path) > at:
            yield read, read.reading.path[at], read.reading.guarded


def _data_at(taker: Taker, read: Read) -> int | None:
    """Where in a path the fields of the event's data begin; None where it reads something else."""
    pipeline, path = taker.node.pipeline, read.reading.path
    if taker.kind == "trigger":
        trigger = pipeline.triggers[taker.number]
        in_trigger = read.path[:2] == ("triggers", taker.number)
        # With several triggers, or names, a read may be meant for another one's events.
        others = len(pipeline.triggers) > 1 or trigger.has("data") or pipeline.input is not None
        alone = taker.path[-1] == "event"
        return 2 if path[:2] == ("event", "data") and alone and (in_trigger or not others) else None
    place = ("cancel_on", taker.number) if taker.standing is None else (*taker.standing.step.path, "wait_for")
    if taker.path[-1] != "event":
        return None
    if read.path[: len(place)] == place and path[:2] == ("incoming", "data"):
        return 2
    step = None if taker.standing is None else taker.standing.step
    if step is None or step.wait_for is None or step.wait_for.count > 1 or step.foreach is not None:
        return None
    return 4 if step.repeat is None and path[:4] == ("steps", step.id, "output", "data") else None


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _file_span(path: str) -> Span:
    return SourceText(path, "").span(0, 0)
