"""From an exception to the error that the journal keeps: its class, its code and a bounded message.

Owns the table of well-known exceptions. They are matched by qualified name along the type's MRO, so no library is
imported to recognise its errors. It leaves what happens next to the retry policies of `flowlang.engine`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from flowlang.errors import HandlerError, RetryAfter
from flowlang.redaction import Mask

ErrorClass: TypeAlias = Literal["transient", "resource", "permanent", "bug", "timeout", "cancelled"]

ERROR_CLASSES: Final[tuple[str, ...]] = get_args(ErrorClass)
MAX_MESSAGE: Final = 2_000  #: characters of a message
MAX_RETRY_AFTER: Final = 7 * 86_400.0  #: seconds; a service that asks for more is answered after a week

_CUT = " … (cut)"

#: Exceptions by qualified name → class and code. The most derived type that is listed decides.
WELL_KNOWN: Final[Mapping[str, tuple[ErrorClass, str]]] = {
    "httpx.TimeoutException": ("transient", "http.timeout"),
    "httpx.PoolTimeout": ("resource", "http.pool"),
    "httpx.TransportError": ("transient", "http.network"),
    "httpx.UnsupportedProtocol": ("permanent", "http.url"),
    "httpx.InvalidURL": ("permanent", "http.url"),
    "httpx.TooManyRedirects": ("permanent", "http.redirects"),
    "httpx.DecodingError": ("transient", "http.body"),
    "redis.exceptions.ConnectionError": ("transient", "redis.network"),
    "redis.exceptions.TimeoutError": ("transient", "redis.timeout"),
    "redis.exceptions.BusyLoadingError": ("resource", "redis.loading"),
    "redis.exceptions.ReadOnlyError": ("resource", "redis.read_only"),
    "redis.exceptions.OutOfMemoryError": ("resource", "redis.memory"),
    "redis.exceptions.TryAgainError": ("resource", "redis.busy"),
    "redis.exceptions.LockError": ("resource", "redis.lock"),
    "redis.exceptions.AuthenticationError": ("permanent", "redis.authorisation"),
    "redis.exceptions.NoPermissionError": ("permanent", "redis.authorisation"),
    "psycopg.OperationalError": ("resource", "database.unavailable"),
    "psycopg.IntegrityError": ("permanent", "database.integrity"),
    "psycopg.DataError": ("permanent", "database.data"),
    "psycopg.errors.SerializationFailure": ("resource", "database.conflict"),
    "psycopg.errors.DeadlockDetected": ("resource", "database.deadlock"),
    "psycopg_pool.PoolTimeout": ("resource", "database.pool"),
    "psycopg2.OperationalError": ("resource", "database.unavailable"),
    "psycopg2.IntegrityError": ("permanent", "database.integrity"),
    "psycopg2.DataError": ("permanent", "database.data"),
    "psycopg2.errors.SerializationFailure": ("resource", "database.conflict"),
    "psycopg2.errors.DeadlockDetected": ("resource", "database.deadlock"),
    "sqlalchemy.exc.OperationalError": ("resource", "database.unavailable"),
    "sqlalchemy.exc.InterfaceError": ("resource", "database.unavailable"),
    "sqlalchemy.exc.TimeoutError": ("resource", "database.pool"),
    "sqlalchemy.exc.IntegrityError": ("permanent", "database.integrity"),
    "sqlalchemy.exc.DataError": ("permanent", "database.data"),
    "sqlite3.OperationalError": ("resource", "database.unavailable"),
    "sqlite3.IntegrityError": ("permanent", "database.integrity"),
    "builtins.ConnectionError": ("transient", "os.network"),
    "builtins.TimeoutError": ("transient", "os.timeout"),
    "builtins.BlockingIOError": ("resource", "os.busy"),
    "builtins.InterruptedError": ("transient", "os.interrupted"),
    "builtins.PermissionError": ("permanent", "os.permission"),
    "builtins.OSError": ("resource", "os.error"),
    "builtins.FileNotFoundError": ("bug", "os.file_not_found"),
    "builtins.FileExistsError": ("bug", "os.file_exists"),
    "builtins.IsADirectoryError": ("bug", "os.is_a_directory"),
    "builtins.NotADirectoryError": ("bug", "os.not_a_directory"),
    "socket.gaierror": ("transient", "os.dns"),
    "socket.herror": ("transient", "os.dns"),
    "ssl.SSLCertVerificationError": ("permanent", "os.certificate"),
    "ssl.SSLError": ("transient", "os.tls"),
    "pydantic_core._pydantic_core.ValidationError": ("permanent", "validation"),
    "jsonschema.exceptions.ValidationError": ("permanent", "validation"),
    "jsonschema_rs.ValidationError": ("permanent", "validation"),
}

#: HTTP statuses that are not what their hundred says (4xx permanent, 5xx transient).
HTTP_STATUSES: Final[Mapping[int, ErrorClass]] = {
    408: "transient",
    409: "resource",
    423: "resource",
    425: "transient",
    429: "transient",
    503: "resource",
}

#: SQLSTATE codes that say more than the exception's type, as drivers and SQLAlchemy's `orig` carry them.
SQLSTATES: Final[Mapping[str, tuple[ErrorClass, str]]] = {
    "40001": ("resource", "database.conflict"),
    "40P01": ("resource", "database.deadlock"),
    "55P03": ("resource", "database.lock"),
    "57014": ("resource", "database.timeout"),
    "28000": ("permanent", "database.authorisation"),
    "28P01": ("permanent", "database.authorisation"),
    "3D000": ("permanent", "database.unknown"),
}

_HTTP_STATUS_ERRORS: Final = frozenset({"httpx.HTTPStatusError", "requests.exceptions.HTTPError"})
_DATABASE_ERRORS: Final = frozenset({"psycopg.Error", "psycopg2.Error", "sqlalchemy.exc.DBAPIError"})
_VALIDATION_ERRORS: Final = frozenset({"pydantic_core._pydantic_core.ValidationError"})


@dataclass(frozen=True, slots=True)
class Failure:
    """What an exception of a handler means, before the engine adds step and attempts.

    `retry_after_seconds` is the earliest next attempt that the service asked for, or None when it did not say.
    """

    error_class: ErrorClass
    code: str
    message: str
    retry_after_seconds: float | None = None


def classify(
    error: BaseException,
    *,
    now: datetime,
    table: Mapping[str, ErrorClass] | None = None,
    mask: Mask | None = None,
) -> Failure:
    """Say what kind of failure an exception is.

    Args:
        error: What a handler raised.
        now: For a `Retry-After` that is a date; with a time zone.
        table: The project's own `errors:`, from exception names to classes. It goes first, except for `HandlerError`.
        mask: Hides what must not stay in the message.

    Returns:
        The class, code and message; class `bug` for exceptions that nothing lists.
    """
    info = _classify(error, now, table or {})
    message = mask.text(info.message) if mask else info.message
    code = mask.text(info.code) if mask else info.code
    return Failure(info.error_class, code, bounded(message), info.retry_after_seconds)


def bounded(message: str) -> str:
    """Cut a message to `MAX_MESSAGE` characters, and drop what UTF-8 cannot carry."""
    text = message.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - len(_CUT)] + _CUT


def _classify(error: BaseException, now: datetime, table: Mapping[str, ErrorClass]) -> Failure:
    if isinstance(error, HandlerError):
        return _of_handler_error(error)
    if isinstance(error, BaseExceptionGroup):  # a task group's; the first failure is the one that cancelled the others
        return _classify(error.exceptions[0], now, table)
    names = qualified_names(type(error))
    message = _message(error, names)
    listed = next((table[name] for name in names if name in table), None)
    if listed is not None:
        return Failure(listed, f"{listed}.{snake(type(error).__name__)}", message, _retry_after(error, now))
    if not _HTTP_STATUS_ERRORS.isdisjoint(names) and (status := _status(error)) is not None:
        return Failure(_status_class(status), f"http.{status}", message, _retry_after(error, now))
    if not _DATABASE_ERRORS.isdisjoint(names) and (found := SQLSTATES.get(_sqlstate(error))) is not None:
        return Failure(*found, message)
    known = next((WELL_KNOWN[name] for name in names if name in WELL_KNOWN), None)
    if known is not None:
        return Failure(*known, message)
    return Failure("bug", f"bug.{snake(type(error).__name__)}", message)


def _of_handler_error(error: HandlerError) -> Failure:
    error_class = cast("ErrorClass", error.error_class if error.error_class in ERROR_CLASSES else "bug")
    seconds = bounded_seconds(error.seconds) if isinstance(error, RetryAfter) else None
    code = error.code or f"handler.{snake(type(error).__name__)}"
    return Failure(error_class, code, error.message or type(error).__name__, seconds)


def qualified_names(kind: type) -> list[str]:
    """Return the names of a type and its bases, the most derived first, as `module.Name`.

    A type is also listed under each shorter module path, since libraries define `httpx._exceptions.TimeoutException`
    and publish `httpx.TimeoutException`; a project's `errors:` may use either.
    """
    names = []
    for base in kind.__mro__:
        parts = base.__module__.split(".")
        names += [".".join((*parts[:length], base.__qualname__)) for length in range(len(parts), 0, -1)]
    return names


def snake(name: str) -> str:
    """Write a class name as part of a code: `HTTPStatusError` becomes `http_status_error`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9_]", "_", words.lower()).strip("_") or "error"


def _message(error: BaseException, names: list[str]) -> str:
    if not _VALIDATION_ERRORS.isdisjoint(names):  # its own text shows the values, which may be sensitive
        from flowlang.handler.contract import describe  # noqa: PLC0415 - pydantic is loaded already when this is its error

        return describe(error.errors(include_url=False, include_input=False), root="value")  # type: ignore[attr-defined]
    try:
        text = str(getattr(error, "message", "")) if "jsonschema.ValidationError" in names else str(error)
    except Exception as broken:  # noqa: BLE001 - a user's __str__ may fail like any code
        text = f"(its message cannot be read: {type(broken).__name__})"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _status_class(status: int) -> ErrorClass:
    return HTTP_STATUSES.get(status, "transient" if status >= 500 else "permanent")


def _sqlstate(error: BaseException) -> str:
    driver = getattr(error, "orig", None) or error
    state = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return state if isinstance(state, str) else ""


def _retry_after(error: BaseException, now: datetime) -> float | None:
    header: Callable[[str], Any] | None = getattr(
        getattr(getattr(error, "response", None), "headers", None), "get", None
    )
    value = header("retry-after") if callable(header) else None
    return retry_after_seconds(value, now) if isinstance(value, str) else None


def retry_after_seconds(value: str, now: datetime) -> float | None:
    """Read a `Retry-After` header: a number of seconds or an HTTP date.

    Args:
        value: The header's value.
        now: What a date is compared with; with a time zone.

    Returns:
        Seconds from now, from 0 to `MAX_RETRY_AFTER`; None when the value is neither.
    """
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text):
        return bounded_seconds(float(text))
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return bounded_seconds((date - now).total_seconds())


def bounded_seconds(seconds: float) -> float:
    """Bring a wait that someone asked for between 0 and `MAX_RETRY_AFTER`; what is no number is 0."""
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN
