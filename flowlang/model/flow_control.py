"""Flow control: what holds starts and attempts back, and what makes one run of many events."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from flowlang.model.base import Optional, Part
from flowlang.model.expression import Expression
from flowlang.model.fields import PositiveDuration, choice, whole

Count = Annotated[int, whole(1)]
Scope = Annotated[Literal["pipeline", "project"], choice("pipeline", "project")]
OnLimit = Annotated[Literal["wait", "skip", "cancel_oldest"], choice("wait", "skip", "cancel_oldest")]
Hold = Annotated[Literal["active", "run"], choice("active", "run")]


class Concurrency(Part):
    """How many runs are active at once; `hold` None: `run` with `skip` and `cancel_oldest`, else `active`."""

    called: ClassVar[str] = "`concurrency`"

    limit: Count
    key: Optional[Expression] = None
    scope: Scope = "pipeline"
    on_limit: OnLimit = "wait"
    hold: Optional[Hold] = None


class StepConcurrency(Part):
    """How many attempts of a step run at once; the others wait."""

    called: ClassVar[str] = "`concurrency` of a step"

    limit: Count
    key: Optional[Expression] = None
    scope: Scope = "pipeline"


class Throttle(Part):
    """At most `limit` starts a period; the rest wait."""

    called: ClassVar[str] = "`throttle`"

    limit: Count
    period: PositiveDuration
    burst: Count = 1
    key: Optional[Expression] = None


class RateLimit(Part):
    """At most `limit` starts a period; the rest are skipped."""

    called: ClassVar[str] = "`rate_limit`"

    limit: Count
    period: PositiveDuration
    key: Optional[Expression] = None


class Debounce(Part):
    """The last event after so much quiet, at the latest after `max`."""

    called: ClassVar[str] = "`debounce`"

    period: PositiveDuration
    max: Optional[PositiveDuration] = None
    key: Optional[Expression] = None


class Batch(Part):
    """One run of up to `size` events, at the latest after `period`."""

    called: ClassVar[str] = "`batch`"

    size: Count
    period: PositiveDuration
    key: Optional[Expression] = None


class Idempotency(Part):
    """The same key gives the same run."""

    called: ClassVar[str] = "`idempotency`"

    key: Expression
    ttl: PositiveDuration = timedelta(hours=24)
