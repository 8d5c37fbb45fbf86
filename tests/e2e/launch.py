"""A worker process in which something is not as on other machines; run as a script in the place of `flowlang.app`.

The variables say what: `E2E_CLOCK_MS`, its clock is so many milliseconds ahead; `E2E_GRACE_MS`, so long may a plain
handler go on after its time.
"""

from __future__ import annotations

import os
import runpy
import time

CLOCK, GRACE = "E2E_CLOCK_MS", "E2E_GRACE_MS"
VARIABLES = (CLOCK, GRACE)


def _shift(ahead_ms: int) -> None:
    """Move this process's wall clock; spans are measured by another."""
    true_ns = time.time_ns
    time.time_ns = lambda: true_ns() + ahead_ms * 1_000_000
    time.time = lambda: time.time_ns() / 1e9  # noqa: TID251 - it is this that is moved


def _main() -> None:
    if ahead := os.environ.get(CLOCK):
        _shift(int(ahead))
    if grace := os.environ.get(GRACE):
        from flowlang.worker.process import WorkerProcess  # noqa: PLC0415 - after the clock

        defaults = WorkerProcess.__init__.__kwdefaults__
        assert defaults is not None
        defaults["grace_ms"] = int(grace)
    runpy.run_module("flowlang.app", run_name="__main__")


if __name__ == "__main__":
    _main()
