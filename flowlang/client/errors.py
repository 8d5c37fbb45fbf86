"""What a client raises, made from the problem documents of the API.

ClientError
├── ProblemError           the answer is a refusal: status, code, detail, failures
│   ├── InvalidError       400, 413, 415, 422: what was sent does not fit
│   ├── RefusedError       401, 403: the key does not allow it, or the event belongs to somebody else
│   ├── MissingError       404: there is no such run, pipeline or event
│   ├── ConflictError      409: the run is not in the state for it
│   └── BusyError          429, 502, 503, 504: not now; it was tried until the client's patience was at its end
├── UnreachableError       no answer at all, until the client's patience was at its end
├── RunNotSucceededError   a run that was waited for has ended otherwise
└── WaitTimeoutError       a run that was waited for has not ended in time
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from flowlang.client.results import Failure, Run
from flowlang.errors import FlowError


class ClientError(FlowError):
    """Root of what a client raises."""


class UnreachableError(ClientError):
    """No answer came. Whether the last try has arrived is not known; the same call may be made again."""


class ProblemError(ClientError):
    """The answer is a refusal.

    Args:
        status: Of the answer.
        code: Stable name of the reason, such as `data.invalid`.
        detail: One sentence: what is wrong.
        failures: Places of the data that do not fit.
    """

    def __init__(self, status: int, code: str, detail: str, failures: tuple[Failure, ...] = ()) -> None:
        super().__init__(f"{status} {code}: {detail}" if detail else f"{status} {code}")
        self.status = status
        self.code = code
        self.detail = detail
        self.failures = failures


class InvalidError(ProblemError):
    """What was sent does not fit; `failures` say where."""


class RefusedError(ProblemError):
    """It is not allowed: by the key, by `allow` of the pipeline, or since the event is somebody else's."""


class MissingError(ProblemError):
    """There is no such run, pipeline or event."""


class ConflictError(ProblemError):
    """The run is not in the state for it."""


class BusyError(ProblemError):
    """The server has no room, is not ready, or takes no more from this key for now."""


class RunNotSucceededError(ClientError):
    """A run that was waited for has failed, or was cancelled or skipped.

    Args:
        run: As it has ended.
    """

    def __init__(self, run: Run) -> None:
        error = run.error or {}
        why = f": {error.get('code', '')} {error.get('message', '')}".rstrip() if error else ""
        super().__init__(f"the run {run.id} of {run.run.pipeline} has ended as {run.status}{why}")
        self.run = run


class WaitTimeoutError(ClientError):
    """A run that was waited for has not ended in time. It goes on.

    Args:
        run: As it was seen last.
        seconds: How long it was waited for.
    """

    def __init__(self, run: Run, seconds: float) -> None:
        super().__init__(f"the run {run.id} of {run.run.pipeline} is {run.status} after {seconds:g} s; it goes on")
        self.run = run


class _Document(msgspec.Struct, frozen=True):
    """A problem document."""

    code: str = ""
    detail: str = ""
    errors: tuple[Failure, ...] = ()


_KINDS: Mapping[int, type[ProblemError]] = {
    **dict.fromkeys((400, 413, 415, 422), InvalidError),
    **dict.fromkeys((401, 403), RefusedError),
    404: MissingError,
    409: ConflictError,
    **dict.fromkeys((429, 502, 503, 504), BusyError),
}
_documents = msgspec.json.Decoder(_Document)


def problem(status: int, code: str, detail: str, failures: tuple[Failure, ...] = ()) -> ProblemError:
    """The error of a status."""
    return _KINDS.get(status, ProblemError)(status, code, detail, failures)


def problem_of(status: int, body: bytes) -> ProblemError:
    """The error that an answer stands for; what is between us and the server may answer by no problem document."""
    try:
        document: Any = _documents.decode(body)
    except msgspec.DecodeError:
        document = _Document()
    return problem(status, document.code or "http", document.detail, document.errors)
