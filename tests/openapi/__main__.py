"""See the package."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from flowlang.worker.embedded import EmbeddedServer
from tests.openapi import trial


def main() -> int:
    """Send, and say what was answered; the exit status says whether the document holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.openapi")
    parser.add_argument("--count", type=int, default=300, help="requests for each operation, fitting and unfitting")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable()  # each refused delivery is a line
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(Path(folder) / "valkey") as server,
        trial.served(server.url) as made,
    ):
        sent = made.run(options.count, options.seed)
        trial.report(made, print)
        faults = sum(count for (_, status), count in made.answers.items() if status in trial.FAULTS)
    print(f"{sent:,} requests, {faults} faults, no answer that is not in the document")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
