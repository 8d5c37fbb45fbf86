"""The handlers of one process, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

from flowlang.errors import DefinitionError
from flowlang.handler.definition import HandlerDefinition, definition_of
from flowlang.handler.signature import duplicate_message


class Registry(Mapping[str, HandlerDefinition]):
    """Handlers by name; a name has one handler."""

    def __init__(self) -> None:
        self._definitions: dict[str, HandlerDefinition] = {}

    @classmethod
    def of(cls, *functions: Callable[..., Any]) -> Registry:
        """Make a registry of decorated functions, as tests and small programs do.

        Raises:
            DefinitionError: when one is no handler, or two have one name.
        """
        registry = cls()
        for function in functions:
            definition = definition_of(function)
            if definition is None:
                raise DefinitionError(f"{function!r} is no handler: decorate it with @handler('…')")
            registry.add(definition)
        return registry

    def add(self, definition: HandlerDefinition) -> None:
        """Take a handler in; the same one again changes nothing.

        Raises:
            DefinitionError: when another handler has its name; the message has both places.
        """
        present = self._definitions.setdefault(definition.name, definition)
        if present is not definition:
            raise DefinitionError(duplicate_message(definition.name, present.place, definition.place))

    def resolve(self, name: str) -> HandlerDefinition:
        """Return the handler of that name.

        Raises:
            DefinitionError: when there is none; the message names the nearest ones.
        """
        try:
            return self._definitions[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._definitions, n=3)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"{len(self)} are known"
            raise DefinitionError(f"there is no handler {name!r} in this process; {hint}") from None

    def __getitem__(self, name: str) -> HandlerDefinition:
        return self._definitions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._definitions))

    def __len__(self) -> int:
        return len(self._definitions)

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} handlers>"


def module_definitions(module: ModuleType) -> list[HandlerDefinition]:
    """Return the handlers that a module itself declares, in the order of their lines; imported ones are another's."""
    found = {id(d): d for d in map(definition_of, vars(module).values()) if d and d.module == module.__name__}
    return sorted(found.values(), key=lambda definition: definition.line)
