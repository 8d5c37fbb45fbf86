"""The plain values of the language: texts, numbers, names, durations, sizes; each refuses in its own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator

from flowlang.diagnostics import did_you_mean
from flowlang.durations import DurationError, parse_duration, parse_size
from flowlang.model.base import found, listed, problem
from flowlang.model.expression import has_template, is_whole_template, read_template_text

_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_HANDLER = re.compile(r"log|[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+", re.ASCII)  # `log` is FlowLang's own
_EVENT = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*", re.ASCII)
_ERROR = re.compile(r"[a-z][a-z0-9_]*(?:[.-][a-z0-9_]+)*(?:\.\*)?", re.ASCII)

#: Words that an expression cannot select or bind.
CEL_KEYWORDS: Final = frozenset({"true", "false", "null", "in"})

OLD_BOOLEANS: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}

#: Prefixes of the events that FlowLang makes itself.
OWN_PREFIXES: Final = ("pipeline/", "schedule/")


def read_text(value: Any) -> str:
    """Take a text."""
    if not isinstance(value, str):
        hint = None if value is None or isinstance(value, list | dict) else f'quote it: `"{str(value).lower()}"`'
        raise problem("FL103", f"takes a text; found {found(value)}", hint)
    return value


def read_boolean(value: Any) -> bool:
    """Take a boolean; the texts that YAML 1.1 read as one are named."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in OLD_BOOLEANS:
        word = OLD_BOOLEANS[value.lower()]
        raise problem("FL014", f"takes `true` or `false`; YAML 1.2 reads `{value}` as a text", f"write `{word}`")
    raise problem("FL103", f"takes `true` or `false`; found {found(value)}")


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """Reads a whole number within bounds, both included."""

    minimum: int
    maximum: int | None = None

    def __call__(self, value: Any) -> int:
        """Take a number."""
        if isinstance(value, bool) or not isinstance(value, int):
            hint = f"write `{value}` without quotes" if isinstance(value, str) and value.isdecimal() else None
            raise problem("FL103", f"takes a whole number; found {found(value)}", hint)
        if value < self.minimum or (self.maximum is not None and value > self.maximum):
            low, high = self.minimum, self.maximum
            bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise problem("FL104", f"takes a whole number {bounds}; found `{value}`")
        return value


@dataclass(frozen=True, slots=True)
class Number:
    """Reads a number that is not below a bound."""

    minimum: float

    def __call__(self, value: Any) -> float:
        """Take a number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise problem("FL103", f"takes a number; found {found(value)}")
        if value < self.minimum:
            raise problem("FL104", f"takes a number of at least {self.minimum:g}; found `{value}`")
        return float(value)


def whole(minimum: int, maximum: int | None = None) -> BeforeValidator:
    """A whole number within bounds, both included."""
    return BeforeValidator(WholeNumber(minimum, maximum))


def number(minimum: float) -> BeforeValidator:
    """A number that is not below a bound."""
    return BeforeValidator(Number(minimum))


def choice(*words: str) -> BeforeValidator:
    """One of a few words."""

    def read(value: Any) -> str:
        if isinstance(value, str) and value in words:
            return value
        near = did_you_mean(value, words) if isinstance(value, str) else None
        code = "FL104" if isinstance(value, str) else "FL103"
        raise problem(code, f"takes {listed(words, 'or')}; found {found(value)}", _near(near))

    return BeforeValidator(read)


def _near(word: str | None) -> str | None:
    return f"did you mean `{word}`?" if word else None


def _matching(pattern: re.Pattern[str], kind: str, correct: Callable[[str], str]) -> Callable[[Any], str]:
    """A text of a form; the hint is the nearest text of that form."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise problem("FL103", f"takes {kind}; found {found(value)}", _text_hint(value, pattern))
        if not pattern.fullmatch(value):
            near = correct(value)
            hint = f"such as `{near}`" if near != value and pattern.fullmatch(near) else None
            raise problem("FL105", f"takes {kind}; found {found(value)}", hint)
        return value

    return read


def _text_hint(value: Any, pattern: re.Pattern[str]) -> str | None:
    text = str(value).lower()
    return f'quote it: `"{text}"`' if isinstance(value, bool | int | float) and pattern.fullmatch(text) else None


def _joined(value: str, sign: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", sign, value.strip()).lower()
    return re.sub(r"[^a-z0-9]+", sign, words).strip(sign)


read_name = _matching(
    _NAME, "a name of lower-case letters, digits and `-`, with a letter first", lambda value: _joined(value, "-")
)
_read_identifier = _matching(
    _IDENTIFIER, "an id of lower-case letters, digits and `_`, with a letter first", lambda value: _joined(value, "_")
)
_read_handler = _matching(
    _HANDLER,
    "a handler's name such as `mux.create_asset`",
    lambda value: ".".join(_joined(part, "_") for part in re.split(r"[./:]", value)),
)
read_event = _matching(
    _EVENT,
    "an event's name such as `video/uploaded`: lower-case segments joined by `/`",
    lambda value: "/".join(_joined(part, "-") for part in value.split("/") if part),
)


def read_handler(value: Any) -> str:
    """Take a handler's name."""
    if isinstance(value, str) and "@" in value:
        hint = "it calls a function of yours, a `@handler` in `handlers/`; there are no versions behind `@`"
        raise problem("FL105", f"takes a handler's name such as `mux.create_asset`; found {found(value)}", hint)
    return _read_handler(value)


def read_identifier(value: Any) -> str:
    """Take an id that expressions can select."""
    identifier = _read_identifier(value)
    if identifier in CEL_KEYWORDS:
        raise problem(
            "FL105", f"takes an id; `{identifier}` is a word of the expression language", f"such as `{identifier}_1`"
        )
    return identifier


def read_sent_event(value: Any) -> str:
    """Take the name of an event that a pipeline may send."""
    event = read_event(value)
    if event.startswith(OWN_PREFIXES):
        prefix = event.split("/", 1)[0]
        message = f"names `{event}`, but events under `{prefix}/` are sent by FlowLang alone"
        raise problem("FL119", message, "choose another first segment")
    return event


def read_event_pattern(value: Any) -> str:
    """Take an event's name whose last segment may be `*`."""
    if not isinstance(value, str) or "*" not in value:
        return read_event(value)
    head, _, last = value.rpartition("/")
    if last != "*" or not head or not _EVENT.fullmatch(head):
        raise problem(
            "FL105", f"takes an event's name; in `{value}` the `*` is not the whole last segment", "such as `mux/*`"
        )
    if f"{head}/".startswith(OWN_PREFIXES):
        raise problem(
            "FL119", f"takes an event's name; `*` does not stand for events under `{head}/`", "name each event"
        )
    return value


def read_error(value: Any) -> str:
    """Take an error's class, code, or prefix of codes."""
    if not isinstance(value, str):
        raise problem("FL103", f"takes an error's class or code; found {found(value)}")
    if value == "cancelled":
        raise problem("FL104", "names `cancelled`, which nothing catches or retries")
    if not _ERROR.fullmatch(value):
        forms = "an error's class, a code such as `card_declined`, or a prefix such as `stripe.*`"
        raise problem("FL105", f"takes {forms}; found {found(value)}")
    return value


def read_duration(value: Any) -> timedelta:
    """Take a duration with a unit."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise problem("FL103", f"takes a duration such as `1h30m`; found {found(value)}")
    try:
        return parse_duration(str(value))
    except DurationError as error:
        raise problem("FL113", f"takes a duration, and {error.message}", error.hint) from None


def read_positive_duration(value: Any) -> timedelta:
    """Take a duration that is longer than nothing."""
    duration = read_duration(value)
    if not duration:
        raise problem("FL104", f"takes a duration longer than none; found `{value}`")
    return duration


def read_duration_or_template(value: Any) -> timedelta | str:
    """Take a duration, or a template that gives one."""
    return str(value) if has_template(value) else read_positive_duration(value)


def read_moment(value: Any) -> datetime:
    """Take a timestamp with an offset."""
    if isinstance(value, datetime):
        return value
    hint = "such as `2030-01-31T09:00:00Z`"
    try:
        moment = datetime.fromisoformat(read_text(value))
    except ValueError:
        raise problem("FL113", f"takes a timestamp; `{value}` is none", hint) from None
    if moment.tzinfo is None:
        raise problem("FL113", f"takes a timestamp with an offset; `{value}` has none", hint)
    return moment.astimezone(UTC)


def read_size(value: Any) -> int:
    """Take a size, in bytes."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise problem("FL103", f"takes a size such as `512KiB`; found {found(value)}")
    try:
        return parse_size(str(value))
    except DurationError as error:
        raise problem("FL118", f"takes a size, and {error.message}", error.hint) from None


def read_values(value: Any) -> Any:
    """Take a map of values."""
    if not isinstance(value, dict):
        raise problem("FL103", f"takes a map of names and values; found {found(value)}")
    return value


def read_arguments(value: Any) -> Any:
    """Take a map of values, or a template that gives one."""
    if is_whole_template(value):
        return value
    if not isinstance(value, dict):
        raise problem("FL103", f"takes a map of names and values, or one `${{{{ … }}}}`; found {found(value)}")
    return value


def not_among(words: Collection[str], reason: str) -> AfterValidator:
    """A text that is none of some words."""

    def read(value: str) -> str:
        if value in words:
            raise problem("FL105", f"takes a name of your own; `{value}` {reason}")
        return value

    return AfterValidator(read)


Text = Annotated[str, BeforeValidator(read_text)]
TemplateText = Annotated[str, BeforeValidator(read_template_text)]
Boolean = Annotated[bool, BeforeValidator(read_boolean)]
Name = Annotated[str, BeforeValidator(read_name)]
Identifier = Annotated[str, BeforeValidator(read_identifier)]
HandlerName = Annotated[str, BeforeValidator(read_handler)]
EventName = Annotated[str, BeforeValidator(read_event)]
SentEvent = Annotated[str, BeforeValidator(read_sent_event)]
EventPattern = Annotated[str, BeforeValidator(read_event_pattern)]
ErrorName = Annotated[str, BeforeValidator(read_error)]
Duration = Annotated[timedelta, BeforeValidator(read_duration)]
PositiveDuration = Annotated[timedelta, BeforeValidator(read_positive_duration)]
Moment = Annotated[datetime, BeforeValidator(read_moment)]
DurationOrTemplate = Annotated[timedelta | str, BeforeValidator(read_duration_or_template)]
Size = Annotated[int, BeforeValidator(read_size)]
Values = Annotated[dict[str, Any], BeforeValidator(read_values)]
NamedValues = Annotated[dict[Identifier, Any], BeforeValidator(read_values)]
Labels = Annotated[dict[Name, Any], BeforeValidator(read_values)]
Arguments = Annotated[dict[str, Any] | str, BeforeValidator(read_arguments)]
