"""Whether a failed attempt is followed by another, and when. Pure; chance is an argument."""

from __future__ import annotations

from flowlang.clock import Rng
from flowlang.engine.state import ErrorInfo
from flowlang.plan import Pause, RetryRule

#: Policies of last resort, one a class (language.md §6).
BUILT_IN: tuple[RetryRule, ...] = (
    RetryRule(errors=("transient",), attempts=10, initial_ms=1_000),
    RetryRule(errors=("resource",), attempts=12, initial_ms=5_000),
    RetryRule(errors=("bug",), attempts=3, initial_ms=1_000),
)

#: Classes that a policy without `errors` leaves alone.
NOT_BY_DEFAULT = frozenset({"permanent", "timeout"})

CLASSES = frozenset({"transient", "resource", "permanent", "bug", "timeout", "cancelled"})


def names(patterns: tuple[str, ...], error: ErrorInfo) -> bool:
    """Whether classes, codes or `prefix.*` name an error. Nothing names a cancellation.

    Args:
        patterns: What to look for; `all` is any error.
        error: The failure.
    """
    if error.error_class == "cancelled":
        return False
    for pattern in patterns:
        if pattern in ("all", error.error_class) or (pattern == error.code and pattern not in CLASSES):
            return True
        if pattern.endswith(".*") and error.code.startswith(pattern[:-1]):
            return True
    return False


def covers(rule: RetryRule, error: ErrorInfo) -> bool:
    """Whether a policy speaks of an error."""
    if error.error_class == "cancelled":
        return False
    if not rule.errors:
        return error.error_class not in NOT_BY_DEFAULT
    return names(rule.errors, error)


def next_delay_ms(
    policies: tuple[tuple[RetryRule, ...], ...],
    error: ErrorInfo,
    *,
    attempts: int,
    first_ms: int,
    now_ms: int,
    rng: Rng,
    effect: str = "idempotent",
) -> int | None:
    """Decide about the next attempt.

    Args:
        policies: From near to far; the nearest one with a rule that covers the error decides, then the built-in ones.
        error: Of the attempt that has just failed.
        attempts: How many have been made, that one included.
        first_ms: When the first one started.
        now_ms: The time.
        rng: For jitter.
        effect: The handler's; `once` is never repeated.

    Returns:
        How long to wait before the next attempt, in ms; None: no further one.
    """
    if effect == "once":
        return None
    rule = next((rule for policy in (*policies, BUILT_IN) for rule in policy if covers(rule, error)), None)
    if rule is None:
        return None
    limit = rule.attempts
    if limit is None and rule.for_ms is None:
        limit = next((built.attempts for built in BUILT_IN if covers(built, error)), 1)
    if limit is not None and attempts >= limit:
        return None
    delay = max(backoff_ms(rule, attempts, rng), error.retry_after_ms or 0)
    if rule.for_ms is not None and now_ms + delay - first_ms > rule.for_ms:
        return None
    return delay


def backoff_ms(rule: RetryRule | Pause, attempts: int, rng: Rng) -> int:
    """Exponential back-off with jitter.

    Args:
        rule: Its first delay, factor, upper bound and jitter: `equal` is half fixed and half random, `full` all random
            (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog 2015).
        attempts: How many attempts, or rounds, have been made, from 1.
        rng: For jitter.

    Returns:
        Milliseconds.
    """
    try:
        grown = rule.initial_ms * rule.factor ** (attempts - 1)
    except OverflowError:
        grown = float(rule.max_ms)
    base = min(float(rule.max_ms), grown)
    if rule.jitter == "equal":
        base = base / 2 + rng.random() * base / 2
    elif rule.jitter == "full":
        base = rng.random() * base
    return round(base)
