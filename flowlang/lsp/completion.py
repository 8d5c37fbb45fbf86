"""What can be written at the cursor: keys, values, and what stands in expressions."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from flowlang.compiler.expressions import Seen
from flowlang.editing.key_docs import key_doc
from flowlang.lsp import expressions
from flowlang.lsp.cursor import Spot, expression_at, spot_at
from flowlang.lsp.docs import event_doc, event_fields, handler_doc, pipeline_doc
from flowlang.lsp.files import View
from flowlang.lsp.mending import Mended, Typing, mended
from flowlang.lsp.opened import OpenProject, steps_of, value_at
from flowlang.model import Path, PipelineTest, YamlDocument
from flowlang.model.base import PATH_KEY, Part
from flowlang.model.shape import annotation_at
from flowlang.model.step import Emit, Invoke, Step, Undo
from flowlang.model.trigger import CronTrigger, EventTrigger
from flowlang.model.verbs import TAKEN_BY, VERBS

_BOOLEANS: Final = ("true", "false")
_SENDING: Final = (Emit, Step)
_CLASSES: Final = ("transient", "resource", "permanent", "bug", "timeout")


@dataclass(frozen=True, slots=True)
class Completion:
    """Something that can be written at the cursor.

    Attributes:
        label: What is shown, and by which what is typed is matched.
        kind: `key`, `handler`, `event`, `pipeline`, `value`, or a kind of `expressions.Offer`.
        insert: What is inserted.
        start: Offset from which it replaces the text up to the cursor.
        detail: Its type or signature.
        doc: A sentence about it.
    """

    label: str
    kind: str
    insert: str
    start: int
    detail: str = ""
    doc: str = ""


def complete(project: OpenProject, path: str, offset: int) -> list[Completion]:
    """What can be written at an offset.

    Args:
        project: The project.
        path: Of the file in it.
        offset: Of the cursor in the file's text.
    """
    text = project.text(path)
    for attempt in mended(text, offset):
        view = project.read(path, attempt.text)
        spot = None if view is None else _spot(view, attempt.offset)
        if view is None or spot is None:
            continue
        number, found = spot
        if attempt.typing is Typing.EXPRESSION:
            return _expression(project, project.seen_at(view, number, found.path), attempt.typed, offset)
        offered = list(
            _keys(project, view, number, found, attempt) if found.on_key else _values(project, view, found, attempt)
        )
        if offered:
            return offered
    return _whole(project, path, offset)


def _whole(project: OpenProject, path: str, offset: int) -> list[Completion]:
    """Where the text as it stands can be read: an expression of several lines."""
    view = project.view(path)
    spot = None if view is None else _spot(view, offset)
    if view is None or spot is None:
        return []
    number, found = spot
    at = expression_at(found, offset)
    if at is None:
        return []
    placed, inside = at
    return _expression(project, project.seen_at(view, number, placed.path), placed.text[:inside], offset)


def _spot(view: View, offset: int) -> tuple[int, Spot] | None:
    number = view.number_at(offset)
    spot = None if number is None else spot_at(view.documents[number], offset)
    return None if number is None or spot is None else (number, spot)


# -- expressions ------------------------------------------------------------------------------------------------------


def _expression(project: OpenProject, seen: Seen, before: str, offset: int) -> list[Completion]:
    for root in ("secrets", "env"):
        head, dot, word = before.rpartition(".")
        if dot and head.endswith(root) and word.replace("_", "a").isalnum() | (word == ""):
            names = project.names_read(root)
            return [Completion(name, "field", name, offset - len(word)) for name in names]
    offered, typed = expressions.offers(before, seen)
    return [
        Completion(offer.name, offer.kind, offer.name, offset - typed, offer.detail, offer.doc)
        for offer in {(offer.name, offer.kind): offer for offer in offered}.values()
    ]


# -- keys -------------------------------------------------------------------------------------------------------------


def _keys(project: OpenProject, view: View, number: int, spot: Spot, attempt: Mended) -> Iterator[Completion]:
    document, parent = spot.document, spot.path[:-1]
    written = value_at(document, parent)
    given = set(written) - {spot.path[-1]} if isinstance(written, dict) else set()
    del number
    for name, kind, detail, doc in _possible_keys(project, view, document, parent, given):
        if name not in given:
            yield Completion(name, kind, f"{name}: ", attempt.start, detail, doc)


def _possible_keys(
    project: OpenProject, view: View, document: YamlDocument, parent: Path, given: set[str]
) -> Iterator[tuple[str, str, str, str]]:
    arguments = _arguments(project, document, parent)
    if arguments is not None:
        yield from arguments
        return
    part = annotation_at(document, view.kind.model, parent)
    if parent and parent[-1] == "handlers" and view.kind.model is PipelineTest:
        yield from ((name, "handler", "", handler_doc(project, name)) for name in sorted(project.signatures))
    if isinstance(part, type) and issubclass(part, Part):
        for owner in _owners(part, given):
            for key in _fitting(owner, given):
                yield key, "key", "", key_doc(owner, key) or ""


def _owners(part: type[Part], given: set[str]) -> tuple[type[Part], ...]:
    """The parts that a map may be: a trigger may be either kind while neither is written."""
    if part in {EventTrigger, CronTrigger} and not given & {"event", "cron"}:
        return EventTrigger, CronTrigger
    return (part,)


def _fitting(part: type[Part], given: set[str]) -> Iterable[str]:
    """The keys that go with those that are written: of a step, what its verb takes."""
    if part is not Step:
        return part.keys()
    verb = next((verb for verb in VERBS if verb in given), None)
    if verb is None:
        return part.keys()
    return [key for key, verbs in TAKEN_BY.items() if verb in verbs]


def _arguments(project: OpenProject, document: YamlDocument, parent: Path) -> list[tuple[str, str, str, str]] | None:
    """The keys of a `with`: arguments of a handler, fields of an event or of another pipeline's input."""
    if not parent or parent[-1] != "with":
        return None
    step = value_at(document, parent[:-1])
    if not isinstance(step, dict):
        return None
    uses, emit, invoke = step.get("uses"), step.get("emit"), step.get("invoke")
    if isinstance(uses, str):
        signature = project.signatures.get(uses)
        params = () if signature is None else signature.params
        return [
            (
                param.name,
                "argument",
                f"{param.annotation_text or 'any value'}{'' if param.required else ', optional'}",
                "",
            )
            for param in params
        ]
    event = emit.get("event") if isinstance(emit, dict) else emit
    if isinstance(event, str):
        return event_fields(project.inputs.schemas[event].schema) if event in project.inputs.schemas else []
    name = invoke.get("pipeline") if isinstance(invoke, dict) else invoke
    if isinstance(name, str):
        plan = None if project.project is None else project.project.plans.get(name)
        return [] if plan is None else event_fields(plan.input_schema)
    return None


# -- values -----------------------------------------------------------------------------------------------------------


def _values(project: OpenProject, view: View, spot: Spot, attempt: Mended) -> Iterator[Completion]:
    for name, kind, doc in _possible_values(project, view, spot.document, spot.path):
        yield Completion(name, kind, name, attempt.start, "", doc)


def _possible_values(
    project: OpenProject, view: View, document: YamlDocument, path: Path
) -> Iterator[tuple[str, str, str]]:
    named = [step for step in path if isinstance(step, str)]
    if not named:
        return
    key = named[-1]
    owner_path = path[: len(path) - 1 - list(reversed(path)).index(key)]
    owner = annotation_at(document, view.kind.model, owner_path)
    if owner_path and owner_path[-1] in {"with", "set", "vars", "output", "data"}:
        return
    match key:
        case "uses":
            yield from ((name, "handler", handler_doc(project, name)) for name in sorted(project.signatures))
        case "order":
            yield from ((name, "handler", handler_doc(project, name)) for name in sorted(project.signatures))
        case "invoke" | "pipeline" | "also" if owner in {Step, Undo, Invoke, PipelineTest}:
            names = sorted(project.owners)
            yield from ((name, "pipeline", pipeline_doc(project, name)) for name in names)
        case "emit" | "event" | "emitted":
            yield from ((name, "event", event_doc(project, name)) for name in _events(project, owner))
        case "needs":
            yield from ((name, "step", "") for name in _siblings(document, owner_path))
        case "retry":
            policies = {} if project.inputs.project is None else project.inputs.project.retries
            yield from ((name, "value", "a retry policy of the project") for name in policies)
        case "queue":
            queues = {} if project.inputs.project is None else project.inputs.project.queues
            yield from ((name, "value", "") for name in sorted({"default", *queues}))
        case "errors" | "tolerate":
            yield from (
                (name, "value", "a class of errors") for name in (*_CLASSES, *(["all"] if "catch" in path else []))
            )
        case "step":
            name = value_at(document, ("pipeline",))
            found = project.pipeline(name) if isinstance(name, str) else None
            yield from ((step, "step", "") for step, _ in (steps_of(found[1]) if found else ()))
        case _:
            yield from ((word, "value", "") for word in _words(annotation_of(owner, key)))


def _events(project: OpenProject, owner: Any) -> list[str]:
    """The events that make sense: a step sends none of a webhook, and none of FlowLang's own."""
    events = project.events()
    if owner not in _SENDING:
        return events
    webhooks = {} if project.inputs.project is None else project.inputs.project.webhooks
    return [name for name in events if name.partition("/")[0] not in {*webhooks, "pipeline", "schedule"}]


def _siblings(document: YamlDocument, step: Path) -> list[str]:
    """The ids of the branches above one."""
    branches = value_at(document, step[:-1])
    above = branches[: step[-1]] if isinstance(branches, list) and step and isinstance(step[-1], int) else []
    return [branch["id"] for branch in above if isinstance(branch, dict) and isinstance(branch.get("id"), str)]


def annotation_of(owner: Any, key: str) -> Any:
    """The annotation of a key of a map; None when it has none."""
    if not (isinstance(owner, type) and issubclass(owner, Part)):
        return None
    for name, field in owner.model_fields.items():
        if (field.alias or name) == key and key != PATH_KEY:
            return field.annotation
    return None


def _words(annotation: Any) -> list[str]:
    """The few words that a value may be: of a `Literal`, and of a boolean."""
    if annotation is bool:
        return list(_BOOLEANS)
    if get_origin(annotation) is Literal:
        return [str(word) for word in get_args(annotation)]
    if get_origin(annotation) in {Union, types.UnionType, Annotated, tuple}:
        inner = get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
        return [word for arm in inner if arm not in {type(None), Ellipsis} for word in _words(arm)]
    return []
