"""Run the demo: exit 0 when every run ended as expected, 1 and why when one did not."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence

from flowlang.errors import FlowError
from tests.demo import report, story
from tests.demo.stage import PROCESSES, DemoError, Stage, staged
from tests.standin import Fault

READY_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description="The main job, once, to watch.")
    parser.add_argument("--refuse", metavar="ROUTE", help="let a service refuse for good, such as stripe.customer")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that everything is ended in order
    faults = list(story.TROUBLE)
    if options.refuse:
        faults.insert(0, Fault(options.refuse, status=400, times=0))
    began = time.monotonic()
    try:
        wrong = _demo(faults)
    except (DemoError, FlowError) as error:
        wrong = [str(error)]
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    report.say()
    for problem in wrong:
        report.say(f"  NOT AS EXPECTED: {problem}")
    if not wrong:
        report.say(f"All runs ended as expected, in {time.monotonic() - began:.1f} s; nothing is left running.")
        report.say("To keep everything running and try it yourself: make dev")
    return int(bool(wrong))


def _demo(faults: list[Fault]) -> list[str]:
    report.say("FlowLang: a paid checkout and an uploaded video, from the webhook to the last step\n")
    with staged(faults) as stage:
        _start(stage, faults)
        report.say("\nSent:")
        for one in story.send(stage):
            report.sent(one)
        report.say("\nThe workers are at it; a step that fails is tried again when its policy says so.\n")
        details = story.outcome(stage)
        report.table(details)
        wrong = list(story.problems(stage, details))
        calls = stage.standin.calls()
        refused = sum(call.fault for call in calls)
        report.say(f"\n  The services were called {len(calls)} times and refused {refused} of the calls.")
        if wrong:
            report.said(stage.said())
        return wrong


def _start(stage: Stage, faults: list[Fault]) -> None:
    report.fact("Valkey", "embedded, in a temporary folder")
    report.fact("services", f"{stage.standin.base_url}: one stand-in for Stripe, Mux, the academy, mail, Slack, …")
    for fault in faults:
        after = "" if fault.retry_after is None else f" with Retry-After: {fault.retry_after}"
        times = f"{fault.times} x" if fault.times else "always"
        report.fact("", f"will refuse {fault.route}: {times} {fault.status}{after}")
    report.fact("project", stage.deploy())
    if not stage.wait(stage.is_ready, READY_S):
        raise DemoError(f"HTTP is not ready after {READY_S:g} s")
    report.fact("HTTP", str(stage.client.base_url))
    report.fact("workers", f"{PROCESSES} processes")


if __name__ == "__main__":
    sys.exit(main())
