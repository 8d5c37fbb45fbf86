"""`python -m tests.differential [--count N] [--seed N]`: compare N generated expressions; exit 1 when any is unexplained."""

from __future__ import annotations

import argparse
import sys

from tests.differential.compare import WRONG
from tests.differential.reference import installed
from tests.differential.workers import run, work

#: How many findings are printed; a fault of ours makes many alike.
_SHOWN = 25


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.differential", description="FlowLang's expressions against the reference."
    )
    parser.add_argument("--count", type=int, default=10_000, help="how many expressions")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed; the others follow")
    parser.add_argument("--processes", type=int, default=1, help="how many compare at a time")
    parser.add_argument("--worker", action="store_true", help="compare in this process, and write the answers as JSON")
    options = parser.parse_args(arguments)
    if options.worker:
        work(options.seed, options.count, sys.stdout)
        return 0
    if not installed():
        sys.stderr.write("cel_expr_python is not installed here: only our own tiers are compared\n")

    def tell(done: int) -> None:
        sys.stderr.write(f"{done} of {options.count}\n")

    tally = run(options.seed, options.count, options.processes, tell)
    for name, count in tally.counts.most_common():
        sys.stdout.write(f"{count:8} {name}\n")
    for reason, count in tally.explained.most_common():
        sys.stdout.write(f"    {count:8} {reason}\n")
    for finding in tally.findings[:_SHOWN]:
        sys.stdout.write(f"\n{finding}\n")
    return 1 if any(tally.counts[name] for name in WRONG) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
