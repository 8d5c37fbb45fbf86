"""Measures the engine on this machine: rates as ratios to raw Dramatiq beside them, times, costs and sizes.

python -m benchmarks.engine                            everything; about a quarter of an hour
python -m benchmarks.engine --quick                    everything, in small
python -m benchmarks.engine --only chain,single        these

One embedded Valkey server, eight threads a process. Queues are filled first, then worked off; a rate is the median of
windows of its run, the first tenth left out. Raw Dramatiq is measured before, between and after, since machines change
their pace: a ratio is to the two around it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.engine.bench import QUICK, Bench, Measured, Sizes
from benchmarks.engine.measurements import MEASUREMENTS
from flowlang.worker.embedded import EmbeddedServer


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, each once")
    parser.add_argument("--only", default=",".join(MEASUREMENTS), help=f"of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--repeats", type=int, help="of each rate, and pairs of two ways")
    parser.add_argument("--json", action="store_true", dest="as_json", help="one document at the end")
    options = parser.parse_args(arguments)
    names = options.only.split(",")
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(MEASUREMENTS)}")
    sizes = QUICK if options.quick else Sizes()
    if options.repeats:
        sizes = dataclasses.replace(sizes, repeats=options.repeats, pairs=options.repeats)
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="flowlang-bench-") as name:
        folder = Path(name)
        with EmbeddedServer(folder / "server") as server:
            bench = Bench(server, folder, sizes)
            _say(options, f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}")
            for each in names:
                found[each] = MEASUREMENTS[each](bench)
                for row in found[each].rows():
                    verdict = "" if row.met is None else "  met" if row.met else "  NOT met"
                    goal = f"   goal {row.goal}{verdict}" if row.goal else ""
                    _say(options, f"{row.what:<46} {row.figure}{goal}")
    if options.as_json:
        print(json.dumps({each: _plain(record) for each, record in found.items()}, indent=2))
    return 0


def _say(options: argparse.Namespace, line: str) -> None:
    print(line, file=sys.stderr if options.as_json else sys.stdout, flush=True)


def _plain(record: Any) -> dict[str, Any]:
    return dataclasses.asdict(record)


if __name__ == "__main__":
    sys.exit(main())
