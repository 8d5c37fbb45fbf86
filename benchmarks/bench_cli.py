"""How long the command line takes to start, cold: `flowlang --help`, and `flowlang validate` on the shipped project.

Each sample is a process of its own, with bytecode in place as after an installation. The goals are 0.25 s and 0.7 s.

    python benchmarks/bench_cli.py [--samples 11]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMANDS = {"--help": 0.25, "validate": 0.7}


def sample(argument: str) -> float:
    """Seconds that one process takes."""
    argv = [sys.executable, "-m", "flowlang", argument]
    began = time.perf_counter()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    spent = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"flowlang {argument} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=11)
    options = parser.parse_args()
    for argument, goal in COMMANDS.items():
        sample(argument)  # writes the bytecode
        spent = sorted(sample(argument) for _ in range(options.samples))
        print(
            f"flowlang {argument:<9} min {spent[0]:.3f} s, median {statistics.median(spent):.3f} s, "
            f"of {len(spent)}; goal {goal:g} s"
        )


if __name__ == "__main__":
    main()
