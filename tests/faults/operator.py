"""What an operator does, in a process that may be struck: deploys, sends dead letters again, discards one, prunes, deletes.

`python -m tests.faults.operator`; whoever starts it starts it again until it ends with 0. What was done before is found
done. Failed runs of `once` are left alone: nobody knows whether they did their work.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

import msgspec

from flowlang import bootstrap
from flowlang.service import NotFoundError, Service
from flowlang.service.views import DeadSummary
from flowlang.settings import Settings
from tests.faults.stage import project

#: Another bound makes another manifest of the same pipelines.
DEAD_LETTERS = 5_000
#: Pipelines and events whose dead letters are sent again, with what is right; those of others are left.
RIGHT: dict[str, dict[str, Any]] = {"saga": {"ok": True}, "shop/paid": {"n": 0}}
DISCARDED = "refused"


def main() -> int:
    """Do it all."""
    settings = Settings.from_env(os.environ)
    with bootstrap.open_service(settings) as service:
        manifest, plans = project(settings.environment)
        limits = {**manifest.limits, "dead_letters": DEAD_LETTERS}
        service.deploy(msgspec.structs.replace(manifest, limits=limits), plans)
        for letter in service.dead_letters(limit=1_000):
            _settle(service, letter)
        service.prune()
        with suppress(NotFoundError):  # what it has done when it was struck behind it
            service.delete("r00-nothing")
    return 0


def _settle(service: Service, letter: DeadSummary) -> None:
    if letter.name == DISCARDED:
        service.discard_dead_letter(letter.id)
    elif letter.name in RIGHT:
        data = {**service.dead_letter_event(letter.id).data, **RIGHT[letter.name]}
        service.retry_dead_letter(letter.id, data)


if __name__ == "__main__":
    sys.exit(main())
