"""The way from commands to the layers below: `flowlang.bootstrap`, loaded when a command needs it.

Owns finding the store when nobody named one (the server of a running `flowlang dev`) and saying what to do when it does
not answer. Nothing else in the command line knows how things are put together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from flowlang.cli.session import Session
from flowlang.clock import random_token
from flowlang.errors import ConfigError, StoreUnavailableError
from flowlang.settings import Settings, safe_url

if TYPE_CHECKING:  # each would load msgspec and more for commands that need none of it
    from flowlang.bootstrap import Health
    from flowlang.compiler import ProjectInput
    from flowlang.compiler.graph import ProjectGraph
    from flowlang.diagnostics import Diagnostic, Suppressed
    from flowlang.engine.fsck import Report
    from flowlang.engine.ports import KeyUse, Rotated
    from flowlang.model import PipelineDocument
    from flowlang.plan import Manifest, Plan
    from flowlang.service import Service
    from flowlang.source import SourceText

#: Where `flowlang dev` keeps what it needs, below the project's folder.
DATA_FOLDER: Final = ".flowlang"

_ADVICE: Final = "start one with `flowlang dev`, or set FLOWLANG_REDIS_URL to a Redis or Valkey server"


class Checked(Protocol):
    """What was found in a project."""

    @property
    def diagnostics(self) -> Iterable[Diagnostic]:
        """All findings of all files."""

    @property
    def suppressed(self) -> Iterable[Suppressed]:
        """Findings that comments leave out."""

    @property
    def sources(self) -> Mapping[str, SourceText]:
        """The files that were read, by path from the project's folder."""


class Project(Checked, Protocol):
    """A loaded project, as far as commands look at it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def pipelines(self) -> Sequence[PipelineDocument]:
        """All documents of all pipeline files, those with mistakes as well."""

    @property
    def graph(self) -> ProjectGraph:
        """Who sends, takes and invokes what."""

    @property
    def plans(self) -> Mapping[str, Plan]:
        """Pipelines without errors, by name."""

    @property
    def manifest(self) -> Manifest | None:
        """What is to be deployed; None when anything has errors."""

    @property
    def inputs(self) -> ProjectInput:
        """What the compiler was given: handlers, schemas of events, documents."""

    @property
    def settings(self) -> Mapping[str, str]:
        """Texts of settings in `flowlang.yaml`, the overlay applied, by key."""


def data_folder(project: Path) -> Path:
    """Folder of the embedded server of a project."""
    return project / DATA_FOLDER / "valkey"


def dev_token(project: Path) -> str:
    """The API key of the project's `flowlang dev`: made at its first start, and kept, as its data are.

    Raises:
        ConfigError: when it can be neither read nor written.
    """
    path = project / DATA_FOLDER / "token"
    try:
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"flk_dev_{random_token(32)}\n")
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot hold the key of `flowlang dev`: {error}; remove it") from error


def located(settings: Settings) -> Settings:
    """The settings with a store: the one that was named, else that of a running `flowlang dev`.

    Raises:
        ConfigError: when there is neither.
    """
    if settings.redis_url is not None:
        return settings
    from flowlang.worker.embedded import running_urls  # noqa: PLC0415 - loads the Redis client

    urls = running_urls(data_folder(settings.project))
    if urls is None:
        raise ConfigError(f"no server holds runs of the project in {settings.project.resolve()}: {_ADVICE}")
    return replace(settings, redis_url=urls[0], broker_url=settings.broker_url or urls[1])


@contextmanager
def open_service(settings: Settings) -> Iterator[Service]:
    """The use cases on the store of the settings.

    Args:
        settings: As `located` gives them.

    Raises:
        StoreUnavailableError: when the store does not answer, then or later; the message says which and what to do.
    """
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    with explained(settings), bootstrap.open_service(settings) as service:
        yield service


@contextmanager
def service_of(session: Session) -> Iterator[Service]:
    """The use cases as the flags and variables of a command say."""
    with open_service(located(session.settings())) as service:
        yield service


@contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Add to the error of a store that does not answer which one it is and what to do."""
    try:
        yield
    except StoreUnavailableError as error:
        url = safe_url(settings.redis_url or "")
        raise StoreUnavailableError(f"the store at {url} does not answer ({error}): {_ADVICE}") from error


def load_project(settings: Settings, *, deploying: bool = False, unsaved: Mapping[str, str] | None = None) -> Project:
    """Read and check the project of the settings.

    Args:
        settings: Name its folder and the environment.
        deploying: Whether the variables that pipelines read as `env` must be there, since they become part of it.
        unsaved: Texts that are read in place of files, by path from the folder.

    Raises:
        ConfigError: when there is none in the folder.
    """
    _refuse_other_folders(settings)
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    project: Project = bootstrap.load_project(
        settings.project, environment=settings.environment, deploying=deploying, unsaved=unsaved
    )
    return project


def check_project(settings: Settings, *, unsaved: Mapping[str, str] | None = None, keep: bool = True) -> Checked:
    """Check the project of the settings.

    Args:
        settings: Name its folder and the environment.
        unsaved: Texts that are read in place of files, by path from the folder.
        keep: Whether to use what was found before, and keep what is found now.

    Raises:
        ConfigError: when there is none in the folder.
    """
    _refuse_other_folders(settings)
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    return bootstrap.check_project(settings.project, environment=settings.environment, unsaved=unsaved, keep=keep)


def _refuse_other_folders(settings: Settings) -> None:
    if not (settings.project / "flowlang.yaml").is_file():
        raise ConfigError(
            f"there is no project in {settings.project.resolve()}: it has no flowlang.yaml. "
            "`flowlang new NAME` makes one; --project names another folder"
        )


def health(settings: Settings, *, thorough: bool = False) -> Health:
    """Facts about the servers, and if `thorough` about a part of what is stored. Raises: StoreUnavailableError."""
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    with explained(settings):
        return bootstrap.health(settings, thorough=thorough)


def key_use(settings: Settings) -> KeyUse:
    """Which keys close how many stored payloads. Raises: StoreUnavailableError."""
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    with explained(settings):
        return bootstrap.key_use(settings)


def rotate_keys(settings: Settings, told: Callable[[int], object]) -> Rotated:
    """Close all data keys with the current key; `told` how many so far. Raises: StoreUnavailableError."""
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    with explained(settings):
        return bootstrap.rotate_keys(settings, told)


def fsck(settings: Settings) -> Report:
    """Check the indexes of the store. Raises: StoreUnavailableError."""
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    with explained(settings):
        return bootstrap.fsck(settings)


def serve(settings: Settings, ready: Callable[[str], None]) -> int:
    """Serve HTTP in this thread until a signal; `ready` is told where. Returns the exit status."""
    from flowlang import bootstrap  # noqa: PLC0415 - see the module's docstring

    with explained(settings):
        return bootstrap.serve(settings, ready=ready)
