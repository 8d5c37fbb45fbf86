"""Pipelines of a project in a Python test: on virtual time, with fakes or the project's own handlers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from flowlang.clock import ManualClock
from flowlang.diagnostics import Severity, render
from flowlang.engine.turn import Call
from flowlang.errors import ConfigError, Snooze
from flowlang.handler.classify import classify
from flowlang.handler.discover import discover
from flowlang.pipeline_tests.real import RealHandlers, simulated
from flowlang.pipeline_tests.scenario import FOREVER_MS
from flowlang.plan import Plan, Uses
from flowlang.project.load import load_project
from flowlang.redaction import Mask
from flowlang.simulate import SimulatedCrash, SimulatedError, SimulatedSnooze, Simulation


@contextmanager
def simulate(
    project: str | os.PathLike[str] = ".",
    handlers: Mapping[str, Any] | None = None,
    *,
    pipelines: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Iterator[Simulation]:
    """Run pipelines of a project on virtual time, in this process.

    Args:
        project: The project's folder.
        handlers: What takes the place of handlers, by name: a function of the call (`call.arguments`, `call.attempt`,
            `call.idempotency_key`) whose result is the output and whose exceptions are treated as a worker treats them;
            or the output itself. Handlers that are not here are the project's own.
        pipelines: Names of those that are deployed; all by default.
        env: What pipelines read as `env` and handlers as `ctx.env`.
        secrets: What pipelines and handlers read as secrets.
        now: When the virtual clock begins, with a time zone.

    Yields:
        The simulation: `send` events or `call` a pipeline, `run_until_idle` or `run_until` a moment, then look at
        `finished(run)`, `calls` and `journal(run)`.

    Raises:
        ConfigError: when the project has errors or there is no such pipeline.
    """
    folder = Path(project)
    variables = dict(env or {})
    loaded = load_project(folder)
    wrong = [item for item in loaded.diagnostics if item.severity is Severity.ERROR]
    if wrong:
        raise ConfigError(f"the project in {folder.resolve()} has errors:\n{render(wrong, loaded.sources)}")
    names = list(loaded.plans) if pipelines is None else list(pipelines)
    unknown = [name for name in names if name not in loaded.plans]
    if unknown:
        raise ConfigError(f"there is no pipeline `{unknown[0]}`; there are {', '.join(loaded.plans)}")
    plans = [msgspec.structs.replace(loaded.plans[name], env=variables, retention_ms=FOREVER_MS) for name in names]
    clock = ManualClock() if now is None else ManualClock(round(now.timestamp() * 1000))
    fakes = {name: _fake(given, secrets or {}) for name, given in (handlers or {}).items()}
    registry = discover(folder).registry
    with RealHandlers(registry, env=variables, secrets=secrets or {}, errors=loaded.errors, clock=clock) as real:

        def own(call: Call) -> Any:
            assert sim.at_work is not None
            return real.call(call, sim.at_work)

        sim = Simulation(
            plans,
            {**dict.fromkeys(_called(plans), own), **fakes},
            schemas=loaded.events,
            manifest=loaded.manifest,
            clock=clock,
            secrets=secrets,
        )
        yield sim


def _called(plans: Sequence[Plan]) -> set[str]:
    verbs = [verb for plan in plans for step in plan.steps for verb in (step.verb, step.undo and step.undo.verb)]
    return {verb.handler for verb in verbs if isinstance(verb, Uses)}


def _fake(given: Any, secrets: Mapping[str, str]) -> Callable[[Call], Any]:
    """A handler of a simulation that stands for a real one."""

    def answer(call: Call) -> Any:
        if not callable(given):
            return given
        try:
            return given(call)
        except (SimulatedError, SimulatedSnooze, SimulatedCrash):
            raise
        except Snooze as snooze:
            raise SimulatedSnooze(round(snooze.seconds * 1000)) from snooze
        except Exception as error:
            failure = classify(error, now=datetime(2030, 1, 1, tzinfo=UTC), table={}, mask=Mask(secrets.values()))
            raise simulated(failure) from error

    return answer
