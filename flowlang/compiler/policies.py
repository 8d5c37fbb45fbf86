"""Retry policies: names are looked up and defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from flowlang.compiler.findings import Findings, near
from flowlang.durations import milliseconds
from flowlang.model import Path
from flowlang.model.policy import Retry, RetryPolicy
from flowlang.plan import RetryRule

#: First delay of a policy that does not say, by the one class that it speaks of (language.md §6).
_FIRST_MS: Final = {"resource": 5_000}
_SECOND_MS: Final = 1_000

_retry: TypeAdapter[Any] = TypeAdapter(Retry)

Policies = Mapping[str, Sequence[RetryPolicy | str]]


def lower_policies(
    written: Sequence[RetryPolicy | str], named: Policies, findings: Findings | None, path: Path
) -> tuple[RetryRule, ...]:
    """Lower the policies of one place, in their order.

    Args:
        written: Inline ones, and names.
        named: The project's.
        findings: Where unknown names are reported; None: they were before.
        path: Where they are written.
    """
    rules: list[RetryRule] = []
    for number, policy in enumerate(written):
        if isinstance(policy, RetryPolicy):
            rules.append(_rule(policy))
        elif policy in named:
            # A policy of the project may name others; a circle of names ends when it comes back.
            rest = {name: value for name, value in named.items() if name != policy}
            rules += lower_policies(named[policy], rest, None, path)
        elif findings is not None:
            place = (*path, number) if len(written) > 1 else path
            message = f"there is no retry policy `{policy}`"
            hint = near(policy, named, listing="the policies in flowlang.yaml are")
            findings.at(place, "FL124", message, hint=hint)
    return tuple(rules)


def declared_policies(retry: Any, named: Policies) -> tuple[RetryRule, ...]:
    """Lower what a handler's declaration says; what cannot be read there was refused where it is declared."""
    if retry is None:
        return ()
    try:
        written = _retry.validate_python(retry)
    except ValidationError:
        return ()
    return lower_policies(written, named, None, ())


def _rule(policy: RetryPolicy) -> RetryRule:
    errors = policy.errors or ()
    first = _FIRST_MS.get(errors[0], _SECOND_MS) if len(errors) == 1 else _SECOND_MS
    return RetryRule(
        errors=tuple(errors),
        attempts=policy.attempts,
        initial_ms=first if policy.initial is None else milliseconds(policy.initial),
        factor=policy.factor,
        max_ms=milliseconds(policy.max),
        jitter=policy.jitter,
        for_ms=None if policy.for_ is None else milliseconds(policy.for_),
    )
