"""A worker process. `dramatiq flowlang.app` runs it under Dramatiq's own command, `python -m flowlang.app` alone.

All it needs is in its environment (`FLOWLANG_*`). Importing it makes the broker and the actors of what is deployed.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import dramatiq
from dramatiq.middleware import MiddlewareError

from flowlang.bootstrap import WorkerRuntime
from flowlang.cli.logs import clean_logs, set_up_logs
from flowlang.cli.starting import check_servers
from flowlang.errors import FlowError
from flowlang.settings import Settings
from flowlang.worker.supervisor import REPLACE_ME

if TYPE_CHECKING:
    from flowlang.worker.process import Worn

#: What is written to the pipe of `main`: a signal came, or the process is worn.
_SIGNALLED, _WORN = b".", b"w"
#: Longest wait for threads when a worn process ends, milliseconds: those that come back have done so before.
_RETIRED_MS = 1_500


def make_runtime(
    overrides: dict[str, str | None] | None = None, on_worn: Callable[[Worn], object] | None = None
) -> WorkerRuntime:
    """The runtime of this process, its broker made Dramatiq's global one."""
    runtime = WorkerRuntime(Settings.from_env(os.environ, overrides), on_worn)
    dramatiq.set_broker(runtime.broker)
    return runtime


def main(arguments: list[str] | None = None) -> int:
    """Run one worker process until SIGTERM or SIGINT.

    Returns:
        The exit status: 0 after a graceful stop, 2 when it could not start. A worn process ends with `REPLACE_ME`, and
        does not come back from here: its threads may never end.
    """
    parser = argparse.ArgumentParser("python -m flowlang.app", description=__doc__)
    parser.add_argument("--threads", help="handlers that are plain functions run on so many threads")
    parser.add_argument("--queues", help="serve these only, with commas between")
    options = parser.parse_args(arguments)
    told, tell = os.pipe()  # unlike an Event, a pipe may be written to by a handler at any moment
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(tell, _SIGNALLED))
    try:
        settings = Settings.from_env(os.environ, vars(options))
        set_up_logs(settings)
        runtime = make_runtime(vars(options), lambda _: os.write(tell, _WORN))
        worker = dramatiq.Worker(runtime.broker, worker_threads=settings.threads)
        worker.start()
    except (FlowError, MiddlewareError) as error:
        if isinstance(error, MiddlewareError) and not isinstance(error.__cause__, FlowError):
            raise
        print(f"flowlang worker: {error}", file=sys.stderr)  # noqa: T201 - its only word to who started it
        return 2
    if os.read(told, 1) == _WORN:
        runtime.retire()
        worker.stop(timeout=_RETIRED_MS)
        logging.shutdown()
        os._exit(REPLACE_ME)
    worker.stop(timeout=round(settings.shutdown.total_seconds() * 1000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
else:
    # `flowlang worker` has looked at the servers before it started us; nobody did for the `dramatiq` command.
    check_servers(Settings.from_env(os.environ), lambda line: print(f"flowlang: {line}", file=sys.stderr))  # noqa: T201
    clean_logs(logging.getLogger().handlers)  # the `dramatiq` command has set them up
    broker = make_runtime().broker
