"""Sends over a network that loses a quarter of all pieces, and prints what came of it.

python -m tests.delivery --count 10000 --seed 1
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from flowlang.worker.embedded import EmbeddedServer
from tests.delivery.trial import tried


def main() -> None:
    """Print the figures; exit with 1 when anything was lost or done twice."""
    parser = argparse.ArgumentParser("python -m tests.delivery", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        found = tried(server.url, options.count, seed=options.seed)
    print(f"lost on the way: {found.requests_lost} requests, {found.answers_lost} answers; repeated: {found.repeats}")  # noqa: T201
    print(f"events: {found.sent} answered as stored, {found.stored} with a run in the store")  # noqa: T201
    print(f"calls: {found.called} answered, {found.started} runs in the store")  # noqa: T201
    sys.exit(not found.exact)


if __name__ == "__main__":
    main()
