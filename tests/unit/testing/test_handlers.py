"""Calling handlers in tests: the same conversions, checks and classes as in a worker."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest

from flowlang import Context, Permanent, RetryAfter, Snooze, handler
from flowlang.errors import DefinitionError
from flowlang.testing import Attempted, attempt, call, check_handler


@handler("shop.total", effect="pure")
def total(prices: list[int], at: dt.date | None = None) -> dict[str, Any]:
    return {"sum": sum(prices), "at": at}


@handler("shop.whom", effect="keyed")
async def whom(ctx: Context) -> str:
    return f"{ctx.idempotency_key} {ctx.secrets['TOKEN']}"


@handler("shop.broken", effect="pure")
def broken(how: str) -> int:
    match how:
        case "snooze":
            raise Snooze(5)
        case "after":
            raise RetryAfter(7, "busy", code="shop.busy")
        case "gone":
            raise Permanent("it is gone", code="shop.gone")
        case "http":
            request = httpx.Request("GET", "https://example.com")
            raise httpx.HTTPStatusError("no", request=request, response=httpx.Response(503, request=request))
        case "result":
            return "many"  # type: ignore[return-value]
        case _:
            raise ZeroDivisionError("a slip")


def test_arguments_are_converted_by_the_hints_and_results_become_json() -> None:
    assert call(total, {"prices": [1, 2], "at": "2030-01-31"}) == {"sum": 3, "at": "2030-01-31"}


def test_an_async_handler_gets_the_context_that_is_given() -> None:
    assert call(whom, ctx=Context.for_test(idempotency_key="k", secrets={"TOKEN": "t"})) == "k t"


ATTEMPTS = [
    ("snooze", Attempted("snoozed", snooze=5)),
    ("after", Attempted("failed", None, "transient", "shop.busy", "busy", 7)),
    ("gone", Attempted("failed", None, "permanent", "shop.gone", "it is gone")),
]


@pytest.mark.parametrize(("how", "expected"), ATTEMPTS, ids=[how for how, _ in ATTEMPTS])
def test_an_attempt_ends_as_a_worker_would_record_it(how: str, expected: Attempted) -> None:
    found = attempt(broken, {"how": how})
    assert (found.status, found.error_class, found.code, found.message, found.retry_after, found.snooze) == (
        expected.status,
        expected.error_class,
        expected.code,
        expected.message,
        expected.retry_after,
        expected.snooze,
    )


@pytest.mark.parametrize(
    ("how", "error_class", "code"),
    [("http", "resource", "http.503"), ("result", "bug", "handler.result"), ("slip", "bug", "bug.zero_division_error")],
)
def test_exceptions_get_their_class_by_the_table(how: str, error_class: str, code: str) -> None:
    found = attempt(broken, {"how": how})
    assert (found.error_class, found.code) == (error_class, code)
    assert found.exception is not None


def test_the_projects_own_errors_count() -> None:
    found = attempt(broken, {"how": "slip"}, errors={"builtins.ZeroDivisionError": "transient"})
    assert found.error_class == "transient"


def test_a_success_has_its_output() -> None:
    assert attempt(total, {"prices": []}) == Attempted("succeeded", {"sum": 0, "at": None})


def test_a_function_that_is_no_handler_is_refused() -> None:
    for use in (call, attempt, check_handler):
        with pytest.raises(DefinitionError, match="declare it with `@handler`"):
            use(len)


@handler("shop.undeclared")
def undeclared(x: int) -> int:
    return x


@handler("shop.keyless", effect="keyed")
def keyless(x: int) -> int:
    return x


@handler("shop.untyped", effect="pure")
def untyped(x: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - what this is about
    return x


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (undeclared, "it does not say what a repeated call does"),
        (keyless, "it takes no Context whose `idempotency_key` it could pass on"),
        (untyped, "its result has no type hint"),
    ],
)
def test_what_a_handler_declares_is_checked(function: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=r"^shop.*test_handlers.py:[0-9]+: ") as found:
        check_handler(function)
    assert said in str(found.value)


@pytest.mark.parametrize("function", [total, whom, broken])
def test_a_sound_handler_passes(function: Any) -> None:
    check_handler(function)
