"""Renames a step or a var: wherever its pipeline and the pipeline's tests name it."""

from __future__ import annotations

from typing import Final

from pydantic_core import PydanticCustomError

from flowlang.errors import FlowError
from flowlang.lsp.navigation import Named, name_at, of_pipeline
from flowlang.lsp.opened import OpenProject, steps_of, value_at
from flowlang.model.fields import read_identifier
from flowlang.source import Span

#: What can be renamed, in the words of a refusal.
_RENAMED: Final = ("step", "var")


class RenameError(FlowError):
    """A name cannot be given; the message says why and what would be right."""


def renamed_at(project: OpenProject, path: str, offset: int) -> Named | None:
    """What would be renamed at an offset; None when nothing there can be.

    Args:
        project: The project.
        path: Of the file in it.
        offset: In the file.
    """
    view = project.view(path)
    named = None if view is None else name_at(project, view, offset)
    return named if named is not None and named.kind in _RENAMED else None


def rename(project: OpenProject, path: str, offset: int, name: str) -> list[Span]:
    """The places to write a new name at.

    Args:
        project: The project.
        path: Of the file in it.
        offset: In the file.
        name: The new name.

    Raises:
        RenameError: when nothing can be renamed there, or not to that name.
    """
    view = project.view(path)
    named = renamed_at(project, path, offset)
    if view is None or named is None:
        raise RenameError("only ids of steps and vars of a pipeline can be renamed")
    try:
        read_identifier(name)
    except PydanticCustomError as error:
        raise RenameError(str((error.context or {}).get("message"))) from None
    places = of_pipeline(project, view, named)
    for place in places:
        if name != named.name and name in _taken(project, place.span.path, place, named.kind):
            raise RenameError(f"there is a {named.kind} `{name}` already")
    return [place.span for place in places]


def _taken(project: OpenProject, path: str, place: Named, kind: str) -> set[str]:
    """The names that a document has already."""
    view = project.view(path)
    if view is None:
        return set()
    document = view.documents[place.number]
    if kind == "step":
        return {step for step, _ in steps_of(document)}
    own = value_at(document, ("vars",))
    return set(own) if isinstance(own, dict) else set()
