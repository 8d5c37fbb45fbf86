"""Refusals as RFC 9457 problem documents: one table from our errors to status, code and headers, for all of HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from flowlang import jsondata
from flowlang.engine.admission import EventRefusedError
from flowlang.engine.checkpoints import StartError
from flowlang.engine.replay import ReplayError
from flowlang.engine.schemas import Failure
from flowlang.errors import (
    ConfigError,
    FlowError,
    NotDurableError,
    StaleEpochError,
    StoreFullError,
    StoreUnavailableError,
)
from flowlang.service import (
    DataError,
    NotAllowedError,
    NotDeployedError,
    NotFoundError,
    RunKeptError,
    ScopeError,
    TooLargeError,
)

PROBLEM_TYPE = "application/problem+json"
JSON_TYPE = "application/json"

#: On every answer: nothing here is a page, and nothing is to be kept by a cache.
COMMON_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class HttpProblem(FlowError):  # noqa: N818 - the RFC's word
    """A request that is refused.

    Args:
        status: Of the answer.
        code: Stable name of the reason, for programs.
        detail: One sentence for people: what is wrong and what would be right.
        failures: Paths of the body that fail.
        headers: To be sent with it, lower-case names.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        failures: Sequence[Failure] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.failures = tuple(failures)
        self.headers = headers or {}


class Reply(msgspec.Struct, frozen=True):
    """An answer, before it becomes bytes on a connection."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


def json_reply(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
    """An answer with a JSON body."""
    about = {"content-type": JSON_TYPE, **COMMON_HEADERS, **(headers or {})}
    return Reply(status, jsondata.dumps(value), about)


def empty_reply(status: int, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer that says all by its status and headers."""
    return Reply(status, b"", {**COMMON_HEADERS, **(headers or {})})


def problem_reply(problem: HttpProblem, more: Mapping[str, Any] | None = None) -> Reply:
    """A refusal as its document; one of a method has no body at all.

    Args:
        problem: The refusal.
        more: Members that clients of another protocol look for.
    """
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return Reply(problem.status, b"", {**COMMON_HEADERS, **problem.headers})
    document: dict[str, Any] = {
        "type": f"urn:flowlang:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
    }
    if problem.detail:
        document["detail"] = problem.detail
    if problem.failures:
        document["errors"] = [{"path": failure.path, "message": failure.message} for failure in problem.failures]
    document |= more or {}
    headers = {"content-type": PROBLEM_TYPE, **COMMON_HEADERS, **problem.headers}
    return Reply(problem.status, jsondata.dumps(document), headers)


def as_problem(error: Exception) -> HttpProblem:
    """The refusal that an error of ours means; any other is a fault of ours, and tells a stranger nothing."""
    match error:
        case HttpProblem():
            return error
        case jsondata.JsonError():
            return HttpProblem(400, "body.not-json", str(error))
        case DataError(failures=failures):
            return HttpProblem(400, "data.invalid", str(error), failures=failures)
        case EventRefusedError():
            return HttpProblem(403, "event.refused", str(error))
        case ScopeError():
            return HttpProblem(403, "key.scope", str(error))
        case NotAllowedError():
            return HttpProblem(403, "pipeline.not-allowed", str(error))
        case StartError():
            return HttpProblem(400, "replay.start", str(error))
        case ReplayError():
            return HttpProblem(409, "replay.refused", str(error))
        case RunKeptError():
            return HttpProblem(409, "run.kept", str(error))
        case NotFoundError():
            return HttpProblem(404, "not-found", str(error))
        case TooLargeError():
            return HttpProblem(413, "body.too-large", str(error))
        case NotDeployedError():
            return HttpProblem(503, "not-deployed", str(error), headers={"retry-after": "5"})
        case NotDurableError():
            detail = "it is not known to be safe yet; send the same request again"
            return HttpProblem(503, "store.not-durable", detail, headers={"retry-after": "1"})
        case StoreFullError():
            detail = "the store is nearly full, and finishes what it has; send the same request again later"
            return HttpProblem(503, "store.full", detail, headers={"retry-after": "10"})
        case StoreUnavailableError() | StaleEpochError():
            detail = "the store did not answer; send the same request again"
            return HttpProblem(503, "store.unavailable", detail, headers={"retry-after": "1"})
        case ConfigError():
            return HttpProblem(
                503, "not-configured", "the server is not configured for this", headers={"retry-after": "60"}
            )
        case _:
            return HttpProblem(500, "internal", "")
