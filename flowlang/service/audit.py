"""The audit trail: who has seen or destroyed what must not be lost sight of, as log records of a logger of their own.

They are written whatever `FLOWLANG_LOG_LEVEL` says, and hold ids alone. A logger can be sent to a place that those who
run the servers cannot write to, which our store is not.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

from flowlang.service.callers import Caller

#: What is recorded.
Deed = Literal["delete", "reveal"]

_SENTENCES: Final[dict[Deed, str]] = {
    "delete": "a run was deleted for good",
    "reveal": "sensitive data were shown",
}

log = logging.getLogger("flowlang.audit")
log.setLevel(logging.INFO)  # its own, so that the root's does not count


def record(deed: Deed, caller: Caller, **what: str) -> None:
    """Record a deed.

    Args:
        deed: What was done.
        caller: Who did it.
        what: To what: kind → id, such as `run`.
    """
    who = {"key": caller.name, "key_id": caller.key} if caller.name else {"key": "operator"}
    log.info(
        "%s", _SENTENCES[deed], extra={"audit": deed, **{name: text for name, text in who.items() if text}, **what}
    )
