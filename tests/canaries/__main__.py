"""`python -m tests.canaries`: perform it with and without keys, and print the hits by place."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.canaries.checks import SHOWN, STORED, new_key
from tests.canaries.stage import Canaries, Traces, hits, perform


def main() -> int:
    """Returns 1 when anything was found where it must not be."""
    wrong = 0
    for name, keys in (("with a key", new_key()), ("without keys", "")):
        canaries = Canaries()
        with tempfile.TemporaryDirectory() as folder:
            traces = perform(Path(folder), canaries, keys=keys)
        sys.stdout.write(f"{name}: {sum(traces.statuses.values())} runs, {traces.dead} dead letters\n")
        for place in (*SHOWN, *STORED):
            wrong += _row(traces, place, canaries, is_allowed=place in STORED and not keys)
    return 1 if wrong else 0


def _row(traces: Traces, place: str, canaries: Canaries, *, is_allowed: bool) -> int:
    content = traces.places[place]
    secrets, sensitive = hits(content, list(canaries.secrets.values())), hits(content, canaries.sensitive())
    sys.stdout.write(
        f"  {place:22} {len(content):9,} bytes: {len(secrets)} secrets, {len(sensitive)} sensitive values\n"
    )
    return len(secrets) + (0 if is_allowed else len(sensitive))


if __name__ == "__main__":
    sys.exit(main())
