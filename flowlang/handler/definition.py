"""A declared handler: the function, its roles and its signature.

Owns reading a live function. It leaves types to `flowlang.handler.contract`, which is built on first use, so that
importing a module of handlers stays cheap.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import typing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowlang.errors import DefinitionError
from flowlang.handler.context import Context
from flowlang.handler.signature import Param, Signature, annotation_texts

if TYPE_CHECKING:
    from flowlang.handler.contract import Contract

ATTRIBUTE = "__flowlang_handler__"  #: where the decorator leaves the definition on its function


class HandlerDefinition:
    """A function that pipelines can call by name.

    Args:
        function: The user's function, sync or async.
        name: Dotted lower-case name.
        effect: What the function does outside; None when undeclared, which runs as `idempotent`.
        timeout: Bound of one attempt, as a duration text.
        retry: Policy, list of policies or name of one.
        line: Line of the decorator, from 1.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str, effect: str | None, timeout: str | None, retry: Any, line: int
    ) -> None:
        self.function = function
        self.name = name
        self.effect = effect
        self.timeout = timeout
        self.retry = retry
        self.line = line
        self.module: str = function.__module__
        self.is_async = inspect.iscoroutinefunction(function)
        self.parameters = tuple(inspect.signature(function).parameters.values())
        self._check_parameters()

    @property
    def path(self) -> str:
        """File of the function, or its module's name when it has none."""
        return inspect.getsourcefile(inspect.unwrap(self.function)) or self.module

    @property
    def place(self) -> str:
        """Where it is declared, as `path:line`."""
        return f"{self.path}:{self.line}"

    @functools.cached_property
    def hints(self) -> dict[str, Any]:
        """Types of the parameters and of `return`.

        Raises:
            DefinitionError: when a hint names something that does not exist at run time.
        """
        try:
            return typing.get_type_hints(self.function, include_extras=True)
        except (NameError, TypeError, AttributeError) as error:
            raise DefinitionError(
                f"{self.place}: the type hints of the handler {self.name!r} cannot be read: {error}; types that a"
                " handler uses must be imported outside `if TYPE_CHECKING`"
            ) from error

    @functools.cached_property
    def context_param(self) -> str | None:
        """Name of the parameter that takes the `Context`, if there is one."""
        names = [name for name, hint in self.hints.items() if name != "return" and _is_context(hint)]
        if len(names) > 1:
            raise DefinitionError(
                f"{self.place}: the handler {self.name!r} takes the Context twice: {', '.join(names)}"
            )
        return names[0] if names else None

    @functools.cached_property
    def arguments(self) -> tuple[inspect.Parameter, ...]:
        """The parameters that `with` fills, without `**kwargs`."""
        return tuple(
            parameter
            for parameter in self.parameters
            if parameter.name != self.context_param and parameter.kind is not parameter.VAR_KEYWORD
        )

    @property
    def extra_param(self) -> str | None:
        """Name of the `**kwargs` parameter, if there is one."""
        return next((p.name for p in self.parameters if p.kind is p.VAR_KEYWORD), None)

    @functools.cached_property
    def contract(self) -> Contract:
        """The checks of arguments and result, built once.

        Raises:
            DefinitionError: when a type hint is no type that JSON can be checked against.
        """
        from flowlang.handler.contract import Contract  # noqa: PLC0415 - loads pydantic, only when something is called

        return Contract.of(self)

    def signature(self, root: Path | None = None) -> Signature:
        """Describe the live function as data.

        Args:
            root: Folder that the path is made relative to when it lies within.
        """
        texts = _annotation_texts(self.function)
        path = Path(self.path)
        if root is not None and path.is_relative_to(root):
            path = path.relative_to(root)
        return Signature(
            name=self.name,
            params=tuple(_param(argument, texts) for argument in self.arguments),
            accepts_extra=self.extra_param is not None,
            effect=self.effect,
            timeout=self.timeout,
            retry=self.retry,
            is_async=self.is_async,
            returns=texts.get("return"),
            path=path.as_posix(),
            line=self.line,
            column=1,
        )

    def _check_parameters(self) -> None:
        for parameter in self.parameters:
            if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL}:
                raise DefinitionError(
                    f"{self.place}: the handler {self.name!r} takes {parameter.name!r} by position only;"
                    " `with` gives arguments by name, so write it as an ordinary parameter"
                )

    def __repr__(self) -> str:
        return f"<HandlerDefinition {self.name} at {self.place}>"


def definition_of(function: object) -> HandlerDefinition | None:
    """Return the definition that `@handler` left on a function, or None when it is no handler.

    Raises:
        DefinitionError: when another decorator was put around a handler.
    """
    found = getattr(function, ATTRIBUTE, None)
    if not isinstance(found, HandlerDefinition):
        return None
    if found.function is not function:  # functools.wraps copied the mark, and the wrapper would never be called
        raise DefinitionError(f"{found.place}: another decorator wraps the handler {found.name!r}; put @handler on top")
    return found


def _is_context(hint: Any) -> bool:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return isinstance(hint, type) and issubclass(hint, Context)


def _param(parameter: inspect.Parameter, texts: dict[str, str]) -> Param:
    has_default = parameter.default is not parameter.empty
    return Param(parameter.name, not has_default, texts.get(parameter.name), has_default)


def _annotation_texts(function: Callable[..., Any]) -> dict[str, str]:
    """Return the hints as they are written; a hint's object does not tell `Any` from `typing.Any`."""
    inner = inspect.unwrap(function)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inner)))
    except (OSError, SyntaxError):  # made without a file, or on one line with something else
        return {
            name: note if isinstance(note, str) else inspect.formatannotation(note)
            for name, note in inspect.get_annotations(inner).items()
        }
    node = tree.body[0]
    return annotation_texts(node) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else {}
