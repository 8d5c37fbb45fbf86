"""What `flowlang dev` does: an embedded server, children under a supervisor, and a deploy on each change.

One thread does all of it: it waits for children, looks at the files that have changed, checks, deploys and restarts.
Only the watching of files has a thread of its own.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Final

from flowlang.cli import children
from flowlang.cli.console import Console
from flowlang.cli.deploying import deploy, findings_as_json
from flowlang.cli.shapes import plural
from flowlang.cli.watching import Changes, Watcher
from flowlang.cli.wiring import DATA_FOLDER, Project, data_folder, dev_token, load_project
from flowlang.clock import monotonic_ms
from flowlang.diagnostics import has_errors, render
from flowlang.errors import ConfigError, FlowError
from flowlang.service import NotDeployedError
from flowlang.settings import PRODUCTION, Settings, safe_url
from flowlang.worker.embedded import EmbeddedServer
from flowlang.worker.supervisor import ChildEvent, Supervisor

if TYPE_CHECKING:
    from flowlang.service import Service

#: How often files and servers are looked at, in seconds.
_LOOK_S: Final = 0.2

#: What a child needs beyond its running attempts to end, in seconds.
_MARGIN_S: Final = 5.0


@contextmanager
def stored(settings: Settings) -> Iterator[tuple[Settings, EmbeddedServer | None]]:
    """The store of the settings, or an embedded server for as long as this lasts.

    Raises:
        ConfigError: when the server cannot be started, such as by a second `flowlang dev` on the same project.
    """
    if settings.redis_url is not None:
        yield settings, None
        return
    _own_folder(settings)
    folder = data_folder(settings.project)
    folder.mkdir(exist_ok=True, mode=0o700)
    with EmbeddedServer(folder) as server:
        yield replace(settings, redis_url=server.url, broker_url=settings.broker_url or server.broker_url), server


def with_token(settings: Settings) -> Settings:
    """The settings with an API key for whoever develops: the one that was given, else the project's own.

    Raises:
        ConfigError: when it cannot be kept.
    """
    if settings.dev_token is not None or settings.environment == PRODUCTION:
        return settings
    _own_folder(settings)
    return replace(settings, dev_token=dev_token(settings.project))


def _own_folder(settings: Settings) -> None:
    """Make the folder for what `flowlang dev` keeps, and keep it out of git."""
    folder = settings.project / DATA_FOLDER
    folder.mkdir(exist_ok=True, mode=0o700)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def free_port(settings: Settings) -> Settings:
    """The settings with a port on which nobody listens.

    Raises:
        ConfigError: when the wanted one is taken; said now, before anything is started.
    """
    host, port = settings.http_host, settings.http_port
    try:
        with socket.create_server((host, port), family=_family(host)) as probe:
            return replace(settings, http_port=probe.getsockname()[1])
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"cannot listen on {host}:{port} ({reason}): free it, or give another --port") from None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Development:
    """One session of `flowlang dev`.

    Args:
        console: Where to write.
        settings: With a store and a port.
        service: The use cases on that store.
        server: The embedded server; None when another one is used.
    """

    def __init__(self, console: Console, settings: Settings, service: Service, server: EmbeddedServer | None) -> None:
        self._console = console
        self._settings = settings
        self._service = service
        self._server = server
        self._watcher = Watcher(settings.project)
        self._supervisor = Supervisor(
            [children.http(settings), *children.workers(settings)],
            settings.shutdown.total_seconds() + _MARGIN_S,
            self._told,
        )
        self._tell = children.told(console)
        self._leaving: dict[int, float] = {}  # process that we told to end → when it is killed, in monotonic ms
        self._stopping = False
        self._serving = False
        self._code_changed = False

    def run(self, project: Project) -> bool:
        """Deploy, start, look after all of it until SIGINT or SIGTERM, stop.

        Args:
            project: As loaded at first.

        Returns:
            Whether all children ended in order.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)
        self._watcher.start()
        try:
            self._deploy(project)
            if not self._stopping:
                self._supervisor.start()
            while self._supervisor.poll(_LOOK_S):
                if not self._stopping:
                    self._look()
        finally:
            self._watcher.stop()
            in_order = self._supervisor.stop()
        self._say("stopped", "everything has ended; what was under way goes on at the next start")
        return in_order

    def _asked_to_stop(self, _signum: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._supervisor.request_stop()

    def _look(self) -> None:
        self._revive_server()
        self._end_the_late()
        if not self._serving and self._http_answers():
            self._serving = True
            self._introduce()
        changes = self._watcher.changes()
        if changes is not None:
            self._changed(changes)

    def _changed(self, changes: Changes) -> None:
        named = ", ".join(changes.files[:3]) + (f" and {len(changes.files) - 3} more" if len(changes.files) > 3 else "")
        self._say("changed", f"changed: {named}", files=list(changes.files))
        self._code_changed |= changes.code
        try:
            project = load_project(self._settings, deploying=True)
        except ConfigError as error:
            self._console.fail(str(error))
            return
        if self._deploy(project) and self._code_changed:
            self._code_changed = False
            self._restart_workers()

    def _deploy(self, project: Project) -> bool:
        """Show findings, and deploy when none is an error. Returns whether the project is fit to run."""
        findings = list(project.diagnostics)
        if self._console.as_json:
            self._console.document({"event": "checked", **findings_as_json(project)})
        elif findings:
            self._console.say(render(findings, project.sources, color=self._console.talk_in_color).rstrip())
        if has_errors(findings):
            self._console.warn(f"not deployed: {self._fallback()}")
            return False
        try:
            deployment = deploy(self._service, project)
        except FlowError as error:
            self._console.fail(f"not deployed: {error}; the next change tries again")
            return False
        self._say("deployed", deployment.sentence, **deployment.as_json())
        return True

    def _fallback(self) -> str:
        try:
            return f"epoch {self._service.catalog.epoch} keeps serving until the errors are gone"
        except NotDeployedError:
            return "nothing runs until the errors are gone"

    def _restart_workers(self) -> None:
        self._say("restarting", "handlers have changed: the workers end what they do and start again")
        deadline = monotonic_ms() + (self._settings.shutdown.total_seconds() + _MARGIN_S) * 1000
        for name, pid in self._supervisor.pids().items():
            if name.startswith("worker-") and pid not in self._leaving:
                self._leaving[pid] = deadline
                os.kill(pid, signal.SIGTERM)

    def _end_the_late(self) -> None:
        """Kill workers that were told to end and did not in time; the supervisor replaces them as well."""
        running = set(self._supervisor.pids().values())
        for pid, deadline in list(self._leaving.items()):
            if pid not in running:
                del self._leaving[pid]
            elif monotonic_ms() > deadline:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _revive_server(self) -> None:
        if self._server is not None and self._server.pid is None:
            self._server.restart()
            log = self._server.log_file
            self._say("server-restarted", f"the Valkey server had ended and runs again; {log} says why")

    def _told(self, event: ChildEvent) -> None:
        if event.kind == "exited" and event.pid in self._leaving and not self._console.as_json:
            return  # it was told to
        self._tell(event)

    def _http_answers(self) -> bool:
        host = "::1" if self._settings.http_host == "::" else self._settings.http_host
        host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - nothing is bound here
        with suppress(OSError), socket.create_connection((host, self._settings.http_port), _LOOK_S):
            return True
        return False

    def _introduce(self) -> None:
        settings = self._settings
        host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
        url = f"http://{host}:{settings.http_port}"
        store = safe_url(settings.redis_url or "")
        if self._console.as_json:
            ready = {"event": "ready", "http": url, "store": store, "pid": os.getpid(), "token": settings.dev_token}
            self._console.document(ready)
            return
        kept = f"{data_folder(settings.project)}, kept between starts" if self._server else store
        processes = plural(settings.processes, "process")
        self._console.say(
            f"\nFlowLang runs. Ctrl-C ends it.\n"
            f"  HTTP      {url}  (POST /events, POST /hooks/NAME, GET /runs)\n"
            f"  key       {settings.dev_token or 'as `flowlang api-keys` has made them'}\n"
            f"  store     {kept}\n"
            f"  workers   {processes} with {plural(settings.threads, 'thread')} each\n"
            f"  try       flowlang send EVENT '{{…}}'   flowlang runs list   flowlang doctor\n"
            f"            curl {url}/runs -H 'authorization: Bearer KEY'\n"
        )

    def _say(self, event: str, text: str, **content: object) -> None:
        if self._console.as_json:
            self._console.document({"event": event, **content})
        else:
            self._console.say(text)
