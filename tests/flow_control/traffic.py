"""A pipeline under limits, events that come in at given seconds, and what became of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from flowlang.engine.view import instance_key
from flowlang.plan import Plan
from flowlang.simulate import Simulation
from tests.unit.engine.building import T0, Project, plan, sleep, uses

#: How long a run takes that has started, seconds.
RUN_S = 10

#: (second, data) of an event.
Sent = tuple[int, dict[str, Any]]


def limited(**limits: Any) -> Plan:
    """A pipeline that takes ten seconds, under limits."""
    return plan(uses("work"), sleep(f"{RUN_S}s"), on="shop/order", **limits)


@dataclass
class Traffic:
    """What became of events, in their order.

    Attributes:
        fates: `start 10` (second), `skipped`, `into 2` (the event whose run has it), `is 0` (the same run as that of an
            earlier event), or the status of a run that did not start.
        order: The events whose runs started, in the order in which they did.
    """

    project: Simulation
    runs: list[str] = field(default_factory=list)
    fates: list[str] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def started_s(self) -> list[float]:
        """When runs started, seconds from the beginning."""
        return [float(fate.split()[1]) for fate in self.fates if fate.startswith("start ")]


def send(limits: Plan, events: Sequence[Sent]) -> Traffic:
    """Send events at their seconds and run until nothing is left to do."""
    project = Project(limits)
    traffic = Traffic(project)
    for second, data in events:
        if project.elapsed_ms() < second * 1_000:  # those of one second come before any of them can start
            project.run_until(T0 + second * 1_000)
        (run,) = project.send("shop/order", data)
        traffic.runs.append(run)
    project.run_until_idle()
    first = {run: at for at, run in reversed(list(enumerate(traffic.runs)))}
    for at, run in enumerate(traffic.runs):
        traffic.fates.append(_fate(project, run, first) if first[run] == at else f"is {first[run]}")
    event_of = {instance_key(run, "work"): at for run, at in first.items()}
    traffic.order = [event_of[call.idempotency_key] for call in project.calls]
    return traffic


def _fate(project: Project, run: str, first: dict[str, int]) -> str:
    rows = project.store.run(run)
    assert rows is not None
    if rows.row.merged_into is not None:
        return f"into {first[rows.row.merged_into]}"
    if rows.row.started_ms is None:
        return rows.row.status
    return f"start {(rows.row.started_ms - T0) / 1_000:g}"
