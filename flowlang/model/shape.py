"""From data to models: what pydantic refuses becomes findings with places, in our words."""

from __future__ import annotations

import types
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flowlang.diagnostics import CODES, Diagnostic, Edit, Fix, did_you_mean, suggestion
from flowlang.model.base import Part
from flowlang.model.habits import meant_by
from flowlang.model.quoting import quoted
from flowlang.model.yaml_nodes import Mapping, Path, Scalar, YamlDocument

_P = TypeVar("_P", bound=Part)

#: How pydantic marks that a map's key, not its value, is refused.
_KEY_MARK: Final = "[key]"


def read_shape(document: YamlDocument, model: type[_P]) -> tuple[_P | None, list[Diagnostic]]:
    """Make a model of a document.

    Args:
        document: The document.
        model: What it should be.

    Returns:
        The model, or None when something was refused, and what was refused. Scalars that the loader has found fault
        with are not reported again.
    """
    try:
        return model.model_validate(document.data()), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        meant = _meant(document, model, errors)
        found = [
            _finding(document, model, details)
            for details in errors
            if not _is_broken(document, details["loc"])
            and not (details["type"] == "missing" and details["loc"] in meant)
        ]
        return None, found


def _is_broken(document: YamlDocument, location: Path) -> bool:
    """Whether something was found already about the value at a location, or about the key that it speaks of."""
    if location and location[-1] == _KEY_MARK:
        return document.is_broken(location[:-1], key=True)
    return document.is_broken(location)


def _meant(document: YamlDocument, model: type[Part], errors: list[ErrorDetails]) -> set[Path]:
    """The keys that misspelt ones stand for: they are not missing as well."""
    return {
        (*location[:-1], near)
        for location in (details["loc"] for details in errors if details["type"] == "extra_forbidden")
        if (near := _near_key(document, model, location)) is not None
    }


def _near_key(document: YamlDocument, model: type[Part], location: Path) -> str | None:
    return did_you_mean(str(location[-1]), _free_keys(document, model, location))


def _free_keys(document: YamlDocument, model: type[Part], location: Path) -> set[str]:
    """The keys that a map could still have."""
    parent = model_at(document, model, location[:-1])
    if parent is None:
        return set()
    node = document.node_at(location[:-1])
    written = set(node.entries) if isinstance(node, Mapping) else set()
    return set(parent.keys()) - written


def _finding(document: YamlDocument, model: type[Part], details: ErrorDetails) -> Diagnostic:
    location: Path = details["loc"]
    if details["type"] == "missing":
        return _missing(document, model, location)
    if details["type"] == "extra_forbidden":
        return _unknown(document, model, location)
    is_key = bool(location) and location[-1] == _KEY_MARK
    path = location[:-1] if is_key else location
    context = details.get("ctx", {})
    code = details["type"] if details["type"] in CODES else "FL103"
    message = context.get("message") or f"is not accepted: {details['msg']}"
    subject = _subject(document.resolve(path), is_key=is_key)
    return Diagnostic(
        code,
        f"{subject} {message}",
        document.span_at(path, key=is_key),
        hint=context.get("hint"),
        fix=None if is_key else _instead(document, path, context.get("instead")),
    )


def _instead(document: YamlDocument, path: Path, text: str | None) -> Fix | None:
    """The fix that puts another text for a scalar on one line."""
    node = document.node_at(path)
    if text is None or "\n" in text or not isinstance(node, Scalar) or node.style in {"|", ">"}:
        return None
    return Fix(f"write `{text}`", (Edit(document.source.span(node.start, node.end), quoted(text)),))


def _subject(path: Path, *, is_key: bool) -> str:
    """What a message is about."""
    if is_key:
        path = path[:-1]
    names = [step for step in path if isinstance(step, str)]
    if not names:
        return "an item" if path else "the document"
    if is_key:
        return f"a key of `{names[-1]}`"
    return f"an item of `{names[-1]}`" if isinstance(path[-1], int) else f"`{names[-1]}`"


def _missing(document: YamlDocument, model: type[Part], location: Path) -> Diagnostic:
    parent = model_at(document, model, location[:-1])
    message = f"{parent.called if parent else 'this map'} needs `{location[-1]}`"
    return Diagnostic("FL102", message, document.span_at(location[:-1], key=True), caret=f"no `{location[-1]}` here")


def _unknown(document: YamlDocument, model: type[Part], location: Path) -> Diagnostic:
    parent = model_at(document, model, location[:-1])
    key = str(location[-1])
    hint = (meant_by(parent.__name__, key) if parent else None) or suggestion(
        key, _free_keys(document, model, location)
    )
    hint = hint or (parent.keys_hint() if parent else None)
    message = f"`{key}` is not a key of {parent.called if parent else 'this map'}"
    return Diagnostic("FL101", message, document.span_at(location, key=True), hint=hint)


def model_at(document: YamlDocument, model: type[Part], location: Path) -> type[Part] | None:
    """The model of the map at a location; None when none has it.

    Args:
        document: The document: of several models that a place may have, its keys choose one.
        model: Of the whole document.
        location: Keys and indices from the root.
    """
    current = annotation_at(document, model, location)
    return current if isinstance(current, type) and issubclass(current, Part) else None


def annotation_at(document: YamlDocument, model: type[Part], location: Path) -> Any:
    """The annotation of what stands at a location, found by following those of fields; None when there is none.

    Args:
        document: The document.
        model: Of the whole document.
        location: Keys and indices from the root.
    """
    current: Any = model
    for depth, step in enumerate(location):
        current = _one_of(current, document, location[:depth])
        if isinstance(current, type) and issubclass(current, Part):
            fields = {field.alias or name: field.annotation for name, field in current.model_fields.items()}
            current = fields.get(str(step))
        else:
            arguments = get_args(current)
            current = None if not arguments else arguments[1 if get_origin(current) is dict else 0]
    return _one_of(current, document, location)


def _one_of(annotation: Any, document: YamlDocument, location: Path) -> Any:
    """An annotation without `Annotated` and without the arms of a union that the written keys speak against."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation
    arms = [_one_of(arm, document, location) for arm in get_args(annotation) if arm is not type(None)]
    parts = [arm for arm in arms if isinstance(arm, type) and issubclass(arm, Part)]
    if not parts:
        return arms[0]
    node = document.node_at(location)
    written = set(node.entries) if isinstance(node, Mapping) else set()
    return max(parts, key=lambda part: len(written & set(part.keys())))
