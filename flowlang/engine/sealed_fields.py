"""What each sealed payload is of its run or event: the words that it is sealed and opened with.

A sealer that encrypts binds them to what it closes, so that a payload which lies in another place of the store is
refused there. They are never stored, and stay as they are: what was sealed under one word opens under no other.
"""

from __future__ import annotations

import re
from typing import Final

META: Final = "meta"  #: of a run
RESULT: Final = "result"  #: of a run
JOURNAL: Final = "journal"  #: an entry
UNDO: Final = "undo"  #: an entry of a run's undo list
ERROR: Final = "error"  #: with which a child joins its group
EVENT: Final = "event"  #: an event's body
REASONS: Final = "reasons"  #: why triggers made no run of an event
DEAD: Final = "dead"  #: what a dead letter says
DELAYED: Final = "delayed"  #: an event whose time has not come

_INDEX: Final = re.compile(r"\[\d+\]")


def state(scope: str) -> str:
    """The state of a scope that has had a turn, or of a run's main scope."""
    return f"state/{scope}"


def first_state(group: str) -> str:
    """The state with which all children of a group begin."""
    return f"first/{group}"


def record(instance: str) -> str:
    """The record of a step instance, or what a replay knows of it."""
    return f"record/{instance}"


def item(scope: str) -> str:
    """The input of a child of a foreach."""
    return f"item/{scope}"


def cached(pipeline: str, instance: str) -> str:
    """An output that is kept for other runs, in whichever item or round of the step it is made and read."""
    return f"cached/{pipeline}/{_INDEX.sub('', instance)}"
