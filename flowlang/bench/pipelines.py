"""The pipeline that is measured: a chain of calls, each of which counts on from the one before."""

from __future__ import annotations

from pathlib import Path

from flowlang.plan import EventTrigger, Plan, Step, Uses

#: Folder of a project with the handler `bench.work`.
PROJECT = Path(__file__).with_name("project")


def chain(length: int, ms: float = 0.0) -> Plan:
    """A pipeline of that many steps, started by `bench/chain-<length>` with `n`.

    Args:
        length: How many steps, one or more.
        ms: How long each call takes.
    """
    given = ["${{ event.data.n }}", *(f"${{{{ steps.s{n}.output }}}}" for n in range(length - 1))]
    steps = tuple(
        Step(n, f"s{n}", Uses("bench.work", {"n": given[n], "ms": ms} if ms else {"n": given[n]}, effect="pure"))
        for n in range(length)
    )
    trigger = EventTrigger((f"bench/chain-{length}",))
    return Plan(f"chain-{length}", steps, tuple(range(length)), triggers=(trigger,))
