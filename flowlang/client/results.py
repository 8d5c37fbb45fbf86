"""What a client gives back: the answers of the API, typed. Fields that a newer server adds are left out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

import msgspec

#: Statuses that a run keeps.
ENDED: Final = frozenset({"succeeded", "failed", "cancelled", "skipped"})

RunStatus = Literal["pending", "running", "succeeded", "failed", "cancelled", "skipped"]


class Failure(msgspec.Struct, frozen=True):
    """A place of the data that does not fit."""

    path: str
    message: str


class Started(msgspec.Struct, frozen=True):
    """A run that an event or a call led to; `new` is false when an earlier one holds its idempotency key."""

    id: str
    new: bool


class Sent(msgspec.Struct, frozen=True):
    """The answer to an event that was sent.

    Attributes:
        status: `accepted` and `duplicate`: it is stored. `dead_letter`: it is stored for a person. The others: not.
        event: Id under which it is kept.
        runs: That it starts.
        offered: Waits of runs that it was found by.
        message: Why it was not taken.
        failures: Places that do not fit.
    """

    status: Literal["accepted", "duplicate", "dead_letter", "invalid", "refused", "too_large"]
    event: str = ""
    runs: tuple[Started, ...] = ()
    offered: int = 0
    message: str = ""
    failures: tuple[Failure, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether it need not be sent again."""
        return self.status in {"accepted", "duplicate", "dead_letter"}


class RunSummary(msgspec.Struct, frozen=True):
    """A run in a list."""

    id: str
    pipeline: str
    version: str
    status: RunStatus
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    event: str = ""
    queue: str = "default"
    replay_of: str | None = None
    replaced_by: str | None = None
    merged_into: str | None = None

    @property
    def ended(self) -> bool:
        """Whether its status stays as it is."""
        return self.status in ENDED


class Step(msgspec.Struct, frozen=True):
    """A step instance of a run; `output` is None when there is none."""

    step: str
    status: str
    attempts: int = 0
    output: Any = None
    error: dict[str, Any] | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Run(msgspec.Struct, frozen=True):
    """All that is known of a run; `output` is None when there is none."""

    run: RunSummary
    event: dict[str, Any]
    vars: dict[str, Any] = {}
    labels: dict[str, str] = {}
    output: Any = None
    error: dict[str, Any] | None = None
    steps: tuple[Step, ...] = ()
    journal: tuple[dict[str, Any], ...] = ()
    timers: dict[str, str] = {}

    @property
    def id(self) -> str:
        """Of the run."""
        return self.run.id

    @property
    def status(self) -> RunStatus:
        """Of the run."""
        return self.run.status


class Replayed(msgspec.Struct, frozen=True):
    """What a replay is, or with `dry_run` would be.

    Attributes:
        of: The run replayed.
        pipeline: Its pipeline.
        version: That the replay has.
        start: Where it starts; empty: whole.
        kept: Instances whose checkpoints are kept.
        again: Steps before the start that must run again, and why.
        run: The new run; none of a dry run.
        forecast: What a dry run says that it will do.
    """

    of: str
    pipeline: str
    version: str
    start: str = msgspec.field(name="from", default="")
    kept: tuple[str, ...] = ()
    again: tuple[dict[str, Any], ...] = ()
    run: Started | None = None
    forecast: dict[str, Any] | None = None


class SentList(msgspec.Struct, frozen=True):
    """The answers to a list of events, in order."""

    events: tuple[Sent, ...]


class Page(msgspec.Struct, frozen=True):
    """A page of runs."""

    runs: tuple[RunSummary, ...]
    next: str | None = None
