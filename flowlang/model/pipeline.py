"""A pipeline: what starts it, what it does, and the bounds that it runs in."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from flowlang.model.base import Many, OneOrMany, Optional, Part, Some, found, problem
from flowlang.model.expression import Expression, ExpressionText, read_expression
from flowlang.model.fields import Boolean, EventPattern, Labels, Name, NamedValues, PositiveDuration, Text
from flowlang.model.flow_control import Batch, Concurrency, Debounce, Idempotency, RateLimit, Throttle
from flowlang.model.policy import Retry
from flowlang.model.step import Step
from flowlang.model.trigger import Trigger

#: Seconds of advance that a run can be given.
PRIORITY_BOUNDS = (-600, 600)


def read_version(value: Any) -> int:
    """Take the version of the language that a file is written for."""
    if value == 1 and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise problem(
        "FL122", f"takes the version of the language, which is 1; found {found(value)}", "write `flowlang: 1`"
    )


Version = Annotated[Literal[1], BeforeValidator(read_version)]


def _read_schema(value: Any) -> Any:
    """Take a JSON Schema, or the path of one."""
    if isinstance(value, str) and value.endswith(".json"):
        return value
    if isinstance(value, dict | bool):
        return value
    hint = "such as `schemas/order.json`" if isinstance(value, str) else None
    raise problem("FL103", f"takes a JSON Schema or the path of a `.json` file; found {found(value)}", hint)


def _read_priority(value: Any) -> ExpressionText:
    """Take an expression; a plain number is checked at once."""
    low, high = PRIORITY_BOUNDS
    if isinstance(value, int) and not isinstance(value, bool) and not low <= value <= high:
        raise problem("FL104", f"takes seconds of advance from {low} to {high}; found `{value}`")
    return read_expression(value)


class CancelOn(Part):
    """Events that cancel the run."""

    called: ClassVar[str] = "`cancel_on`"

    event: OneOrMany[EventPattern]
    match: Expression


class Pipeline(Part):
    """A pipeline file's content. Of alternatives, the language's default is the field's."""

    called: ClassVar[str] = "a pipeline"

    flowlang: Version
    pipeline: Name
    description: Text = ""
    input: Optional[Annotated[dict[str, Any] | str | bool, BeforeValidator(_read_schema)]] = None
    triggers: Many[Trigger] = ()
    vars: NamedValues = Field(default_factory=dict)
    steps: Some[Step]
    output: Any = None
    on_failure: Many[Step] = ()
    compensate: Boolean = True
    cancel_on: Many[CancelOn] = ()
    timeout: Optional[PositiveDuration] = None
    expires: Optional[PositiveDuration] = None
    retry: Optional[Retry] = None
    concurrency: Optional[Concurrency] = None
    throttle: Optional[Throttle] = None
    rate_limit: Optional[RateLimit] = None
    debounce: Optional[Debounce] = None
    batch: Optional[Batch] = None
    idempotency: Optional[Idempotency] = None
    priority: Optional[Annotated[Expression, BeforeValidator(_read_priority)]] = None
    queue: Name = "default"
    allow: Optional[Many[Name]] = None
    retention: Optional[PositiveDuration] = None
    labels: Labels = Field(default_factory=dict)
