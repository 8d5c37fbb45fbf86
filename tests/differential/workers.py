"""Compares in processes of their own: the reference now and then takes its process with it, or does not come back.

A worker writes each seed before it asks the reference, so that the case that ended it is known; it is counted, and the
next worker goes on behind it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final

from tests.differential.compare import COMPARED, Finding, Tally, compare
from tests.differential.generator import generate
from tests.differential.reference import ask, installed

#: What a worker compares before it makes room for the next.
_CASES: Final = 5_000
#: A worker that says nothing for so long is ended; a case takes some milliseconds.
_PATIENCE_S: Final = 240
#: The reference gives away a reference to None with each None that it converts; these are for it.
_NONES: Final = 3_000_000

CRASHED: Final = "the reference crashed or hung"


def work(first: int, count: int, out: IO[str]) -> None:
    """Compare, and write a line for each case that begins and one for the tally at the end."""
    kept = [None] * _NONES
    tally = Tally()
    for seed in range(first, first + count):
        out.write(f"{seed}\n")
        out.flush()
        tally.add(compare([generate(seed)], reference=ask if installed() else None))
    findings = [(finding.what, finding.seed, finding.ours, finding.theirs) for finding in tally.findings]
    out.write(json.dumps({"counts": tally.counts, "explained": tally.explained, "findings": findings}) + "\n")
    out.flush()
    del kept


def run(first: int, count: int, processes: int = 1, tell: Callable[[int], None] = lambda _: None) -> Tally:
    """Compare the cases of so many seeds, in workers.

    Args:
        first: The first seed.
        count: How many.
        processes: How many workers at a time.
        tell: Is told, now and then, how many have been compared.
    """
    tally = Tally()
    starts = range(first, first + count, _CASES)
    with ThreadPoolExecutor(processes) as threads:
        for part in threads.map(lambda start: _part(start, min(_CASES, first + count - start)), starts):
            tally.add(part)
            tell(tally.counts[COMPARED])
    return tally


def _part(position: int, count: int) -> Tally:
    """Compare some cases; what crashes the reference is counted as compared."""
    tally, end = Tally(), position + count
    while position < end:
        done, last = _worker(position, end - position)
        if done is not None:
            tally.add(done)
            break
        if last > position:  # what came before the crash is compared again, by a worker that ends
            again, _ = _worker(position, last - position)
            tally.add(again or Tally())
        tally.counts[COMPARED] += 1
        tally.counts[CRASHED] += 1
        position = last + 1
    return tally


def _worker(first: int, count: int) -> tuple[Tally | None, int]:
    """Run a worker; the answer is its tally, or None and the seed that ended it."""
    command = [sys.executable, "-m", "tests.differential", "--worker", "--seed", str(first), "--count", str(count)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
        lines = done.stdout.splitlines()
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b"").decode().splitlines()  # bytes, whatever was asked for
    if lines and lines[-1].startswith("{"):
        answer = json.loads(lines[-1])
        findings = [Finding(what, seed, ours, theirs) for what, seed, ours, theirs in answer["findings"]]
        return Tally(Counter(answer["counts"]), Counter(answer["explained"]), findings), first + count
    return None, int(lines[-1]) if lines else first
