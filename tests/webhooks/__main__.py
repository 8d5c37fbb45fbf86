"""`python -m tests.webhooks`: the figures of webhooks at full size.

vectors                          published deliveries, judged as published
libraries --count 1000           bodies that each sender's own library signs, sent to a server on a real Valkey
mutations --count 1000000        changed headers
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from flowlang.store.redis import RedisStore
from flowlang.worker.embedded import EmbeddedServer
from tests.webhooks import vectors
from tests.webhooks.libraries import LIBRARIES, Served, hold
from tests.webhooks.mutations import mutate


def main(arguments: list[str] | None = None) -> int:
    """Run one of them; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.webhooks", description=__doc__)
    parser.add_argument("what", choices=["vectors", "libraries", "mutations"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    match given.what:
        case "vectors":
            return _vectors()
        case "libraries":
            return _libraries(given.count or 1000, given.seed)
        case _:
            return _mutations(given.count or 1_000_000, given.seed)


def _vectors() -> int:
    cases = vectors.vectors()
    if not cases:
        print(f"{vectors.VECTORS} is not here")
        return 2
    wrong = vectors.wrong(cases)
    print(f"{len(cases) - len(wrong)}/{len(cases)}", *wrong)
    return bool(wrong)


def _libraries(count: int, seed: int) -> int:
    wrong = 0
    logging.getLogger("flowlang").setLevel(logging.ERROR)  # each false one is a warning
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder)) as server:
        served = Served(RedisStore(server.database_url(0)))
        try:
            for name in LIBRARIES:
                told = hold(served, name, count, seed)
                wrong += len(told.wrong)
                print(
                    f"{name}: {count} bodies, {told.taken} taken, {told.refused} false ones refused, {len(told.wrong)} wrong"
                )
                for each in told.wrong[:5]:
                    print(f"  {each}")
            print(f"stored: {served.service.counters['webhooks.accepted']} of {count * len(LIBRARIES)} events")
        finally:
            served.close()
    return bool(wrong)


def _mutations(count: int, seed: int) -> int:
    found = mutate(count, seed)
    for kind, tried in sorted(found.tried.items()):
        print(f"{kind}: {tried} changed headers, {found.taken[kind]} that say the same taken")
    print(f"{found.tried.total()} changed headers, {len(found.raised)} exceptions, {len(found.false)} false accepts")
    for each in (*found.raised[:5], *found.false[:5]):
        print(f"  {each[:300]}")
    return bool(found.raised or found.false)


if __name__ == "__main__":
    sys.exit(main())
