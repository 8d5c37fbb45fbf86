"""Measures the figures of the failure model.

python -m tests.proofs                  what there is
python -m tests.proofs F4 F5            these, at full size
python -m tests.proofs all --small      all, at the size that the suite runs
python -m tests.proofs F8 --size 20000 --seed 7
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.proofs.catalog import proofs


def main() -> int:
    """Measure, print each figure, and say by the exit status whether all claims hold."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.proofs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as F4; all: every one")
    parser.add_argument("--small", action="store_true", help="the size that the suite runs")
    parser.add_argument("--size", type=int, help="another size")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    known = proofs()
    if not options.names:
        for proof in known.values():
            print(f"{proof.name:<4} {proof.claim} (small {proof.small:,}, full {proof.full:,})")
        return 0
    names = list(known) if options.names == ["all"] else [name.upper() for name in options.names]
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(known)}")
    failed = []
    for name in names:
        proof = known[name]
        size = options.size or (proof.small if options.small else proof.full)
        began = time.perf_counter()
        figure = proof.measure(size, options.seed, lambda line: print(f"      {line}", flush=True))
        took = time.perf_counter() - began
        word = "holds" if figure.holds else "FAILS"
        print(f"{name:<4} {word}: {figure.text} [{proof.claim}; size {size:,}, {took:.0f} s]", flush=True)
        if not figure.holds:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
