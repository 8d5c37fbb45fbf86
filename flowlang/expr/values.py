"""The values of the expression language, and which of its types each has.

JSON values are Python's own: dict, list, str, int, float, bool, None; bytes too. Any other `Mapping` counts as a map
and any other `Sequence` as a list, so that callers can pass views that load on demand. What Python lacks is here:
unsigned integers, optionals, types as values, and maps that keep `true` and `1` apart. Timestamps and durations are in
`times`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from flowlang.expr.errors import NO_OVERLOAD, NO_VALUE, OUT_OF_RANGE, EvaluationError
from flowlang.expr.times import Duration, Timestamp

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


class UInt(int):
    """An unsigned integer of 64 bits; equal to the int of the same value, as the language says."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"

    __str__ = int.__repr__


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value, such as `int` in `type(x) == int`.

    Args:
        name: The type's name in the language.
    """

    name: str

    def __str__(self) -> str:
        return self.name


class Optional:
    """A value that may be absent; `Optional.of(x)` has one, `Optional.NONE` has none."""

    __slots__ = ("_value", "present")

    NONE: ClassVar[Optional]

    def __init__(self, value: object, *, present: bool) -> None:
        self._value = value
        self.present = present

    @classmethod
    def of(cls, value: object) -> Optional:
        """Wrap a value.

        Args:
            value: Any value of the language.

        Returns:
            An optional that has it.
        """
        return cls(value, present=True)

    @property
    def value(self) -> object:
        """The value.

        Raises:
            EvaluationError: There is none.
        """
        if not self.present:
            raise EvaluationError("the optional has no value; use orValue(…) to give one", NO_VALUE)
        return self._value

    def __repr__(self) -> str:
        return f"optional.of({self._value!r})" if self.present else "optional.none()"


Optional.NONE = Optional(None, present=False)


class MixedMap(Mapping[object, object]):
    """A map whose keys are bool and numbers: Python's dict would take `true` for `1`."""

    __slots__ = ("_items",)

    def __init__(self, entries: Sequence[tuple[object, object]]) -> None:
        self._items = {(key.__class__ is bool, key): value for key, value in entries}

    def __getitem__(self, key: object) -> object:
        return self._items[key.__class__ is bool, key]

    def __iter__(self) -> Iterator[object]:
        return (key for _, key in self._items)

    def __len__(self) -> int:
        return len(self._items)


#: The type of each Python class; `kind_of` adds the classes of views as it meets them.
_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    dict: "map",
    MixedMap: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    Optional: "optional_type",
    TypeValue: "type",
}


def add_kind(python_class: type, name: str) -> None:
    """Tell the type of a class of values that a library brings.

    Args:
        python_class: Its class.
        name: The type's name in the language.
    """
    _KINDS[python_class] = name


def kind_of(value: object) -> str:
    """Name a value's type.

    Args:
        value: Any value.

    Returns:
        The name as `type()` gives it, such as `int` or `map`.

    Raises:
        EvaluationError: The value is none of the language.
    """
    kind = _KINDS.get(value.__class__)
    if kind is None:
        kind = _kind_of_class(value.__class__)
        _KINDS[value.__class__] = kind
    return kind


def _kind_of_class(python_class: type) -> str:
    if issubclass(python_class, Mapping):
        return "map"
    if issubclass(python_class, str | bytes | int | float):
        for base in (bool, UInt, int, float, str, bytes):
            if issubclass(python_class, base):
                return _KINDS[base]
    if issubclass(python_class, Sequence) and not issubclass(python_class, bytearray | memoryview):
        return "list"
    raise EvaluationError(f"a Python {python_class.__name__} is no value of expressions", NO_OVERLOAD)


def kind_name(value: object) -> str:
    """Name a value's type for messages.

    Args:
        value: Any value.

    Returns:
        A short name such as `string`, `null` or `timestamp`.
    """
    try:
        kind = kind_of(value)
    except EvaluationError:
        return value.__class__.__name__
    return _SHORT.get(kind, kind)


_SHORT: Final = {
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "null_type": "null",
    "optional_type": "optional",
}


def is_map(value: object) -> bool:
    """Whether a value is a map."""
    return value.__class__ is dict or (value.__class__ not in _JSON and isinstance(value, Mapping))


def is_list(value: object) -> bool:
    """Whether a value is a list."""
    return value.__class__ is list or (
        value.__class__ not in _JSON and isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)
    )


#: Classes for which it is known at once; asking Python's abstract classes takes ten times as long.
_JSON: Final = frozenset({dict, list, str, int, float, bool, type(None)})


def checked_int(value: int) -> int:
    """Hold a result to 64 bits.

    Args:
        value: Exact result.

    Returns:
        The same.

    Raises:
        EvaluationError: It does not fit.
    """
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("the result does not fit an int of 64 bits", OUT_OF_RANGE)


def checked_uint(value: int) -> UInt:
    """Hold a result to unsigned 64 bits.

    Args:
        value: Exact result.

    Returns:
        It, as an unsigned integer.

    Raises:
        EvaluationError: It is negative or does not fit.
    """
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise EvaluationError("the result does not fit a uint of 64 bits", OUT_OF_RANGE)


def type_names() -> frozenset[str]:
    """List the names that denote types in expressions.

    Returns:
        Names such as `int`; none of them can be a variable.
    """
    return frozenset(_KINDS.values())
