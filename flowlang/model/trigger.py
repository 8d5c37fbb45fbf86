"""Triggers: the events and schedules that start runs."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator

from flowlang.diagnostics import did_you_mean
from flowlang.model.base import OneOrMany, Optional, Part, found, problem
from flowlang.model.expression import Expression
from flowlang.model.fields import Duration, EventPattern, choice

#: Only what the fields say is checked, not when they next match: any time does.
_SOME_TIME: Final = datetime(2024, 1, 1, tzinfo=UTC)

_FIELDS: Final = "minute, hour, day of month, month, day of week"
_SHORT_FORMS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def read_cron(value: Any) -> str:
    """Take a cron text of five fields."""
    if not isinstance(value, str):
        raise problem("FL103", f"takes a cron text such as `15 3 * * *`; found {found(value)}")
    text = " ".join(value.split())
    if text in _SHORT_FORMS:
        raise problem("FL114", f"takes five fields; found `{text}`", f'write `"{_SHORT_FORMS[text]}"`')
    fields = text.split(" ") if text else []
    if len(fields) != 5:
        seen = f"`{text}` has {len(fields)}" if text else "found an empty text"
        raise problem("FL114", f"takes five fields ({_FIELDS}); {seen}")
    try:
        schedule = CronSim(text, _SOME_TIME)
        next(schedule)
    except CronSimError as error:
        raise problem(
            "FL114", f"takes a cron text; in `{text}`: {str(error).lower()}", f"the fields are {_FIELDS}"
        ) from None
    except StopIteration:
        raise problem("FL114", f"names a time that never comes: `{text}`", "look at day of month and month") from None
    return text


def read_timezone(value: Any) -> str:
    """Take the name of a time zone."""
    if not isinstance(value, str) or not value:
        raise problem("FL103", f"takes a time zone such as `Europe/Vienna`; found {found(value)}")
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = did_you_mean(value, zoneinfo.available_timezones())
        hint = f"did you mean `{near}`?" if near else "a name such as `Europe/Vienna`; fixed offsets are not taken"
        raise problem("FL115", f"takes a time zone of the IANA database; found {found(value)}", hint) from None
    return value


class EventTrigger(Part):
    """Starts a run for each event of these names that `if` lets through."""

    called: ClassVar[str] = "an event trigger"

    event: OneOrMany[EventPattern]
    if_: Optional[Expression] = None
    data: Any = None


class CronTrigger(Part):
    """Starts a run for each tick of these schedules."""

    called: ClassVar[str] = "a cron trigger"

    cron: OneOrMany[Annotated[str, BeforeValidator(read_cron)]]
    timezone: Annotated[str, BeforeValidator(read_timezone)] = "UTC"
    jitter: Duration = timedelta(0)
    missed: Annotated[Literal["last", "skip", "all"], choice("last", "skip", "all")] = "last"
    if_: Optional[Expression] = None
    data: Any = None


def _read_trigger(value: Any) -> Any:
    """Take a trigger; which kind it is, its keys say."""
    if isinstance(value, EventTrigger | CronTrigger):
        return value
    if not isinstance(value, dict):
        hint = f"`- event: {value}`" if isinstance(value, str) else None
        raise problem("FL103", f"takes a map with `event` or `cron`; found {found(value)}", hint)
    is_cron = "cron" in value or ("event" not in value and bool({"timezone", "jitter", "missed"} & set(value)))
    return (CronTrigger if is_cron else EventTrigger).model_validate(value)


Trigger = Annotated[EventTrigger | CronTrigger, BeforeValidator(_read_trigger)]
