"""Makes random mistakes in good pipelines and counts those that the checker reports on the right line.

python -m tests.mutations                          400 in the shipped pipelines
python -m tests.mutations --count 2000 --seed 7
python -m tests.mutations --examples               in the examples of the language's description, if they are here
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.mutations.bench import Bench, examples, shipped

GOAL = 95.0


def main() -> int:
    """Make mistakes, print what was missed; exit 0 when enough were reported."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", action="store_true", help="in the examples; much of their data has no schema")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench((examples if options.examples else shipped)(Path(folder)))
        outcome = bench.judge(bench.mistakes(options.count, options.seed))
    for mistake, found in outcome.missed:
        lines = sorted(mistake.lines)
        print(f"missed: {mistake.kind}: {mistake.what} [{mistake.path}:{lines[0] if lines else 0}]")
        for item in found[:3]:
            print(f"        but {item.code} at line {item.span.line}: {item.message}")
    made, missed = (Counter(each.kind for each in group) for group in (outcome.made, [m for m, _ in outcome.missed]))
    for kind in sorted(made, key=lambda name: (-missed[name] / made[name], name)):
        print(f"{made[kind] - missed[kind]:>5} of {made[kind]:<4} {kind}")
    took = time.perf_counter() - began
    print(
        f"{len(outcome.made) - len(outcome.missed)} of {len(outcome.made)} mistakes of {len(made)} kinds reported on the "
        f"right line ({outcome.share:.1f} %), seed {options.seed}, {took:.0f} s"
    )
    return 0 if outcome.share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
