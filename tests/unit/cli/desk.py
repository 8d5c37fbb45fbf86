"""A desk for the command line: its commands on a store in memory, with pipelines that run on virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from flowlang import bootstrap
from flowlang.bootstrap import Health
from flowlang.cli.root import cli
from flowlang.clock import ManualClock
from flowlang.diagnostics import Diagnostic, Suppressed
from flowlang.errors import StoreUnavailableError
from flowlang.plan import EventSchema, EventTrigger, Manifest, Plan, RetryRule, Step, Uses
from flowlang.service import Service
from flowlang.settings import Settings
from flowlang.simulate import SimulatedError, Simulation
from flowlang.source import SourceText
from flowlang.store.memory import MemoryStore

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}


def pipeline(name: str, **more: Any) -> Plan:
    """One step that calls `greet` with the event's name."""
    greet = Uses("greet", {"name": "${{ event.data.name }}"})
    step = Step(0, "greet", greet, retry=((RetryRule(attempts=2, initial_ms=60_000, jitter="none"),),))
    return Plan(pipeline=name, steps=(step,), block=(0,), output="${{ steps.greet.output }}", **more)


WELCOME = pipeline("welcome", triggers=(EventTrigger(("member/joined",)),))
FAREWELL = pipeline("farewell")


#: What a server says of itself that keeps all promises.
SOUND: Mapping[str, Any] = {
    "server": "valkey",
    "version": "9.1.2",
    "role": "master",
    "maxmemory": 0,
    "used_memory": 4_000_000,
    "maxmemory_policy": "noeviction",
    "aof_enabled": True,
    "appendfsync": "everysec",
    "clock_difference_ms": 12,
}


@dataclass
class LoadedProject:
    """A project as loading gives it."""

    plans: Mapping[str, Plan]
    manifest: Manifest | None
    diagnostics: list[Diagnostic] = field(default_factory=list)
    sources: dict[str, SourceText] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    suppressed: list[Suppressed] = field(default_factory=list)


def loaded(*plans: Plan, **more: Any) -> LoadedProject:
    """A project without findings."""
    manifest = Manifest("academy", {plan.pipeline: plan.digest for plan in plans})
    return LoadedProject({plan.pipeline: plan for plan in plans}, manifest, **more)


class Desk:
    """Calls commands and looks at what they write."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.folder = folder
        self.greeted: list[Any] = []
        self.deploying: list[bool] = []  # of each load: whether `env` had to be there
        self.sim = Simulation(
            [WELCOME, FAREWELL],
            {"greet": self._greet},
            schemas=[EventSchema("member/joined", SCHEMA)],
            store=self.store,
            clock=self.clock,
        )
        self.service = Service(self.store, self.sim.sealer, pause=lambda _: None)
        self.away = False
        self.project = loaded(WELCOME, FAREWELL)
        self.server = dict(SOUND)
        monkeypatch.setattr(bootstrap, "health", self._health)
        monkeypatch.setattr(bootstrap, "open_service", self._open)
        monkeypatch.setattr(bootstrap, "load_project", self._load, raising=False)
        monkeypatch.setattr(bootstrap, "check_project", self._check, raising=False)

    def _greet(self, call: Any) -> str:
        self.greeted.append(call.arguments["name"])
        if call.arguments["name"] == "nobody":
            raise SimulatedError("permanent", "greet.nobody", "nobody is there")
        if call.arguments["name"] == "busy":
            raise SimulatedError("transient", "greet.busy", "somebody is busy")
        return f"Welcome, {call.arguments['name']}!"

    def _health(self, _: Settings, *, thorough: bool = False) -> Health:
        del thorough
        if self.away:
            raise StoreUnavailableError("Connection refused")
        return Health(self.server, 0, None, same_server=False)

    @contextmanager
    def _open(self, _: Settings) -> Iterator[Service]:
        if self.away:
            raise StoreUnavailableError("Connection refused")
        yield self.service

    def _load(self, _: Path, *, environment: str, deploying: bool, unsaved: Mapping[str, str] | None) -> LoadedProject:
        assert environment == "development"
        self.deploying.append(deploying)
        return self.project

    def _check(self, _: Path, *, environment: str, unsaved: Mapping[str, str] | None, keep: bool) -> LoadedProject:
        assert environment == "development"
        assert keep
        return self.project

    def call(self, *arguments: str, text: str | None = None, env: Mapping[str, str | None] | None = None) -> Result:
        """Call a command."""
        variables: dict[str, str | None] = {
            "FLOWLANG_REDIS_URL": "redis://:hunter2@store:6379/0",
            "FLOWLANG_PROJECT": str(self.folder),
            "NO_COLOR": None,
            "FORCE_COLOR": None,
            **(env or {}),
        }
        return CliRunner(env=variables).invoke(cli, arguments, input=text, prog_name="flowlang")

    def read(self, *arguments: str, status: int = 0, text: str | None = None) -> dict[str, Any]:
        """Call a command with `--json` and give what it wrote."""
        result = self.call(*arguments, "--json", text=text)
        assert result.exit_code == status, result.output
        content: dict[str, Any] = json.loads(result.stdout)
        assert content.pop("schema_version") == 1
        return content
