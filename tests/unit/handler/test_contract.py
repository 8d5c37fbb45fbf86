"""Type hints as the contract of arguments and results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from flowlang import Context, jsondata
from flowlang.errors import DefinitionError, Permanent
from flowlang.handler.contract import Contract, ResultError
from flowlang.handler.definition import HandlerDefinition


class Line(BaseModel):
    sku: str
    count: int = Field(alias="quantity")


@dataclasses.dataclass
class Address:
    street: str
    since: date


def contract(function: Callable[..., Any]) -> Contract:
    return HandlerDefinition(function, name="test.one", effect=None, timeout=None, retry=None, line=1).contract


def order(
    ctx: Context,
    lines: list[Line],
    when: datetime,
    kind: Literal["a", "b"] = "a",
    note: Annotated[str | None, Field(max_length=3)] = None,
) -> None: ...


def untyped(a, b=2): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201 - hints are optional


def awkward(copy: int, json: int = 0, model_config: int = 0, self: int = 0, _private: int = 0) -> None: ...


def open_ended(first: int, **rest: int) -> None: ...


def open_untyped(**rest) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN003 - hints are optional


@pytest.mark.parametrize(
    ("function", "given_", "expected"),
    [
        (
            order,
            {"lines": [{"sku": "x", "quantity": 2}], "when": "2030-01-02T03:04:05Z"},
            {"lines": [Line(sku="x", quantity=2)], "when": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)},
        ),
        (
            order,
            {"lines": [], "when": "2030-01-02T00:00:00+00:00", "note": None, "kind": "b"},
            {"lines": [], "when": datetime(2030, 1, 2, tzinfo=UTC), "note": None, "kind": "b"},
        ),
        (untyped, {"a": [1, {"x": None}]}, {"a": [1, {"x": None}]}),
        (
            awkward,
            {"copy": 1, "json": 2, "model_config": 3, "self": 4, "_private": 5},
            {"copy": 1, "json": 2, "model_config": 3, "self": 4, "_private": 5},
        ),
        (open_ended, {"first": 1, "second": "2"}, {"first": 1, "second": 2}),
        (open_untyped, {"first": 1, "second": "2"}, {"first": 1, "second": "2"}),
    ],
)
def test_values_become_what_the_hints_say(
    function: Callable[..., Any], given_: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert contract(function).convert(given_) == expected


@pytest.mark.parametrize(
    ("function", "given_", "messages"),
    [
        (order, {}, ["with.lines: Field required", "with.when: Field required"]),
        (
            order,
            {"lines": [{"sku": "x", "quantity": "many"}], "when": "soon"},
            ["with.lines[0].quantity: Input should be a valid integer", "with.when: Input should be a valid datetime"],
        ),
        (order, {"lines": [], "when": "2030-01-02T00:00:00Z", "ctx": 1}, ["with.ctx: there is no such argument"]),
        (order, {"lines": [], "when": "2030-01-02T00:00:00Z", "kind": "c"}, ["with.kind: Input should be 'a' or 'b'"]),
        (open_ended, {"first": 1, "second": "two"}, ["with.second: Input should be a valid integer"]),
    ],
)
def test_wrong_arguments_are_permanent_and_name_each_path(
    function: Callable[..., Any], given_: dict[str, Any], messages: list[str]
) -> None:
    with pytest.raises(Permanent) as caught:
        contract(function).convert(given_)
    assert caught.value.code == "handler.arguments"
    assert str(caught.value).startswith("wrong arguments for test.one: ")
    assert [message for message in messages if message not in str(caught.value)] == []


def test_the_message_holds_no_argument_values() -> None:
    with pytest.raises(Permanent) as caught:
        contract(order).convert({"lines": "4111 1111 1111 1111", "when": "private"})
    assert "4111" not in str(caught.value)
    assert "private" not in str(caught.value)


def test_many_wrong_arguments_are_counted_instead_of_listed() -> None:
    def takes(values: list[int]) -> None: ...

    with pytest.raises(Permanent, match=r"values\[19\].*; and 5 more$"):
        contract(takes).convert({"values": ["x"] * 25})


def returning(hint: Any) -> Contract:
    def function() -> Any: ...

    function.__annotations__["return"] = hint
    return contract(function)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Any, {"a": [1, 1.5, True, None, "x"]}, {"a": [1, 1.5, True, None, "x"]}),
        (Any, 1.0, 1.0),
        (None, None, None),
        (Line, Line(sku="x", quantity=2), {"sku": "x", "quantity": 2}),
        (Line | None, None, None),
        (Address, Address("Main", date(2030, 1, 2)), {"street": "Main", "since": "2030-01-02"}),
        (dict[str, Decimal], {"price": Decimal("1.10")}, {"price": "1.10"}),
        (list[UUID], [UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (Any, {"at": datetime(2030, 1, 2, tzinfo=UTC)}, {"at": "2030-01-02T00:00:00Z"}),
    ],
)
def test_results_become_plain_json(hint: Any, value: Any, expected: Any) -> None:
    data = returning(hint).result(value)
    assert jsondata.dumps(data) == jsondata.dumps(expected)
    assert type(data) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, "one", "result: Input should be a valid integer"),
        (dict[str, Any], None, "result: Input should be a valid dictionary"),
        (None, 3, "result: Input should be None"),
        (list[Line], [{"sku": 1, "quantity": 1}], "result[0].sku: Input should be a valid string"),
        (Any, {"a": [float("nan")]}, "result.a[0]: nan is no JSON number"),
        (float, float("inf"), "result: inf is no JSON number"),
        (Any, {"big": 2**64}, "result.big: 18446744073709551616 is beyond 64 bits"),
        (Any, {"x": object()}, "Unable to serialize unknown type: <class 'object'>"),
        (Any, b"\xff", "invalid utf-8"),
    ],
)
def test_a_wrong_result_is_a_bug_of_the_handler(hint: Any, value: Any, message: str) -> None:
    with pytest.raises(ResultError) as caught:
        returning(hint).result(value)
    assert (caught.value.error_class, caught.value.code) == ("bug", "handler.result")
    assert message in str(caught.value)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_passes_a_handler_without_hints_unchanged(value: Any) -> None:
    checks = contract(untyped)
    assert jsondata.dumps(checks.convert({"a": value})["a"]) == jsondata.dumps(value)
    assert jsondata.dumps(checks.result(value)) == jsondata.dumps(value)


def test_a_hint_that_is_no_data_is_refused_with_the_place() -> None:
    def function(client: object, socket: Contract) -> None: ...

    with pytest.raises(
        DefinitionError, match=r"test_contract\.py:\d+: the type hints of the handler 'test\.one' are no contract"
    ):
        contract(function)


def test_a_hint_that_does_not_exist_is_refused_with_advice() -> None:
    def function(order: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point

    with pytest.raises(DefinitionError, match="outside `if TYPE_CHECKING`"):
        contract(function)
