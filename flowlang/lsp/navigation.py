"""Where something is defined, and where it is named: steps, vars, handlers, events, pipelines, policies, fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flowlang.expr.errors import ExpressionSyntaxError
from flowlang.expr.program import compile_expression
from flowlang.lsp.cursor import expression_at, expressions_of, scalars_of, spot_at
from flowlang.lsp.expressions import part_at
from flowlang.lsp.files import Kind, View
from flowlang.lsp.opened import OpenProject, steps_of, value_at
from flowlang.model import Path, YamlDocument
from flowlang.model.yaml_nodes import Scalar
from flowlang.project.files import PROJECT_FILE
from flowlang.project.json_places import place_of
from flowlang.source import SourceText, Span

#: Key → the kind of thing that its value names, in pipelines and tests.
_NAMING: Final = {
    "uses": "handler",
    "order": "handler",
    "invoke": "pipeline",
    "also": "pipeline",
    "emit": "event",
    "emitted": "event",
    "event": "event",
    "needs": "step",
    "step": "step",
    "retry": "policy",
    "queue": "queue",
}

#: Keys of a test whose own keys are step instances or handlers.
_NAMING_KEYS: Final = {"steps": "step", "handlers": "handler", "calls": "handler"}

#: Keys below which nothing is a name.
_DATA: Final = frozenset({"with", "set", "vars", "output", "collect", "start", "data", "labels", "input", "stop", "env",
                          "secrets", "return", "call", "error"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Named:
    """A name in a file.

    Attributes:
        kind: `step`, `var`, `handler`, `event`, `pipeline`, `policy`, `queue` or `field`.
        name: What is named; of a field, the names that lead to it, with dots between.
        span: Where.
        number: Of the document in its file.
    """

    kind: str
    name: str
    span: Span
    number: int


def name_at(project: OpenProject, view: View, offset: int) -> Named | None:
    """What is named at an offset; None when nothing is."""
    number = view.number_at(offset)
    if number is None:
        return None
    found = [named for named in names_in(view, number) if named.span.start <= offset <= named.span.end]
    if found:
        return min(found, key=lambda named: named.span.end - named.span.start)
    return _field(project, view, number, offset)


def _field(project: OpenProject, view: View, number: int, offset: int) -> Named | None:
    spot = spot_at(view.documents[number], offset)
    at = None if spot is None else expression_at(spot, offset)
    if at is None:
        return None
    placed, inside = at
    part = part_at(placed.text, inside, project.seen_at(view, number, placed.path).environment)
    if part is None or not part.path:
        return None
    start, end = placed.span(part.start, part.end)
    return Named("field", ".".join(part.path), view.source.span(start, end), number)


def names_in(view: View, number: int) -> Iterator[Named]:
    """Everything that a document names or defines, each place once."""
    document = view.documents[number]
    seen: set[tuple[int, int]] = set()
    for named in (*_values(view, number, document), *_keys(view, number, document)):
        if (named.span.start, named.span.end) not in seen:
            seen.add((named.span.start, named.span.end))
            yield named


def _values(view: View, number: int, document: YamlDocument) -> Iterator[Named]:
    for path, scalar in scalars_of(document.root):
        yield from _in_expressions(number, document, path, scalar)
        kind = _kind(view, path)
        if kind is None or not isinstance(scalar.value, str) or "${{" in scalar.value:
            continue
        span = _inside(document.source, scalar)
        if kind == "step":
            yield from _instance(number, scalar.value, document, path)
        else:
            yield Named(kind, scalar.value, span, number)


def _inside(source: SourceText, scalar: Scalar) -> Span:
    """A scalar without its quotes."""
    quotes = 1 if scalar.style in {'"', "'"} else 0
    return source.span(scalar.start + quotes, scalar.end - quotes)


def _kind(view: View, path: Path) -> str | None:
    """What the value at a path names; None: nothing."""
    names = [step for step in path if isinstance(step, str)]
    if not names or view.kind is Kind.PROJECT:
        return None
    key, above = names[-1], names[:-1]
    if _DATA.intersection(above):
        return None
    if key == "id":
        return "step" if view.kind is Kind.PIPELINES and above and above[-1] != "emit" else None
    if key == "pipeline":
        return "pipeline"
    if view.kind is Kind.TESTS and key == "undone":
        return "step"
    if view.kind is Kind.PIPELINES and key in {"step", "order", "also", "emitted"}:
        return None
    return _NAMING.get(key)


def _keys(view: View, number: int, document: YamlDocument) -> Iterator[Named]:
    data = document.data()
    if not isinstance(data, dict):
        return
    if view.kind is Kind.PIPELINES:
        own = data.get("vars")
        for name in own if isinstance(own, dict) else ():
            yield Named("var", name, document.span_at(("vars", name), key=True), number)
    if view.kind is Kind.TESTS:
        for path in _paths(data, ()):
            holder = path[-2] if len(path) > 1 else None
            if isinstance(holder, str) and holder in _NAMING_KEYS and not _DATA.intersection(map(str, path[:-2])):
                if _NAMING_KEYS[holder] == "step":
                    yield from _instance(number, str(path[-1]), document, path, key=True)
                else:
                    yield Named("handler", str(path[-1]), document.span_at(path, key=True), number)


def _paths(data: object, path: Path) -> Iterator[Path]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _instance(number: int, text: str, document: YamlDocument, path: Path, *, key: bool = False) -> Iterator[Named]:
    """The first step of an instance such as `pages[3].notify`; those inside it, too."""
    span = document.span_at(path, key=key)
    raw = document.source.text[span.start : span.end]
    quotes = 1 if raw[:1] in {'"', "'"} else 0
    if raw.strip("\"'") != text or "/" in text:
        return  # behind a `/` is another pipeline's step
    start = span.start + quotes
    for piece in text.split("."):
        name = piece.partition("[")[0]
        yield Named("step", name, document.source.span(start, start + len(name)), number)
        start += len(piece) + 1


def _in_expressions(number: int, document: YamlDocument, path: Path, scalar: Scalar) -> Iterator[Named]:
    for placed in expressions_of(document, path, scalar):
        try:
            expression = compile_expression(placed.text)
        except ExpressionSyntaxError:
            continue
        for reading in expression.references:
            if reading.path[0] in {"steps", "vars"} and len(reading.path) > 1:
                start, end = placed.span(*reading.spans[1])
                quotes = 1 if document.source.text[start : start + 1] in {'"', "'"} else 0
                kind = "step" if reading.path[0] == "steps" else "var"
                yield Named(kind, reading.path[1], document.source.span(start + quotes, end - quotes), number)


# -- definitions ------------------------------------------------------------------------------------------------------


def definition(project: OpenProject, path: str, offset: int) -> list[Span]:
    """Where what stands at an offset is defined.

    Args:
        project: The project.
        path: Of the file in it.
        offset: In the file.

    Returns:
        Places; their paths are from the project's folder, or absolute. Empty when it is unknown.
    """
    view = project.view(path)
    named = None if view is None else name_at(project, view, offset)
    if view is None or named is None:
        return []
    document = view.documents[named.number]
    match named.kind:
        case "step":
            return _step(project, view, document, named.name)
        case "var":
            return _var(project, document, named.name)
        case "handler":
            return _handler(project, named.name)
        case "event":
            return _event(project, named.name)
        case "pipeline":
            found = project.pipeline(named.name)
            return [] if found is None else [found[1].span_at(("pipeline",))]
        case "policy" | "queue":
            return _of_project(project, ("retries" if named.kind == "policy" else "queues", named.name))
        case _:
            return _data_field(project, document, tuple(named.name.split(".")))


def _step(project: OpenProject, view: View, document: YamlDocument, name: str) -> list[Span]:
    if view.kind is Kind.TESTS:
        tested = project.pipeline(str(value_at(document, ("pipeline",))))
        if tested is None:
            return []
        document = tested[1]
    path = dict(steps_of(document)).get(name)
    return [] if path is None else [document.span_at((*path, "id"))]


def _var(project: OpenProject, document: YamlDocument, name: str) -> list[Span]:
    own = value_at(document, ("vars",))
    if isinstance(own, dict) and name in own:
        return [document.span_at(("vars", name), key=True)]
    return _of_project(project, ("vars", name))


def _of_project(project: OpenProject, path: Path) -> list[Span]:
    view = project.view(PROJECT_FILE)
    if view is None or not view.documents or value_at(view.documents[0], path[:-1]) is None:
        return []
    document = view.documents[0]
    return [document.span_at(path, key=True)] if path[-1] in value_at(document, path[:-1]) else []


def _handler(project: OpenProject, name: str) -> list[Span]:
    signature = project.signatures.get(name)
    if signature is None:
        return []
    source = SourceText(signature.path, project.text(signature.path))
    if signature.line > source.line_count:
        return []
    start = source.line_start(signature.line) + signature.column - 1
    return [source.span(start, start)]


def _event(project: OpenProject, name: str) -> list[Span]:
    """The event's schema; of an outcome, the pipeline that has it; of `mux/*`, all schemas."""
    if name.startswith("pipeline/"):
        found = project.pipeline(name.removeprefix("pipeline/").rpartition(".")[0])
        return [] if found is None else [found[1].span_at(("pipeline",))]
    prefix = name[:-1] if name.endswith("/*") else None
    schemas = project.inputs.schemas.values()
    files = [each.path for each in schemas if each.name == name or (prefix and each.name.startswith(prefix))]
    return [SourceText(file, project.text(file)).span(0, 0) for file in files]


def _data_field(project: OpenProject, document: YamlDocument, path: tuple[str, ...]) -> list[Span]:
    """A field of `event.data`: where the schema of the trigger's event declares it."""
    if len(path) < 3 or path[:2] != ("event", "data"):
        return []
    found = []
    triggers = value_at(document, ("triggers",))
    for trigger in triggers if isinstance(triggers, list) else ():
        names = trigger.get("event") if isinstance(trigger, dict) else None
        for name in [names] if isinstance(names, str) else names if isinstance(names, list) else ():
            schema = project.inputs.schemas.get(name)
            if schema is not None and "data" not in trigger:
                place = tuple(step for field in path[2:] for step in ("properties", field))
                source = SourceText(schema.path, project.text(schema.path))
                found.append(source.span(*place_of(source.text, place)))
    return found


def references(project: OpenProject, path: str, offset: int) -> list[Span]:
    """All places that name what stands at an offset, its definition included; steps and vars of their pipeline only."""
    view = project.view(path)
    named = None if view is None else name_at(project, view, offset)
    if view is None or named is None or named.kind == "field":
        return []
    if named.kind in {"step", "var"}:
        return [each.span for each in of_pipeline(project, view, named)]
    found = []
    for other, number, _ in project.documents():
        found += [each.span for each in names_in(other, number) if (each.kind, each.name) == (named.kind, named.name)]
    return found


def of_pipeline(project: OpenProject, view: View, named: Named) -> list[Named]:
    """All places that name a step or a var of a pipeline: in its document and in its tests."""
    pipeline = value_at(view.documents[named.number], ("pipeline",))
    found: list[Named] = []
    for other, number, document in project.documents():
        same = other.source.path == view.source.path and number == named.number
        if same or (isinstance(pipeline, str) and value_at(document, ("pipeline",)) == pipeline):
            found += [each for each in names_in(other, number) if (each.kind, each.name) == (named.kind, named.name)]
    return found
