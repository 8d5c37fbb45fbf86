"""What something is, for whoever points at it: keys, handlers, events, and the types of what expressions read."""

from __future__ import annotations

from dataclasses import dataclass

from flowlang.editing.key_docs import key_doc
from flowlang.lsp.cursor import PlacedText, Spot, expression_at, spot_at
from flowlang.lsp.docs import event_doc, field_doc, handler_doc, handler_text, pipeline_doc
from flowlang.lsp.expressions import Part, function_docs, name_docs, part_at, shown
from flowlang.lsp.files import View
from flowlang.lsp.navigation import Named, name_at
from flowlang.lsp.opened import OpenProject, steps_of, value_at
from flowlang.model.shape import annotation_at


@dataclass(frozen=True, slots=True)
class Hover:
    """What to show.

    Attributes:
        markdown: The text.
        start: Offset of what it is about.
        end: Offset behind it.
    """

    markdown: str
    start: int
    end: int


def hover(project: OpenProject, path: str, offset: int) -> Hover | None:
    """What stands at an offset, in words.

    Args:
        project: The project.
        path: Of the file in it.
        offset: In the file.
    """
    view = project.view(path)
    number = None if view is None else view.number_at(offset)
    if view is None or number is None:
        return None
    spot = spot_at(view.documents[number], offset)
    if spot is None:
        return None
    at = expression_at(spot, offset)
    if at is not None:
        return _in_expression(project, view, number, *at)
    markdown = _of_key(view, spot) if spot.on_key else _of_name(project, name_at(project, view, offset))
    return None if not markdown else Hover(markdown, spot.scalar.start, spot.scalar.end)


def _in_expression(project: OpenProject, view: View, number: int, placed: PlacedText, inside: int) -> Hover | None:
    seen = project.seen_at(view, number, placed.path)
    part = part_at(placed.text, inside, seen.environment)
    if part is None:
        return None
    markdown = _of_part(project, view, number, part)
    return None if markdown is None else Hover(markdown, *placed.span(part.start, part.end))


def _of_part(project: OpenProject, view: View, number: int, part: Part) -> str | None:
    if part.function:
        known = function_docs(part.function)
        return None if known is None else f"```text\n{known[0]}\n```\n{known[1]}"
    assert part.type is not None
    name = ".".join(part.path)
    head = f"```text\n{name}: {shown(part.type)}\n```" if name else f"```text\n{shown(part.type)}\n```"
    document = view.documents[number]
    docs = [name_docs(part.path), field_doc(project, document, part.path)]
    if len(part.path) == 2 and part.path[0] == "steps":
        docs.append(_step(project, view, number, part.path[1]))
    return "\n\n".join([head, *filter(None, docs)])


def _step(project: OpenProject, view: View, number: int, name: str) -> str:
    document = view.documents[number]
    path = dict(steps_of(document)).get(name)
    step = None if path is None else value_at(document, path)
    if not isinstance(step, dict):
        return ""
    handler = step.get("uses")
    return f"calls `{handler}`. {handler_doc(project, handler)}".strip() if isinstance(handler, str) else ""


def _of_key(view: View, spot: Spot) -> str:
    owner = annotation_at(spot.document, view.kind.model, spot.path[:-1])
    key = str(spot.path[-1])
    doc = key_doc(owner, key) if isinstance(owner, type) else None
    return "" if doc is None else f"`{key}`: {doc}"


def _of_name(project: OpenProject, named: Named | None) -> str:
    if named is None:
        return ""
    match named.kind:
        case "handler":
            signature = project.signatures.get(named.name)
            if signature is None:
                return ""
            effect = f"\n\neffect: `{signature.effect}`" if signature.effect else ""
            doc = handler_doc(project, named.name)
            return f"```python\n{handler_text(signature)}\n```\n{doc}{effect}\n\n{signature.place}"
        case "event":
            known = project.inputs.schemas.get(named.name)
            if known is None:
                return f"the event `{named.name}`"
            return f"the event `{named.name}` ({known.path})\n\n{event_doc(project, named.name)}".strip()
        case "pipeline":
            return f"the pipeline `{named.name}`\n\n{pipeline_doc(project, named.name)}".strip()
        case _:
            return ""
