"""Calls a pipeline by Dramatiq messages, in a process that may be struck.

`python -m tests.faults.direct NUMBER...`; whoever starts it starts it again until it ends with 0 and the runs are there.
A number is always the same message, so that it starts its run once.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing

import dramatiq

from flowlang.actors.broker import make_broker
from flowlang.settings import Settings


def message(n: int) -> dramatiq.Message[None]:
    """What calls the pipeline with a number."""
    return dramatiq.Message(
        queue_name="default",
        actor_name="flowlang.called",
        args=({"n": n},),
        kwargs={},
        options={},
        message_id=f"direct-{n}",
    )


def main(numbers: list[str]) -> int:
    """Send them all."""
    settings = Settings.from_env(os.environ)
    assert settings.broker is not None
    with closing(make_broker(settings.broker, namespace=settings.namespace)) as broker:
        for n in numbers:
            broker.enqueue(message(int(n)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
