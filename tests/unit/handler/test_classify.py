"""Exceptions become error classes and codes."""

from __future__ import annotations

import sqlite3
import ssl
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import jsonschema
import pydantic
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from flowlang import Permanent, Resource, RetryAfter, Transient
from flowlang.errors import Cancelled
from flowlang.handler.classify import MAX_MESSAGE, MAX_RETRY_AFTER, classify, retry_after_seconds, snake
from flowlang.handler.env import Secrets

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def made(name: str, *bases: type, **fields: object) -> BaseException:
    """An exception of a library that is not installed, under its qualified name."""
    module, _, short = name.rpartition(".")
    kind = type(short, bases or (Exception,), {"__module__": module, **fields})
    error = kind("text")
    assert isinstance(error, BaseException)
    return error


def library(name: str, *bases: type) -> type:
    return type(made(name, *bases))


psycopg_error = library("psycopg.Error")
psycopg_operational = library("psycopg.OperationalError", psycopg_error)
psycopg2_operational = library("psycopg2.OperationalError", library("psycopg2.Error"))
sqlalchemy_dbapi = library("sqlalchemy.exc.DBAPIError")
sqlalchemy_operational = library("sqlalchemy.exc.OperationalError", sqlalchemy_dbapi)


def validation_error() -> pydantic.ValidationError:
    try:
        pydantic.TypeAdapter(dict[str, int]).validate_python({"card": "4111 1111"})
    except pydantic.ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "error_class", "code"),
    [
        (Transient("x", code="a.b"), "transient", "a.b"),
        (Transient("x"), "transient", "handler.transient"),
        (Resource("x", code="pool.full"), "resource", "pool.full"),
        (Permanent("x", code="stripe.declined"), "permanent", "stripe.declined"),
        (RetryAfter(3, "x", code="a.limit"), "transient", "a.limit"),
        (Cancelled("x"), "cancelled", "handler.cancelled"),
        (httpx.ReadTimeout("x"), "transient", "http.timeout"),
        (httpx.ConnectTimeout("x"), "transient", "http.timeout"),
        (httpx.PoolTimeout("x"), "resource", "http.pool"),
        (httpx.ConnectError("x"), "transient", "http.network"),
        (httpx.RemoteProtocolError("x"), "transient", "http.network"),
        (httpx.UnsupportedProtocol("x"), "permanent", "http.url"),
        (httpx.InvalidURL("x"), "permanent", "http.url"),
        (httpx.TooManyRedirects("x"), "permanent", "http.redirects"),
        (redis.ConnectionError("x"), "transient", "redis.network"),
        (redis.TimeoutError("x"), "transient", "redis.timeout"),
        (redis.BusyLoadingError("x"), "resource", "redis.loading"),
        (redis.AuthenticationError("x"), "permanent", "redis.authorisation"),
        (redis.ResponseError("x"), "bug", "bug.response_error"),
        (psycopg_operational("x"), "resource", "database.unavailable"),
        (made("psycopg.errors.DeadlockDetected", psycopg_operational), "resource", "database.deadlock"),
        (made("psycopg.errors.SerializationFailure", psycopg_operational), "resource", "database.conflict"),
        (made("psycopg.errors.QueryCanceled", psycopg_operational, sqlstate="57014"), "resource", "database.timeout"),
        (
            made("psycopg.errors.UniqueViolation", library("psycopg.IntegrityError", psycopg_error)),
            "permanent",
            "database.integrity",
        ),
        (made("psycopg2.errors.DeadlockDetected", psycopg2_operational), "resource", "database.deadlock"),
        (made("psycopg2.DataError"), "permanent", "database.data"),
        (sqlalchemy_operational("x"), "resource", "database.unavailable"),
        (
            made("sqlalchemy.exc.OperationalError", sqlalchemy_dbapi, orig=made("any.E", sqlstate="28P01")),
            "permanent",
            "database.authorisation",
        ),
        (made("sqlalchemy.exc.DBAPIError", orig=made("any.E", pgcode="40P01")), "resource", "database.deadlock"),
        (made("sqlalchemy.exc.IntegrityError", sqlalchemy_dbapi), "permanent", "database.integrity"),
        (sqlite3.OperationalError("database is locked"), "resource", "database.unavailable"),
        (ConnectionResetError("x"), "transient", "os.network"),
        (TimeoutError("x"), "transient", "os.timeout"),
        (OSError(28, "No space left on device"), "resource", "os.error"),
        (FileNotFoundError("x"), "bug", "os.file_not_found"),
        (PermissionError("x"), "permanent", "os.permission"),
        (ssl.SSLCertVerificationError("x"), "permanent", "os.certificate"),
        (ssl.SSLEOFError("x"), "transient", "os.tls"),
        (validation_error(), "permanent", "validation"),
        (jsonschema.ValidationError("x"), "permanent", "validation"),
        (ValueError("x"), "bug", "bug.value_error"),
        (KeyError("x"), "bug", "bug.key_error"),
        (SystemExit(3), "bug", "bug.system_exit"),
        (ExceptionGroup("several", [ConnectionResetError("x"), ValueError("y")]), "transient", "os.network"),
    ],
)
def test_each_known_exception_has_a_class_and_a_code(error: BaseException, error_class: str, code: str) -> None:
    info = classify(error, now=NOW)
    assert (info.error_class, info.code) == (error_class, code)


def response(status: int, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://service/things")
    answer = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError(f"status {status}", request=request, response=answer)


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (400, "permanent"), (401, "permanent"), (403, "permanent"), (404, "permanent"), (408, "transient"), (409, "resource"),
        (410, "permanent"), (422, "permanent"), (423, "resource"), (425, "transient"), (429, "transient"), (500, "transient"),
        (501, "transient"), (502, "transient"), (503, "resource"), (504, "transient"), (301, "permanent"),
    ],
)  # fmt: skip
def test_http_statuses_have_classes(status: int, error_class: str) -> None:
    info = classify(response(status), now=NOW)
    assert (info.error_class, info.code, info.message, info.retry_after_seconds) == (
        error_class,
        f"http.{status}",
        f"HTTPStatusError: status {status}",
        None,
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("Wed, 02 Jan 2030 03:05:05 GMT", 60.0),
        ("Wed, 02 Jan 2030 03:05:05 -0000", 60.0),
        ("Wed, 02 Jan 2030 03:00:00 GMT", 0.0),
        ("999999999999", MAX_RETRY_AFTER),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("Wed, 99 Jan 2030 03:05:05 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds
    assert classify(response(429, {"Retry-After": value}), now=NOW).retry_after_seconds == seconds
    assert classify(response(503, {"Retry-After": value}), now=NOW).retry_after_seconds == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_read_or_ignored(value: str) -> None:
    seconds = retry_after_seconds(value, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("asked", "seconds"), [(3, 3.0), (-1, 0.0), (float("nan"), 0.0), (float("inf"), MAX_RETRY_AFTER)]
)
def test_a_handler_may_say_when_to_come_back(asked: float, seconds: float) -> None:
    assert classify(RetryAfter(asked), now=NOW).retry_after_seconds == seconds


class UnavailableError(ConnectionError): ...


UnavailableError.__module__ = "acme.client.errors"


@pytest.mark.parametrize(
    "name",
    ["acme.client.errors.UnavailableError", "acme.UnavailableError", "builtins.ConnectionError", "builtins.OSError"],
)
def test_the_projects_table_goes_first(name: str) -> None:
    info = classify(UnavailableError("x"), now=NOW, table={name: "resource"})
    assert (info.error_class, info.code) == ("resource", "resource.unavailable_error")


def test_the_projects_table_keeps_the_time_a_service_asked_for() -> None:
    info = classify(response(418, {"Retry-After": "5"}), now=NOW, table={"httpx.HTTPStatusError": "resource"})
    assert (info.error_class, info.retry_after_seconds) == ("resource", 5.0)


def test_the_projects_table_does_not_overrule_a_handler() -> None:
    assert classify(Permanent("no"), now=NOW, table={"flowlang.errors.Permanent": "bug"}).error_class == "permanent"


def test_messages_are_bounded() -> None:
    message = classify(ValueError("x" * 100_000), now=NOW).message
    assert len(message) == MAX_MESSAGE
    assert message.endswith("(cut)")


def test_messages_can_be_stored_as_text() -> None:
    assert classify(ValueError("half \ud800"), now=NOW).message == "ValueError: half ?"


def test_a_message_that_cannot_be_read_is_no_further_failure() -> None:
    def broken(self: Any) -> str:
        raise RuntimeError

    assert classify(made("acme.E", __str__=broken), now=NOW).message == "E: (its message cannot be read: RuntimeError)"


def test_a_validation_error_says_the_path_and_not_the_value() -> None:
    message = classify(validation_error(), now=NOW).message
    assert message.startswith("value.card: Input should be a valid integer")
    assert "4111" not in message


def test_secrets_that_were_handed_out_do_not_stay_in_errors() -> None:
    secrets = Secrets({"KEY": "sk_live_1"})
    assert secrets["KEY"] == "sk_live_1"
    info = classify(Permanent(f"GET /?key={secrets['KEY']} failed", code="sk_live_1"), now=NOW, mask=secrets.mask)
    assert (info.code, info.message) == ("***", "GET /?key=*** failed")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("HTTPStatusError", "http_status_error"),
        ("KeyError", "key_error"),
        ("Error2FA", "error2_fa"),
        ("_Own", "own"),
        ("Été", "t"),
        ("_", "error"),
    ],
)
def test_class_names_become_parts_of_codes(name: str, code: str) -> None:
    assert snake(name) == code


def test_no_library_is_imported_to_recognise_its_errors() -> None:
    program = (
        "import sys, flowlang.handler.classify as c, datetime\n"
        "c.classify(ValueError('x'), now=datetime.datetime.max)\n"
        "print([m for m in ('httpx', 'redis', 'pydantic', 'jsonschema', 'sqlite3', 'ssl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
