"""What is said twice, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowlang.engine.fsck.findings import Finding
from flowlang.engine.reference.tables import SEP


def judge_pair(code: str, member: str, first: tuple[str, bool], second: tuple[str, bool]) -> Finding | None:
    """Find what is in one of two places that always have the same.

    Args:
        code: Of the finding.
        member: What is looked for.
        first: Name of a place, and whether it is there.
        second: The same of the other.
    """
    if first[1] == second[1]:
        return None
    there, missing = (first[0], second[0]) if first[1] else (second[0], first[0])
    return Finding(code, member.replace(SEP, "|"), f"it is in {there} and not in {missing}")


def judge_counts(code: str, said: Mapping[str, int], found: Mapping[str, int]) -> Iterator[Finding]:
    """Find counters that say something else than was counted."""
    for name in sorted(said.keys() | found.keys()):
        if said.get(name, 0) != found.get(name, 0):
            what = f"{said.get(name, 0)} are counted, {found.get(name, 0)} are there"
            yield Finding(code, name.replace(SEP, "|"), what)
