"""Durations such as `1h30m` and sizes such as `512KiB`, as they are written in pipelines and settings.

A number without a unit is refused: nobody can tell whether `timeout: 30` was meant in seconds or in milliseconds. The
finest step is a millisecond, which is what the store keeps.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import Final

from flowlang.errors import FlowError

#: Unit → milliseconds, from large to small: the order in which parts are written.
_UNITS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

#: What people write for a unit, and the unit that they mean.
_OTHER_SPELLINGS: Final = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "day": "d", "days": "d", "week": "w", "weeks": "w",
    "msec": "ms", "millis": "ms", "milliseconds": "ms",
}  # fmt: skip

_SIZE_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE_SPELLINGS: Final = {
    "b": "B",
    "k": "KiB",
    "kb": "KiB",
    "kib": "KiB",
    "m": "MiB",
    "mb": "MiB",
    "mib": "MiB",
    "g": "GiB",
    "gb": "GiB",
    "gib": "GiB",
}

#: Longest duration, in milliseconds: about a hundred years, so that no date that is computed with it overflows.
_LONGEST_MS: Final = 36_500 * 86_400_000

_PART = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]{1,9})?)(?P<unit>[^\W\d_]*)")


class DurationError(FlowError, ValueError):
    """A text is no duration or no size; `hint` is what would be right, or None.

    Args:
        message: What is wrong, with the text that was found.
        hint: A text that would be accepted.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Args:
        text: Numbers with the units `w d h m s ms`, from large to small, without spaces: `1h30m`, `250ms`, `1.5h`.

    Returns:
        The duration, a whole number of milliseconds.

    Raises:
        DurationError: when the text is anything else.
    """
    total = Fraction(0)
    order = list(_UNITS)
    next_unit = 0
    position = 0
    while position < len(text) or not text:
        part = _PART.match(text, position)
        if part is None:
            raise DurationError(f"`{_shown(text)}` is no duration", _duration_hint(text))
        unit = part["unit"]
        if unit not in _UNITS:
            raise DurationError(_unit_message(text, part["number"], unit), _duration_hint(text))
        if order.index(unit) < next_unit:
            raise DurationError(
                f"in `{_shown(text)}` the units are not in order: each at most once, from large to small",
                "such as `1h30m`",
            )
        next_unit = order.index(unit) + 1
        total += Fraction(part["number"]) * _UNITS[unit]
        position = part.end()
    return _whole(text, total)


def _whole(text: str, total: Fraction) -> timedelta:
    """The duration, when it is neither too fine nor too long."""
    if total.denominator != 1:
        raise DurationError(f"`{_shown(text)}` is finer than a millisecond", "`1ms` is the smallest step")
    if total > _LONGEST_MS:
        raise DurationError(f"`{_shown(text)}` is longer than 36500 days", "at most `36500d`")
    return timedelta(milliseconds=int(total))


def _unit_message(text: str, number: str, unit: str) -> str:
    if not unit and number == text:
        return f"`{text}` has no unit"
    return f"`{_shown(text)}` has no unit after `{number}`" if not unit else f"`{unit}` is no unit of time"


def _duration_hint(text: str) -> str:
    """A near duration, when one can be guessed, else the rule."""
    compact = re.sub(r"\s+", "", text)
    parts = re.findall(r"([0-9.]+)([a-zA-Z]*)", compact)
    guess = "".join(number + _OTHER_SPELLINGS.get(unit.lower(), unit.lower() or "s") for number, unit in parts)
    if guess and guess != text and len(parts) <= len(_UNITS):
        try:
            parse_duration(guess)
        except DurationError:
            pass
        else:
            return f"write `{guess}`" if any(unit for _, unit in parts) else f"write `{guess}` for seconds"
    return "a number with a unit `ms s m h d w`, such as `1h30m`"


def format_duration(duration: timedelta) -> str:
    """Write a duration in the form that `parse_duration` reads, with the largest units first.

    Args:
        duration: Not negative; what is finer than a millisecond is cut off.
    """
    rest = duration // timedelta(milliseconds=1)
    if rest < 0:
        raise DurationError(f"{duration} is negative")
    text = ""
    for unit, length in _UNITS.items():
        if unit == "w":
            continue  # `10d` reads better than `1w3d`
        count, rest = divmod(rest, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def milliseconds(duration: timedelta) -> int:
    """A duration as a whole number of milliseconds."""
    return duration // timedelta(milliseconds=1)


def parse_size(text: str) -> int:
    """Read a size.

    Args:
        text: A number with one of the units `B KiB MiB GiB`, such as `512KiB`.

    Returns:
        Bytes.

    Raises:
        DurationError: when the text is anything else.
    """
    part = _PART.fullmatch(text)
    if part is None or part["unit"] not in _SIZE_UNITS:
        raise DurationError(f"`{_shown(text)}` is no size", _size_hint(text))
    size = Fraction(part["number"]) * _SIZE_UNITS[part["unit"]]
    if size.denominator != 1:
        raise DurationError(f"`{_shown(text)}` is no whole number of bytes")
    return int(size)


def _size_hint(text: str) -> str:
    part = _PART.fullmatch(re.sub(r"\s+", "", text))
    unit = _SIZE_SPELLINGS.get(part["unit"].lower()) if part else None
    if part is not None and unit is not None:
        return f"write `{part['number']}{unit}`"
    return "a number with a unit `KiB MiB GiB B`, such as `512KiB`"


def _shown(text: str) -> str:
    """A text as it is quoted in a message: bounded, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:39] + "…"
