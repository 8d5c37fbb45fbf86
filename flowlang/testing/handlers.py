"""Calling a handler in a test as a worker calls it: arguments converted by its hints, result and errors as stored."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from flowlang.errors import DefinitionError, Snooze
from flowlang.handler.classify import classify
from flowlang.handler.context import Context
from flowlang.handler.definition import HandlerDefinition, definition_of

#: Moment that `Retry-After` dates are compared with.
_TEST_TIME = datetime(2030, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Attempted:
    """How an attempt ended.

    Attributes:
        status: `succeeded`, `failed`, or `snoozed`.
        output: The result as JSON data, as later steps see it; None for no output.
        error_class: Of a failure: `transient`, `resource`, `permanent` or `bug`.
        code: Of a failure.
        message: Of a failure, as it is stored: without secrets.
        retry_after: Seconds that the handler, or the service that it called, asked to wait.
        snooze: Seconds after which it wants to be called again.
        exception: What was raised.
    """

    status: Literal["succeeded", "failed", "snoozed"]
    output: Any = None
    error_class: str | None = None
    code: str | None = None
    message: str | None = None
    retry_after: float | None = None
    snooze: float | None = None
    exception: Exception | None = None


def call(handler: Callable[..., Any], arguments: Mapping[str, Any] | None = None, ctx: Context | None = None) -> Any:
    """Call a handler with JSON arguments, and give its result as JSON.

    Not from inside a running event loop.

    Args:
        handler: The function, declared with `@handler`; sync or async.
        arguments: What `with` gives, as JSON data: they are converted by the type hints.
        ctx: What the handler gets as its context; `Context.for_test()` by default.

    Returns:
        The result as later steps see it; None for no output.

    Raises:
        Exception: whatever the handler raises, and what a worker raises for arguments or a result that do not fit.
        DefinitionError: when the function is no handler.
    """
    definition = _definition(handler)
    given = definition.contract.convert(dict(arguments or {}))
    if definition.context_param is not None:
        given[definition.context_param] = ctx or Context.for_test()
    result = definition.function(**given)
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    return definition.contract.result(result)


def attempt(
    handler: Callable[..., Any],
    arguments: Mapping[str, Any] | None = None,
    ctx: Context | None = None,
    *,
    errors: Mapping[str, Literal["transient", "resource", "permanent", "bug"]] | None = None,
) -> Attempted:
    """Call a handler, and tell how the attempt ended: what a worker would record.

    Args:
        handler: As for `call`.
        arguments: As for `call`.
        ctx: As for `call`.
        errors: The project's `errors:` in `flowlang.yaml`.

    Raises:
        DefinitionError: when the function is no handler.
    """
    ctx = ctx or Context.for_test()
    _definition(handler)
    try:
        return Attempted("succeeded", call(handler, arguments, ctx))
    except Snooze as snooze:
        return Attempted("snoozed", snooze=snooze.seconds, exception=snooze)
    except Exception as error:  # noqa: BLE001 - user code may raise anything
        failure = classify(error, now=_TEST_TIME, table=errors or {}, mask=ctx.secrets.mask)
        return Attempted(
            "failed",
            error_class=failure.error_class,
            code=failure.code,
            message=failure.message,
            retry_after=failure.retry_after_seconds,
            exception=error,
        )


def check_handler(handler: Callable[..., Any]) -> None:
    """Check what a handler declares: its type hints, its effect, and what goes with that.

    Args:
        handler: The function.

    Raises:
        AssertionError: listing everything that is wrong.
        DefinitionError: when the function is no handler.
    """
    definition = _definition(handler)
    problems = []
    try:
        definition.contract  # noqa: B018 - built now
    except DefinitionError as error:
        problems.append(str(error))
    if definition.effect is None:
        problems.append(
            "it does not say what a repeated call does: declare `effect` as pure, idempotent, keyed or once"
        )
    if definition.effect == "keyed" and definition.context_param is None:
        problems.append("its effect is keyed, and it takes no Context whose `idempotency_key` it could pass on")
    if "return" not in definition.hints:
        problems.append("its result has no type hint, so that nothing can be checked against it")
    if problems:
        raise AssertionError(f"{definition.name} at {definition.place}: {'; '.join(problems)}")


def _definition(handler: Callable[..., Any]) -> HandlerDefinition:
    found = definition_of(handler)
    if found is None:
        raise DefinitionError(f"{handler!r} is no handler: declare it with `@handler`")
    return found
