"""What there is to say of handlers, events, pipelines and steps, in Markdown."""

from __future__ import annotations

from typing import Any

from flowlang.handler.signature import Signature
from flowlang.lsp.opened import OpenProject, value_at
from flowlang.project.docstrings import docstring


def handler_doc(project: OpenProject, name: str) -> str:
    """The docstring of a handler, its first paragraph; empty when it has none."""
    signature = project.signatures.get(name)
    return "" if signature is None else docstring(project.folder, signature)


def handler_text(signature: Signature) -> str:
    """A handler's signature, as in Python."""
    params = []
    for param in signature.params:
        hint = f": {param.annotation_text}" if param.annotation_text else ""
        params.append(f"{param.name}{hint}{' = …' if param.has_default else ''}")
    extra = ["**more"] if signature.accepts_extra else []
    returns = f" -> {signature.returns}" if signature.returns else ""
    return f"{'async ' if signature.is_async else ''}def {signature.name}({', '.join([*params, *extra])}){returns}"


def event_doc(project: OpenProject, name: str) -> str:
    """What an event's schema says it is."""
    event = project.inputs.schemas.get(name)
    schema = None if event is None else event.schema
    return _described(schema)


def event_fields(schema: Any) -> list[tuple[str, str, str, str]]:
    """The fields of a schema of an object: name, `field`, type and description."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    required = schema.get("required", ()) if isinstance(schema, dict) else ()
    if not isinstance(properties, dict):
        return []
    return [
        (name, "field", f"{_type_of(field)}{'' if name in required else ', optional'}", _described(field))
        for name, field in properties.items()
    ]


def schema_at(schema: Any, path: tuple[str, ...]) -> Any:
    """The schema of a field, by the names that lead to it; None where only a reference would lead on."""
    for name in path:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(properties, dict) or name not in properties:
            return None
        schema = properties[name]
    return schema


def field_doc(project: OpenProject, document: Any, path: tuple[str, ...]) -> str:
    """What a schema says of a field of `event.data` or `incoming.data`."""
    if len(path) < 3 or path[:2] != ("event", "data"):
        return ""
    name = value_at(document, ("pipeline",))
    plan = None if project.project is None else project.project.plans.get(str(name))
    return _described(schema_at(None if plan is None else plan.input_schema, path[2:]))


def pipeline_doc(project: OpenProject, name: str) -> str:
    """A pipeline's `description`."""
    plan = None if project.project is None else project.project.plans.get(name)
    return "" if plan is None else plan.description


def _described(schema: Any) -> str:
    text = schema.get("description") if isinstance(schema, dict) else None
    return text if isinstance(text, str) else ""


def _type_of(schema: Any) -> str:
    if not isinstance(schema, dict):
        return "any value"
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    found = schema.get("type", "any value")
    return " or ".join(found) if isinstance(found, list) else str(found)
