"""The `@handler` decorator.

Owns the check of a declaration at the moment of import. It keeps no list: the definition stays on the function, and a
`Registry` collects the functions of the modules that it is given, so that importing a module twice or in a test has no
effect elsewhere.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from flowlang.errors import DefinitionError
from flowlang.handler.definition import ATTRIBUTE, HandlerDefinition, definition_of
from flowlang.handler.signature import Effect, declaration_problems

Function = TypeVar("Function", bound=Callable[..., Any])


def handler(
    name: str, *, effect: Effect | None = None, timeout: str | None = None, retry: Any = None
) -> Callable[[Function], Function]:
    """Make a function callable from pipelines as `uses: NAME`.

    The function itself stays as it was: call it in tests like any other. Its type hints are its contract: the values
    of `with` are converted and checked against them, and so is its result.

    Args:
        name: Dotted lower-case name, unique in the project, such as `mux.create_asset`.
        effect: `pure` (nothing outside changes), `idempotent` (safe to repeat), `keyed` (safe because it passes on
            `ctx.idempotency_key`) or `once` (never repeated). Without it `validate` asks for one.
        timeout: Bound of one attempt, such as `2m`; a step's own `timeout` wins. 10 minutes when neither says.
        retry: Policy as in YAML, a list of them, or the name of one in `flowlang.yaml`.

    Returns:
        The decorator.

    Raises:
        DefinitionError: when the declaration is wrong; the message has its file and line.
    """
    caller = sys._getframe(1)  # noqa: SLF001 - the place of a decorator, as warnings.warn finds it
    if caller.f_globals.get("__name__") == "flowlang.handler":  # called through the module of the same name
        caller = caller.f_back or caller
    line = caller.f_lineno
    place = f"{caller.f_code.co_filename}:{line}"
    problems = declaration_problems(name, effect, timeout, retry)
    if problems:
        raise DefinitionError(f"{place}: {'; '.join(problems)}")

    def declare(function: Function) -> Function:
        if not inspect.isroutine(function) or isinstance(function, staticmethod | classmethod):
            raise DefinitionError(f"{place}: @handler({name!r}) must stand on a function, not on {function!r}")
        if "." in function.__qualname__.rpartition("<locals>.")[2]:
            raise DefinitionError(f"{place}: @handler({name!r}) must stand on a function of a module, not on a method")
        if (other := definition_of(function)) is not None:
            raise DefinitionError(f"{place}: this function is the handler {other.name!r} already; one name a function")
        definition = HandlerDefinition(function, name=name, effect=effect, timeout=timeout, retry=retry, line=line)
        setattr(function, ATTRIBUTE, definition)
        return function

    return declare
