"""The stage in this process: the memory store, a virtual clock, and the project's own handlers."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from flowlang.clock import ManualClock
from flowlang.engine.ports import Sealer, Store
from flowlang.engine.turn import Call
from flowlang.handler.discover import discover
from flowlang.pipeline_tests.expect import SeenCall
from flowlang.pipeline_tests.real import RealHandlers
from flowlang.simulate import Simulation
from tests.language.table import BEGIN_MS, FOLDER, PROJECT


class Simulated:
    """See `Stage`; a context manager.

    Args:
        sealer: Of the store; it leaves payloads as they are when none is given.
    """

    def __init__(self, sealer: Sealer | None = None) -> None:
        clock = ManualClock(BEGIN_MS)
        registry = discover(FOLDER, entry_points=False).registry
        self._handlers = RealHandlers(registry, env={}, secrets={}, errors=PROJECT.errors, clock=clock)
        self._calls: list[tuple[str, SeenCall]] = []
        self._sim = Simulation(
            list(PROJECT.plans.values()),
            dict.fromkeys(registry, self._answer),
            schemas=PROJECT.events,
            manifest=PROJECT.manifest,
            clock=clock,
            sealer=sealer,
        )

    def __enter__(self) -> Self:
        self._handlers.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handlers.__exit__(kind, error, trace)

    @property
    def store(self) -> Store:
        return self._sim.store

    @property
    def sealer(self) -> Sealer:
        return self._sim.sealer

    def send(self, name: str, data: Any) -> list[str]:
        return self._sim.send(name, data)

    def call(self, pipeline: str, data: Any) -> str:
        return self._sim.call(pipeline, data)

    def run_until(self, at_ms: int) -> None:
        self._sim.run_until(at_ms)

    def run_until_idle(self) -> None:
        self._sim.run_until_idle()

    def jump(self, at_ms: int) -> None:
        self._sim.clock.advance(at_ms - self._sim.store.now_ms())
        self._sim.tick()

    def calls(self) -> Sequence[tuple[str, SeenCall]]:
        return self._calls

    def _answer(self, call: Call) -> Any:
        row = self._sim.at_work
        assert row is not None
        self._calls.append((row.run, SeenCall(call.handler, call.instance, call.attempt, call.arguments)))
        return self._handlers.call(call, row)
