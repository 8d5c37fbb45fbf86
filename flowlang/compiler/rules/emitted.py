"""What events carry against what their takers need: fields that are missing, and fields that nobody may send.

An event with a schema is checked against it by both sides. Of one without, a sender shows the fields that it writes,
and a taker those that it reads. Whether a field's value is of the right type is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowlang.compiler.findings import near
from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.inputs import ProjectInput
from flowlang.compiler.outline import FieldRead, Sender, Taker
from flowlang.diagnostics import Diagnostic, Label, Severity
from flowlang.expr.schema_types import type_of_schema
from flowlang.expr.types import Field, ObjectOf
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


def emitted_findings(graph: ProjectGraph, given: ProjectInput) -> Iterator[Diagnostic]:
    """Find events that do not carry what their takers need.

    Args:
        graph: The project's.
        given: What was read.
    """
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
            # A trigger that does not take all events of its name may do without what it does not need.
            if not taker.conditional:
                yield from _sent(sender, _by_input(taker, graph))
            yield from _unread(sender, taker, graph)
    yield from _inputs(graph, given)


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


def _by_input(taker: Taker, graph: ProjectGraph) -> _Wanted | None:
    """What the input of a pipeline says of the events that start it, where they are taken as they come."""
    node = graph.nodes[taker.pipeline]
    if not taker.by_input or node.input_span is None:
        return None
    return _by_schema(node.input_schema, f"the input of `{node.name}`", node.input_span)


def _sent(sender: Sender, wanted: _Wanted | None) -> Iterator[Diagnostic]:
    """Compare the fields that a step writes with those that are wanted."""
    given = sender.fields
    if wanted is None or given is None:
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
        yield Diagnostic("FL311", message, given[name], hint=hint, labels=(label,))


def _inputs(graph: ProjectGraph, given: ProjectInput) -> Iterator[Diagnostic]:
    """Compare the schemas of events with the inputs of the pipelines that they start as they come."""
    for taker in graph.takers:
        schema = given.schemas.get(taker.event)
        if schema is None:
            continue
        wanted = _by_input(taker, graph)
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


def _unread(sender: Sender, taker: Taker, graph: ProjectGraph) -> Iterator[Diagnostic]:
    """Compare the fields that a step writes with those that the taker's expressions read without a guard.

    Where another step sends the field, the taker may tell the events apart.
    """
    given: set[str] = set()
    for other in graph.senders_of(sender.event):
        if other.fields is None:
            return
        given |= other.fields.keys()
    first: dict[str, FieldRead] = {}
    guarded = {read.name for read in taker.reads if read.guarded}
    for read in taker.reads:
        first.setdefault(read.name, read)
    missing = [name for name in first if name not in given and name not in guarded]
    if missing:
        labels = tuple(Label(first[name].span, f"reads `{name}`") for name in missing)
        message = f"`{sender.event}` is sent without {_listed(missing)}, and `{taker.pipeline}` reads it"
        hint = near(missing[0], [name for name in given if name not in first])
        hint = hint or f"add {_listed(missing)} to `with`"
        yield Diagnostic("FL310", message, sender.span, Severity.WARNING, hint, labels)


def _listed(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _file_span(path: str) -> Span:
    return SourceText(path, "").span(0, 0)
