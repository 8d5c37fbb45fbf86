"""What all parts of the model share: strictness, their place in the document, and how they say no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from flowlang.model.yaml_nodes import MapData, Path

#: The key under which a map's place travels through pydantic. YAML has no such character, so that no user's key is
#: ever equal to it.
PATH_KEY = "\0path"

#: More keys than these are not listed in a hint.
_MANY_KEYS: Final = 14


def problem(code: str, message: str, hint: str | None = None, *, instead: str | None = None) -> PydanticCustomError:
    """A refusal that becomes a finding.

    Args:
        code: A code of findings.
        message: What is wrong, as the rest of a sentence that begins with the key: `takes a list; found …`.
        hint: What would be right.
        instead: The text of the scalar that can only have been meant.
    """
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint, "instead": instead})


def found(value: Any) -> str:
    """A value in the words of a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean `{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"the number `{value}`"
    if isinstance(value, str):
        line = " ".join(value.split())
        return f"the text `{line if len(line) <= 40 else line[:39] + '…'}`" if line else "an empty text"
    return "a list" if isinstance(value, list | tuple) else "a map"


def listed(words: tuple[str, ...] | list[str], last: str = "and") -> str:
    """Words as a message lists them: `` `a`, `b` and `c` ``."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


class Part(BaseModel):
    """A map of the language. Fields are named as its keys; those that Python reserves have a `_` behind them."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.rstrip("_"))

    #: What it is called in messages.
    called: ClassVar[str] = "this map"

    #: Where it stands: keys and indices from the root of its document.
    path: Path = Field(default=(), alias=PATH_KEY, repr=False, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _take_path(cls, data: Any) -> Any:
        if isinstance(data, MapData):
            return {**data, PATH_KEY: data.path}
        if isinstance(data, dict | cls):
            return data
        raise problem("FL103", f"takes a map; found {found(data)}", cls.keys_hint())

    @classmethod
    def keys(cls) -> list[str]:
        """The keys that the map may have, in the order of the language's description."""
        aliases = (field.alias or name for name, field in cls.model_fields.items())
        return [alias for alias in aliases if alias != PATH_KEY]

    @classmethod
    def keys_hint(cls) -> str | None:
        """The keys as a hint; None where they are too many to help."""
        return f"its keys are {listed(cls.keys())}" if len(cls.keys()) <= _MANY_KEYS else None

    def has(self, field: str) -> bool:
        """Whether a key is written, be it as `null`.

        Args:
            field: The field's name in the model.
        """
        return field in self.model_fields_set


@dataclass(frozen=True, slots=True)
class ShortForm:
    """Reads a text as a map with one key."""

    key: str

    def __call__(self, value: Any) -> Any:
        """Take a text, or anything else as it is."""
        return {self.key: value} if isinstance(value, str) else value


def short(key: str) -> BeforeValidator:
    """A text stands for a map with one key."""
    return BeforeValidator(ShortForm(key))


_T = TypeVar("_T")


def _refuse_nothing(value: Any) -> Any:
    if value is None:
        raise problem("FL103", "is written without a value", "leave the key out, or write its value")
    return value


#: A part that may be left out, but not be written as nothing.
Optional = Annotated[_T | None, BeforeValidator(_refuse_nothing)]


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(value)
    hint = f"`[{value}]`" if isinstance(value, str) and value.isidentifier() else "items of a list begin with `- `"
    raise problem("FL103", f"takes a list; found {found(value)}", hint)


def _one_as_tuple(value: Any) -> Any:
    return _as_tuple(value) if isinstance(value, list | tuple) else (_refuse_nothing(value),)


def _at_least_one(value: Any) -> Any:
    if not _as_tuple(value):
        raise problem("FL104", "takes at least one item; found an empty list")
    return tuple(value)


#: A list, kept as a tuple.
Many = Annotated[tuple[_T, ...], BeforeValidator(_as_tuple)]

#: A list with at least one item.
Some = Annotated[tuple[_T, ...], BeforeValidator(_at_least_one)]

#: One value or a list of them.
OneOrMany = Annotated[tuple[_T, ...], BeforeValidator(_one_as_tuple)]
