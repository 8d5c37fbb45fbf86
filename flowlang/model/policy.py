"""Retry policies: how often, how soon and for which errors a step is tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from flowlang.model.base import OneOrMany, Optional, Part, found, problem
from flowlang.model.fields import ErrorName, PositiveDuration, choice, number, read_name, whole

Jitter = Annotated[Literal["equal", "full", "none"], choice("equal", "full", "none")]


class RetryPolicy(Part):
    """How often, how soon and for which errors; what is None, the built-in policy says."""

    called: ClassVar[str] = "a retry policy"

    errors: Optional[OneOrMany[ErrorName]] = None
    attempts: Optional[Annotated[int, whole(1, 1_000_000)]] = None  #: the first try included
    initial: Optional[PositiveDuration] = None
    factor: Annotated[float, number(1)] = 2.0
    max: PositiveDuration = timedelta(minutes=10)
    jitter: Jitter = "equal"
    for_: Optional[PositiveDuration] = None


def _read_retry(value: Any) -> Any:
    """Take a policy or the name of one."""
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, dict):
        return RetryPolicy.model_validate(value)
    if isinstance(value, str):
        return read_name(value)
    raise problem("FL103", f"takes a retry policy, the name of one, or a list of them; found {found(value)}")


#: Policies that are tried in order: inline, or by their names in `flowlang.yaml`.
Retry = OneOrMany[Annotated[RetryPolicy | str, BeforeValidator(_read_retry)]]
