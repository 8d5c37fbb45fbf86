"""What `@handler` accepts, and what it leaves alone."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import flowlang
from flowlang import handler
from flowlang.errors import DefinitionError
from flowlang.handler.definition import definition_of
from flowlang.handler.registry import Registry


@handler("sums.add", effect="pure", timeout="2m", retry={"attempts": 3})
def add(first: int, second: int = 1) -> int:
    return first + second


@handler("sums.add")
def other_add(first: int) -> int:
    return first


def test_a_decorated_function_is_the_function_itself() -> None:
    assert add(2, second=3) == 5
    assert add.__name__ == "add"


def test_the_definition_keeps_what_was_declared() -> None:
    definition = definition_of(add)
    assert definition is not None
    assert (definition.name, definition.effect, definition.timeout, definition.retry) == (
        "sums.add",
        "pure",
        "2m",
        {"attempts": 3},
    )
    assert definition.line == add.__code__.co_firstlineno
    assert not definition.is_async


def test_the_package_and_the_decorator_are_one_object() -> None:
    assert vars(flowlang)["handler"] is sys.modules["flowlang.handler"]
    assert callable(flowlang.handler)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "charge"}, "must be lower-case words joined by dots"),
        ({"name": "Payments.charge"}, "must be lower-case words joined by dots"),
        ({"name": "payments..charge"}, "must be lower-case words joined by dots"),
        ({"name": "payments.charge\n"}, "must be lower-case words joined by dots"),
        ({"name": "a.b", "effect": "safe"}, "effect='safe' must be one of 'pure', 'idempotent', 'keyed', 'once'"),
        ({"name": "a.b", "timeout": "30"}, "timeout='30' must be a duration with a unit"),
        (
            {"name": "a.b", "timeout": 30},
            "timeout=30 must be a duration with a unit, such as '30s' or '2m': it is no text",
        ),
        ({"name": "a.b", "timeout": "0s"}, "it leaves no time"),
        ({"name": "a.b", "timeout": "2 minutes"}, "timeout='2 minutes' must be a duration with a unit"),
        ({"name": "a.b", "retry": 3}, "retry=3 must be a policy"),
        ({"name": "a.b", "effect": "once", "retry": "gentle"}, "retry= cannot be used with effect='once'"),
        (
            {"name": "a.b", "retry": {"jitter": object()}},
            "retry= must be plain data: jitter: a object is no JSON value",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_place(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        handler(**arguments)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{__file__}:")


def positional(first: int, /) -> None: ...


def starred(*rest: int) -> None: ...


class Holder:
    def method(self) -> None: ...


@functools.wraps(add)
def wrapped(*args: Any, **kwargs: Any) -> int:
    return add(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (positional, "takes 'first' by position only"),
        (starred, "takes 'rest' by position only"),
        (Holder.method, "not on a method"),
        (Holder, "must stand on a function"),
        (add, "is the handler 'sums.add' already"),
        (wrapped, "put @handler on top"),
    ],
)
def test_a_function_that_cannot_be_called_by_name_is_refused(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        handler("sums.other")(function)


def test_two_handlers_of_one_name_are_refused_with_both_places() -> None:
    with pytest.raises(DefinitionError) as caught:
        Registry.of(add, other_add)
    for function in (add, other_add):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(caught.value)


def test_the_same_handler_twice_is_no_conflict() -> None:
    assert list(Registry.of(add, add)) == ["sums.add"]


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(DefinitionError, match=r"there is no handler 'sums.ad' .*did you mean 'sums.add'\?"):
        Registry.of(add).resolve("sums.ad")


def test_a_plain_function_is_not_taken_into_a_registry() -> None:
    with pytest.raises(DefinitionError, match="is no handler: decorate it"):
        Registry.of(positional)


def test_the_decorator_works_whatever_was_imported_before() -> None:
    program = (
        "import flowlang.handler.signature, flowlang\n"
        "from flowlang import handler\n"
        "@handler('a.b')\ndef one(): return 1\n"
        "@flowlang.handler('a.c')\ndef two(): return 2\n"
        "from flowlang.handler.registry import Registry\n"
        "print(*Registry.of(one, two), one() + two())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["a.b", "a.c", "3"]
