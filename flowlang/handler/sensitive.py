"""`Sensitive[...]`: what a handler takes or gives that must not be shown.

`def charge(card: Sensitive[str]) -> Receipt` takes a text like any other; it is hidden where the attempt is told of.
Type checkers see the type in the brackets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

T = TypeVar("T")


class Marked:
    """What makes a hint mark its schema; `Sensitive` puts it there."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The schema of the hint, marked."""
        return {**handler(core_schema), "x-sensitive": True}

    def __repr__(self) -> str:
        return "sensitive"


Sensitive = Annotated[T, Marked()]
"""Marks an argument, a result or a field of a model: logs, errors, journals and answers show it as `***`."""
