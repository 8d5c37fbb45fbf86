"""Which states follow which: of a run, of a scope's row, and of a step. The machine holds itself to the table of steps.

The pages of reference draw these tables; tests show that each line is gone, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: State → state that may follow → when.
Table = Mapping[str, Mapping[str, str]]

#: What ends a step's body, wherever it stands: its `catch`, its `finally`, or its record.
_BODY_ENDS: Final = {
    "catch": "it failed, and an arm of `catch` takes the error",
    "finally": "it has ended, and has a `finally`",
    "ended": "it has ended, or is not wanted any more",
}

#: What ends it where it can only be given up.
_NOT_WANTED: Final = {
    "finally": "it is not wanted any more, and has a `finally`",
    "ended": "it is not wanted any more",
}

#: Phases of a step instance (`state.Phase`), with `ended`: its record is written.
STEP: Final[Table] = {
    "enter": {
        "body": "its `if` is true, and it has no loop",
        "joining": "its `foreach` has made its items",
        "rounds": "its `repeat` begins",
        "ended": "it is skipped, cannot begin, or is not wanted any more",
    },
    "rounds": {
        "rounds": "`until` is false: another round",
        "pausing": "`until` is false, and there is a pause before the next round",
        "collecting": "`until` is true",
        "ended": "a round failed, rounds or time have run out, or it is not wanted any more",
    },
    "pausing": {"rounds": "the pause is over", "ended": "it is not wanted any more"},
    "collecting": {"ended": "its output is made"},
    "body": {
        "looking": "it has a `cache`: the output is asked for",
        "gating": "an attempt has limits to pass",
        "calling": "`uses`: the handler is called",
        "invoking": "`invoke`: the child run is made",
        "waiting": "`wait_for`: the wait is set",
        "sleeping": "`sleep`: the timer is set",
        "joining": "`parallel` or `race`: the branches are made",
        **_BODY_ENDS,
    },
    "looking": {
        "gating": "nothing was found",
        "calling": "nothing was found",
        "invoking": "nothing was found",
        **_BODY_ENDS,
    },
    "gating": {
        "calling": "the attempt has its place",
        "invoking": "the throttle lets the child run start",
        **_BODY_ENDS,
    },
    "calling": {
        "calling": "the worker was lost: the same attempt again",
        "backoff": "it failed or snoozed, and there is another attempt",
        **_BODY_ENDS,
    },
    "backoff": {
        "gating": "the next attempt has limits to pass",
        "calling": "the next attempt is due",
        **_NOT_WANTED,
    },
    "invoking": _BODY_ENDS,
    "waiting": _BODY_ENDS,
    "sleeping": {
        "finally": "it has ended, and has a `finally`",
        "ended": "the time is over, or it is not wanted any more",
    },
    "joining": _BODY_ENDS,
    "catch": {"finally": "the arm has ended, and there is a `finally`", "ended": "the arm has ended"},
    "finally": {"ended": "it has ended"},
    "ended": {},
}

#: Statuses of a run.
RUN: Final[Table] = {
    "pending": {
        "running": "it has passed its flow control, and a worker has taken it",
        "skipped": "flow control refuses it, or merges it into another run",
        "cancelled": "it is cancelled, or has waited longer than `expires`",
        "failed": "what a closed batch is to compute of its events has no value",
    },
    "running": {
        "succeeded": "all its steps have ended",
        "failed": "an error was not handled, or its `timeout` is over; undos and `on_failure` are done",
        "cancelled": "it was cancelled; undos are done",
    },
    "succeeded": {},
    "failed": {},
    "cancelled": {},
    "skipped": {},
}

#: Statuses of a scope's row in the store.
SCOPE: Final[Table] = {
    "ready": {
        "held": "a worker claims it under a lease",
        "ended": "its run, or a scope above it, has ended",
    },
    "held": {
        "held": "it commits and goes on; the lease is renewed",
        "ready": "it is handed back, has more to do, or its lease has ended",
        "waiting": "it waits for a timer, event, child, join or place",
        "ended": "it has ended, or a scope above it has",
    },
    "waiting": {
        "ready": "a fact has come into its inbox",
        "ended": "its run, or a scope above it, has ended",
    },
    "ended": {},
}
