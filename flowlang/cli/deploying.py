"""From files to the active manifest, with what people are told on the way. `deploy`, `worker` and `dev` share it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowlang.cli.console import Console
from flowlang.cli.shapes import plural
from flowlang.cli.wiring import Project
from flowlang.diagnostics import Format, has_errors, render
from flowlang.service import NotDeployedError

if TYPE_CHECKING:
    from flowlang.service import Service


@dataclass(frozen=True, slots=True)
class Change:
    """What a deploy changes, by pipeline."""

    added: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """In words: `1 new (welcome), 2 unchanged`."""
        parts = [("new", self.added), ("changed", self.updated), ("removed", self.removed)]
        named = [f"{len(names)} {word} ({', '.join(names)})" for word, names in parts if names]
        return ", ".join([*named, f"{len(self.kept)} unchanged"] if self.kept or not named else named)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a deploy did.

    Args:
        epoch: The active one.
        changed: Whether it was raised.
        change: By pipeline.
    """

    epoch: int
    changed: bool
    change: Change

    @property
    def sentence(self) -> str:
        """In words."""
        if not self.changed:
            return f"nothing to deploy: this version is active already (epoch {self.epoch})"
        return f"deployed as epoch {self.epoch}: {self.change.sentence}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"epoch": self.epoch, "changed": self.changed, "pipelines": change_as_json(self.change)}


def change_as_json(change: Change) -> dict[str, list[str]]:
    """For programs: pipelines by what becomes of them."""
    return {
        "added": list(change.added),
        "updated": list(change.updated),
        "removed": list(change.removed),
        "unchanged": list(change.kept),
    }


def deployable(console: Console, project: Project) -> bool:
    """Whether a project has no errors; says what its findings are when it has some."""
    findings = list(project.diagnostics)
    wrong = has_errors(findings)
    if wrong and console.as_json:
        console.document({"deployed": None, **findings_as_json(project)})
    elif findings:
        console.say(render(findings, project.sources, output_format=Format.TEXT, color=console.talk_in_color).rstrip())
    return not wrong


def findings_as_json(project: Project) -> dict[str, Any]:
    """The findings of a project, as `validate --json` writes them."""
    content: dict[str, Any] = json.loads(render(project.diagnostics, project.sources, output_format=Format.JSON))
    return content


def deploy(service: Service, project: Project) -> Deployment:
    """Make a project without errors the active one."""
    assert project.manifest is not None
    change = preview(service, project)
    outcome = service.deploy(project.manifest, project.plans.values())
    return Deployment(outcome.epoch, outcome.changed, change)


def preview(service: Service, project: Project) -> Change:
    """What a deploy of a project without errors would change."""
    assert project.manifest is not None
    local = project.manifest.pipelines
    try:
        service.refresh()
        active = service.catalog.manifest.pipelines
    except NotDeployedError:
        active = {}
    both = sorted(set(local) & set(active))
    return Change(
        added=tuple(sorted(set(local) - set(active))),
        updated=tuple(name for name in both if local[name] != active[name]),
        removed=tuple(sorted(set(active) - set(local))),
        kept=tuple(name for name in both if local[name] == active[name]),
    )


def counted(project: Project) -> str:
    """How much there is: `3 pipelines`."""
    return plural(len(project.plans), "pipeline")
