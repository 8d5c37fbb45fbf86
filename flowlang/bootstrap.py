"""The one place that wires concrete parts together: Redis or memory, the broker, handlers, HTTP.

Everything here is made from `Settings`; commands and entry points call nothing below directly. Heavy parts (Dramatiq,
uvicorn, pydantic) are imported where they are needed, so that a short command stays short.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from flowlang.crashpoints import ARMED, crashpoint
from flowlang.errors import ConfigError, StoreUnavailableError
from flowlang.rates import Rate, parse_rate
from flowlang.settings import NO_RATE, PRODUCTION

if TYPE_CHECKING:
    from pathlib import Path

    import dramatiq

    from flowlang.engine.catalog import Catalog
    from flowlang.engine.fsck import Report
    from flowlang.engine.ports import KeyUse, Rotated, Sealer
    from flowlang.plan import QueueRule
    from flowlang.project import Checked, Project
    from flowlang.server.app import App
    from flowlang.service import KeyRing, Service
    from flowlang.settings import Settings
    from flowlang.store.redis import RedisStore
    from flowlang.worker.process import WorkerProcess, Worn

log = logging.getLogger(__name__)

DEFAULT_QUEUE = "default"

#: Between two tries of a call that has come as a message, while the store is away, seconds.
_CALL_PAUSE_S = 1.0

#: Keys of the store that `doctor` looks at: a part of a large one says enough, and takes no second.
KEYS_LOOKED_AT = 2_000


def load_project(
    folder: Path,
    *,
    environment: str = "development",
    deploying: bool = False,
    unsaved: Mapping[str, str] | None = None,
) -> Project:
    """Read and check a project with the variables of this process's environment.

    Args:
        folder: Where its `flowlang.yaml` is.
        environment: Which overlay applies.
        deploying: Whether variables that pipelines read must be set.
        unsaved: Texts that are read in place of files, by path from the folder.

    Raises:
        ConfigError: when the folder holds no project.
    """
    from flowlang import project  # noqa: PLC0415 - brings pydantic

    return project.load_project(
        folder, environment=environment, environ=os.environ, deploying=deploying, unsaved=unsaved
    )


def check_project(
    folder: Path, *, environment: str = "development", unsaved: Mapping[str, str] | None = None, keep: bool = True
) -> Checked:
    """Check a project; see `project.check_project`."""
    from flowlang import project  # noqa: PLC0415 - brings pydantic

    return project.check_project(folder, environment=environment, unsaved=unsaved, keep=keep)


def open_store(settings: Settings) -> RedisStore:
    """Connect to the store of the settings.

    Raises:
        ConfigError: when no server is named.
    """
    from flowlang.store.redis import RedisStore  # noqa: PLC0415 - brings redis

    if settings.redis_url is None:
        raise ConfigError("no store is named: set FLOWLANG_REDIS_URL, or start one with `flowlang dev`")
    kind: type[RedisStore] = RedisStore
    if ARMED:
        from flowlang.store.crashing import CrashingStore as kind  # noqa: N813, PLC0415 - only tests crash on purpose
    return kind(settings.redis_url, namespace=settings.namespace, test_clock=settings.is_test)


def open_sealer(settings: Settings) -> Sealer:
    """What closes and opens payloads: with the keys of the settings, where there are any."""
    if not settings.encryption_keys.current:
        from flowlang.store.codec import PlainSealer  # noqa: PLC0415 - brings the store

        return PlainSealer()
    from flowlang.store.encryption import EncryptingSealer  # noqa: PLC0415 - brings cryptography

    return EncryptingSealer(settings.encryption_keys, plain=settings.encryption_plain == "accept")


class Hints:
    """Sends hints for queues. The broker is connected at the first one.

    Args:
        settings: Where hints go.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broker: dramatiq.Broker | None = None

    def __call__(self, queue: str) -> None:
        """Send one hint for a queue."""
        from flowlang.actors.broker import hint, make_broker  # noqa: PLC0415 - Dramatiq is slow to import
        from flowlang.actors.factory import GENERIC  # noqa: PLC0415 - the same

        if self._broker is None:
            self._broker = make_broker(_broker_url(self._settings), namespace=self._settings.namespace)
        hint(self._broker, queue, GENERIC)

    def close(self) -> None:
        """Close the connections, when there are any; nobody may send any more."""
        if self._broker is not None:
            self._broker.close()


@contextmanager
def open_service(settings: Settings) -> Iterator[Service]:
    """The use cases on the store of the settings.

    Raises:
        ConfigError: when no server is named.
        StoreUnavailableError: when it does not answer.
    """
    from flowlang.forecast import forecast  # noqa: PLC0415 - brings msgspec and the interpreter
    from flowlang.service import Service  # noqa: PLC0415 - brings msgspec and validators
    from flowlang.worker.ringer import Ringer  # noqa: PLC0415 - the same

    store = open_store(settings)
    hints = Hints(settings)
    ringer = Ringer(hints)
    ringer.start()
    try:
        yield Service(store, open_sealer(settings), salt=store.salt(), ring=ringer.ring, forecaster=forecast)
    finally:
        ringer.stop()
        hints.close()
        store.close()


@dataclass(frozen=True, slots=True)
class Health:
    """Facts about the servers, for `doctor` and for warnings at start.

    Attributes:
        store: What the store's server says of itself; see `store.redis_health`.
        test_clock_ms: Number at the store's test clock; 0 when there is none.
        broker_error: Why the broker cannot be reached, without a password; None when it can.
        same_server: Broker and store are one database, which mixes their keys.
        keyrings: Which encryption keys the running processes have; see `Keyring.marks`.
        key_use: How many payloads are closed with which key, of those that were looked at; None: nobody asked.
    """

    store: Mapping[str, Any]
    test_clock_ms: int
    broker_error: str | None
    same_server: bool
    keyrings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key_use: KeyUse | None = None


def health(settings: Settings, *, thorough: bool = False) -> Health:
    """Look at the servers of the settings.

    Args:
        settings: Name them.
        thorough: Whether to look at stored payloads as well, at a part of them.

    Raises:
        ConfigError: when no server is named.
        StoreUnavailableError: when the store does not answer.
    """
    from flowlang.actors.broker import reachable  # noqa: PLC0415 - Dramatiq is slow to import
    from flowlang.settings import same_database  # noqa: PLC0415 - see the module's docstring

    store = open_store(settings)
    try:
        return Health(
            store=store.health(),
            test_clock_ms=store.test_clock_ms(),
            broker_error=reachable(_broker_url(settings)),
            same_server=same_database(_broker_url(settings), settings.redis_url or ""),
            keyrings=store.announced_keys(),
            key_use=store.key_use(settings.encryption_keys, KEYS_LOOKED_AT) if thorough else None,
        )
    finally:
        store.close()


def fsck(settings: Settings) -> Report:
    """Check that all indexes of the store of the settings say what the rows of runs say.

    Raises:
        ConfigError: when no server is named.
        StoreUnavailableError: when it does not answer.
    """
    from flowlang.store.fsck import check_server  # noqa: PLC0415 - brings redis

    store = open_store(settings)
    try:
        return check_server(
            settings.redis_url or "", namespace=settings.namespace, now_ms=store.now_ms, pause=threading.Event().wait
        )
    finally:
        store.close()


def key_use(settings: Settings) -> KeyUse:
    """Count stored payloads by the keys that close them. Raises: ConfigError, StoreUnavailableError."""
    store = open_store(settings)
    try:
        return store.key_use(settings.encryption_keys)
    finally:
        store.close()


def rotate_keys(settings: Settings, told: Callable[[int], object]) -> Rotated:
    """Close the data keys of all stored payloads with the first key of the settings.

    Args:
        settings: Name the store and the keys.
        told: Is told how many were closed so far.

    Raises:
        ConfigError: when no server is named.
        StoreUnavailableError: when it does not answer; called again, it goes on.
    """
    store = open_store(settings)
    try:
        return store.rotate_keys(settings.encryption_keys, told)
    finally:
        store.close()


def serve(settings: Settings, *, ready: Callable[[str], None]) -> int:
    """Serve HTTP on this thread until SIGTERM or SIGINT.

    Args:
        settings: Where to listen, and the store.
        ready: Called with the address once it listens.

    Returns:
        The exit status.

    Raises:
        ConfigError: when the port is taken, the server extra is not installed, or nobody has a key.
    """
    from flowlang.handler.env import Env  # noqa: PLC0415 - only this command reads secrets
    from flowlang.store.announcing import Announcer  # noqa: PLC0415 - see the module's docstring

    try:
        from flowlang.server.addresses import holder_of  # noqa: PLC0415 - with what follows
        from flowlang.server.app import create_app  # noqa: PLC0415 - uvicorn is slow to import and an extra
        from flowlang.server.gate import loopback_hosts  # noqa: PLC0415 - the same
        from flowlang.server.limits import Limits, Rates  # noqa: PLC0415 - the same
        from flowlang.server.run import HttpServer  # noqa: PLC0415 - the same
    except ModuleNotFoundError as error:
        raise ConfigError(f"serving HTTP needs {error.name}: pip install 'flowlang-pipelines[server]'") from error
    with open_service(settings) as service:
        service.check_durable()
        keys = _key_ring(settings, service)
        secrets = Env(places=lambda: _secret_places(service)).secrets
        hosts = loopback_hosts(settings.http_host, settings.http_hosts)
        rates = Rates(_rate(settings.rate_ip), _rate(settings.rate_key), _rate(settings.rate_webhook))
        limits = Limits(service.budgets, rates, settings.http_proxies)
        app = create_app(service, secrets=secrets, keys=keys, hosts=hosts, limits=limits)
        _report_webhooks(app, service)
        server = HttpServer(
            app,
            settings.http_host,
            settings.http_port,
            connections=settings.http_connections,
            of_one=settings.http_connections_ip,
            whose=partial(holder_of, proxies=settings.http_proxies),
        )
        crashpoint("serve.listening")
        ready(server.url)
        with Announcer(cast("RedisStore", service.store), "server", settings.encryption_keys.marks()):
            server.run()
        crashpoint("serve.ended")
    return 0


def _rate(text: str) -> Rate | None:
    """The bound that a setting names."""
    return None if text == NO_RATE else parse_rate(text)


def _key_ring(settings: Settings, service: Service) -> KeyRing:
    """Whose an API key is. Raises: ConfigError, where the settings or the store let nobody in, or too many."""
    from flowlang.service import KeyRing  # noqa: PLC0415 - see the module's docstring

    if settings.dev_token is not None and settings.environment == PRODUCTION:
        raise ConfigError(
            "FLOWLANG_DEV_TOKEN is for development, and this is production: unset it, and make keys with "
            "`flowlang api-keys create`"
        )
    keys = KeyRing(service.store, dev_token=settings.dev_token)
    if keys.is_empty:
        raise ConfigError(
            "there is no API key that could be used, so nobody could send anything: make the first one with "
            "`flowlang api-keys create NAME --send '*' --call '*' --read --control`"
        )
    return keys


def _report_webhooks(app: App, service: Service) -> None:
    """Log what is wrong with the secrets of webhooks before a sender finds out."""
    from flowlang.service import NotDeployedError  # noqa: PLC0415 - see the module's docstring

    with suppress(NotDeployedError):
        for sentence in app.hooks.check(service.catalog):
            log.error("%s", sentence)


class WorkerRuntime:
    """A worker process on Dramatiq: its broker, its actors, and the process behind them.

    The process is made when the worker boots, which is after any fork.

    Args:
        settings: Of the process.
        on_worn: Called once, with the reason, when the process should `retire` and be replaced. By default it goes on
            without the threads that do not come back, and ends where it cannot go on.
    """

    def __init__(self, settings: Settings, on_worn: Callable[[Worn], object] | None = None) -> None:
        from dramatiq.middleware import CurrentMessage  # noqa: PLC0415 - Dramatiq is slow to import

        from flowlang.actors.broker import FlowBroker, Lifecycle, make_broker  # noqa: PLC0415 - the same
        from flowlang.service import Service  # noqa: PLC0415 - see the module's docstring
        from flowlang.store.announcing import Announcer  # noqa: PLC0415 - the same

        self._settings = settings
        self._on_worn = on_worn or _end_if_lost
        lifecycle = Lifecycle(on_boot=self._boot, on_stop=self._stop, on_stopped=self._stopped)
        self.broker = make_broker(
            _broker_url(settings), namespace=settings.namespace, middleware=[CurrentMessage(), lifecycle]
        )
        if isinstance(self.broker, FlowBroker):
            self.broker.on_hint = self._expect
        self._store = open_store(settings)
        self._sealer = open_sealer(settings)
        self._service = Service(self._store, self._sealer, salt=self._store.salt(), ring=self._ring)
        self._announcer = Announcer(self._store, "worker", settings.encryption_keys.marks())
        self._hints = Hints(settings)
        self._process: WorkerProcess | None = None
        self._stopping = threading.Event()
        self._queues: tuple[str, ...] = ()
        self._rules: Mapping[str, QueueRule] = {}
        self._errors: dict[str, Any] = {}
        self._declare()

    def work(self, queue: str) -> None:
        """Work on all queues until there is nothing ready. A hint for `queue` has rung."""
        if self._process is not None:
            self._process.work(queue)

    def _expect(self, queue: str) -> None:
        if self._process is not None:
            self._process.expect(queue)

    def call(self, pipeline: str, data: Any, message: str) -> None:
        """Start a pipeline by name, once for each id of a message; while the store is away, this waits for it.

        Raises:
            StoreUnavailableError: when the process is stopping, and the store is still away.
            FlowError: when nothing can be started: no such pipeline, data that do not fit, no room.
        """
        while True:
            try:
                self._service.call(pipeline, data, key=f"dramatiq/{message}", source="dramatiq")
            except StoreUnavailableError as error:
                log.warning("a call of %s waits, since the store does not answer (%s)", pipeline, error)
                if self._stopping.wait(_CALL_PAUSE_S):
                    raise
            else:
                return

    def retire(self) -> None:
        """Begin to end a process that is to be replaced, before its worker is stopped."""
        if self._process is not None:
            self._process.retire()

    def queues(self) -> tuple[str, ...]:
        """The queues that this process serves, best first, by the manifest that was last read."""
        return self._queues

    def rules(self) -> Mapping[str, QueueRule]:
        """What the project says of the queues, by the manifest that was last read."""
        return self._rules

    def _served(self, catalog: Catalog | None) -> tuple[str, ...]:
        if self._settings.queues:
            return self._settings.queues
        if catalog is None:
            return (DEFAULT_QUEUE,)
        rules = _rules(catalog)
        return tuple(sorted(rules, key=lambda name: (rules[name].order, name)))

    def _ring(self, rings: Mapping[str, int]) -> None:
        if self._process is not None:
            self._process.ring(rings)

    def _declare(self) -> None:
        """Take over the active manifest: its actors and errors; a running worker begins to listen on new queues."""
        from flowlang.actors.factory import declare_actors  # noqa: PLC0415 - Dramatiq is slow to import

        catalog = self._catalog()
        starters = () if catalog is None else tuple(catalog.pipelines())
        queues = self._queues = self._served(catalog)
        self._rules = {} if catalog is None or not catalog.manifest.queues else _rules(catalog)
        errors = {} if catalog is None else catalog.manifest.errors
        self._errors.update(errors)  # in place: a running process goes by it
        for name in self._errors.keys() - errors.keys():
            del self._errors[name]
        pipelines = {
            starter.pipeline: starter.program.plan.queue for starter in starters if starter.program.plan.queue in queues
        }
        declare_actors(self.broker, self, pipelines, queues)

    def _boot(self, worker: dramatiq.Worker) -> None:
        from flowlang.handler.discover import discover  # noqa: PLC0415 - imports users' code
        from flowlang.handler.env import Env  # noqa: PLC0415 - only a worker that runs reads secrets
        from flowlang.service.active import Active  # noqa: PLC0415 - see the module's docstring
        from flowlang.worker.process import WorkerProcess  # noqa: PLC0415 - brings pydantic

        found = discover(self._settings.project)
        for problem in found.problems:
            log.warning("%s:%s: %s", problem.path, problem.line, problem.message)
        self._process = WorkerProcess(
            self._store,
            Active(self._store, self._service.catalogs, self._sealer),
            self._sealer,
            found.registry,
            ring=self._hints,
            fire_crons=self._fire_crons,
            send_delayed=self._send_delayed,
            queues=self.queues,
            rules=self.rules,
            env=Env(places=lambda: _secret_places(self._service)),
            threads=worker.worker_threads,
            lease_ms=round(self._settings.lease.total_seconds() * 1000),
            errors=self._errors,
            on_epoch=self._declare,
            on_worn=self._on_worn,
            shutdown_ms=round(self._settings.shutdown.total_seconds() * 1000),
        )
        self._process.start()
        self._announcer.start()
        _settle_down()

    def _stop(self, _: dramatiq.Worker) -> None:
        self._stopping.set()
        if self._process is not None:
            self._process.stop_claiming()

    def _stopped(self, _: dramatiq.Worker) -> None:
        if self._process is not None:
            self._process.close()
        self._announcer.stop()
        self._hints.close()
        self._store.close()

    def _fire_crons(self) -> None:
        catalog = self._catalog()
        if catalog is not None and catalog.crons:
            self._service.tick_crons()

    def _send_delayed(self) -> None:
        if self._catalog() is not None:
            self._service.send_delayed()

    def _catalog(self) -> Catalog | None:
        """What is deployed, if anything is."""
        from flowlang.service import NotDeployedError  # noqa: PLC0415 - see the module's docstring

        try:
            return self._service.catalog
        except NotDeployedError:
            return None


def _settle_down() -> None:
    """Set the interpreter up for a process that runs steps for a long time, after all that it needs has been imported.

    What was imported stays, so the collector need not look at it again and again; a step makes some hundred objects
    that soon go by themselves, so it need not look after every other step either. The thread that sends flushes must
    not wait for its turn until all of the other threads' short tasks are done: that takes as long as the flush.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    sys.setswitchinterval(0.002)


def _end_if_lost(why: Worn) -> None:
    if why == "history":
        os.kill(os.getpid(), signal.SIGTERM)


def _secret_places(service: Service) -> tuple[str, ...]:
    """Where secrets are looked up, as it is deployed."""
    from flowlang.handler.env import PLACES  # noqa: PLC0415 - see the module's docstring
    from flowlang.service import NotDeployedError  # noqa: PLC0415 - the same

    try:
        return service.catalog.manifest.secrets
    except NotDeployedError:
        return PLACES


def _rules(catalog: Catalog) -> dict[str, QueueRule]:
    """The queues that the active pipelines use or the project names, with what it says of them."""
    from flowlang.plan import QueueRule, queues_of  # noqa: PLC0415 - see the module's docstring

    used = {DEFAULT_QUEUE}.union(*(queues_of(starter.program.plan) for starter in catalog.pipelines()))
    return dict.fromkeys(used, QueueRule()) | catalog.manifest.queues


def _broker_url(settings: Settings) -> str:
    url = settings.broker
    if url is None:
        raise ConfigError("no broker is named: set FLOWLANG_REDIS_URL or FLOWLANG_BROKER_URL")
    return url
