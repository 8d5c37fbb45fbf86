"""The command line as people use it: a new project is made, checked, run, changed and stopped, in real processes."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
import pytest
import redis

from tests.e2e.waiting import until

FLOWLANG = [sys.executable, "-m", "flowlang"]

#: Longest wait for a line of a running command; it is only waited for in a test that fails. Seconds.
PATIENCE_S = 60


def environment(**variables: str) -> dict[str, str]:
    """Ours without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
    return {**kept, **variables}


def call(
    folder: Path, *arguments: str, status: int = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*FLOWLANG, *arguments],
        cwd=folder,
        env=environment(**env or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def read(folder: Path, *arguments: str, status: int = 0, env: dict[str, str] | None = None) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(call(folder, *arguments, "--json", status=status, env=env).stdout)
    return content


class Running:
    """A command that goes on, with its lines of JSON."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.talk = (folder / "talk.txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*FLOWLANG, *arguments, "--json"],
            cwd=folder,
            env=environment(**variables),
            stdout=subprocess.PIPE,
            stderr=self.talk,
            text=True,
        )
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def await_event(self, name: str) -> dict[str, Any]:
        """Read on until this event."""
        seen: list[str] = []
        while True:
            try:
                seen.append(self._lines.get(timeout=PATIENCE_S))
            except Empty:
                self.talk.seek(0)
                raise AssertionError(f"no event {name!r} after {seen}; it said: {self.talk.read()}") from None
            content: dict[str, Any] = json.loads(seen[-1])
            assert content["schema_version"] == 1
            if content["event"] == name:
                return content

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask for the end and give the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self._reader.join()
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.talk.close()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A new project."""
    call(tmp_path, "new", "shop")
    return tmp_path / "shop"


@pytest.fixture
def dev(shop: Path) -> Iterator[Running]:
    """`flowlang dev` on it."""
    running = Running(shop, "dev", "--port", "0", "--processes", "1", "--threads", "2")
    yield running
    running.close()


def test_a_new_project_validates_and_passes_its_own_tests(shop: Path) -> None:
    assert read(shop, "validate")["summary"]["errors"] == 0
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkey", "-p", "no:randomly"],
        cwd=shop,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout


def test_all_findings_of_all_files_are_shown_at_once(shop: Path) -> None:
    pipeline = shop / "pipelines/welcome.yaml"
    pipeline.write_text(pipeline.read_text().replace("greetings.write", "greetings.writen1"))
    (shop / "pipelines/second.yaml").write_text("flowlang: 1\npipeline: second\nstpes: []\n")
    shown = call(shop, "validate", "--format", "concise", status=1).stdout
    assert "pipelines/second.yaml:3:1: error:" in shown
    assert "pipelines/welcome.yaml:9:11: error:" in shown
    assert "^" in call(shop, "validate", status=1).stdout
    call(shop, "validate", "nowhere.yaml", status=2)


def test_dev_runs_everything_and_leaves_nothing_behind(shop: Path, dev: Running) -> None:
    assert dev.await_event("deployed")["pipelines"]["added"] == ["welcome"]
    ready = dev.await_event("ready")
    assert read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait")["output"] == "Welcome, Ada!"

    request = urllib.request.Request(
        f"{ready['http']}/events",
        data=b'{"name": "member/joined", "data": {"name": "Grace"}}',
        headers={"content-type": "application/json", "authorization": f"Bearer {ready['token']}"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        assert answer.status == 202
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{ready['http']}/runs", timeout=PATIENCE_S)
    kept = shop / ".flowlang/token"
    assert kept.read_text(encoding="ascii").strip() == ready["token"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert read(shop, "send", "member/joined", '{"surname": "Ada"}', status=1)["answer"]["status"] == "invalid"
    names = {check["name"]: check["status"] for check in read(shop, "doctor")["checks"]}
    assert {names[name] for name in ("store", "broker", "deployed", "handlers", "persistence")} == {"ok"}
    assert "in use by another `flowlang dev`" in call(shop, "dev", "--port", "0", status=2).stderr

    children = descendants(dev.process.pid)
    assert len(children) >= 3  # HTTP, a worker, the server
    assert dev.end(signal.SIGINT) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert "no server holds runs" in call(shop, "runs", "list", status=2).stderr


def test_what_was_accepted_is_there_at_the_next_start(shop: Path, dev: Running) -> None:
    token = dev.await_event("ready")["token"]
    run = read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait")["run"]["id"]
    assert dev.end() == 0
    again = Running(shop, "dev", "--port", "0", "--processes", "1")
    try:
        assert again.await_event("deployed")["changed"] is False
        assert again.await_event("ready")["token"] == token
        assert read(shop, "runs", "show", run)["run"]["status"] == "succeeded"
        assert again.end() == 0
    finally:
        again.close()


def test_dev_revives_its_server_and_loses_nothing(shop: Path, dev: Running) -> None:
    dev.await_event("ready")
    run = read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait")["run"]["id"]
    (server,) = [pid for pid in descendants(dev.process.pid) if "valkey-server" in command_of(pid)]
    os.kill(server, signal.SIGKILL)
    dev.await_event("server-restarted")
    assert read(shop, "runs", "show", run)["run"]["status"] == "succeeded"
    assert read(shop, "run", "welcome", "-d", '{"name": "Grace"}', "--wait")["output"] == "Welcome, Grace!"
    assert dev.end() == 0


def test_a_change_is_deployed_and_a_wrong_one_is_not(shop: Path, dev: Running) -> None:
    pipeline, handlers = shop / "pipelines/welcome.yaml", shop / "handlers/greetings.py"
    dev.await_event("ready")
    sound = pipeline.read_text()
    pipeline.write_text(sound.replace("greetings.write", "greetings.writen1"))
    assert dev.await_event("checked")["summary"]["errors"] == 1
    assert read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait")["output"] == "Welcome, Ada!"

    pipeline.write_text(sound.replace("Greet whoever has joined", "Greet everybody"))
    assert dev.await_event("deployed")["changed"] is True

    handlers.write_text(handlers.read_text().replace("Welcome", "Good evening"))
    dev.await_event("restarting")
    dev.await_event("started")
    assert read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait")["output"] == "Good evening, Ada!"
    assert dev.end() == 0


def test_dev_works_on_a_server_that_is_named(shop: Path, redis_url: str, any_broker_url: str) -> None:
    urls = {"FLOWLANG_REDIS_URL": redis_url, "FLOWLANG_BROKER_URL": any_broker_url}
    dev = Running(shop, "dev", "--port", "0", "--processes", "1", **urls)
    try:
        dev.await_event("ready")
        assert not (shop / ".flowlang/valkey").exists()
        assert read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait", env=urls)["output"] == "Welcome, Ada!"
        assert dev.end() == 0
    finally:
        dev.close()


def test_serve_starts_when_there_is_a_key_and_two_servers_go_by_its_end(shop: Path, redis_url: str) -> None:
    urls = {"FLOWLANG_REDIS_URL": redis_url, "FLOWLANG_ENV": "production"}
    refused = call(shop, "serve", "--port", "0", status=2, env=urls)
    assert "make the first one with `flowlang api-keys create NAME" in refused.stderr
    call(shop, "deploy", env=urls)
    key = read(shop, "api-keys", "create", "shop", "--send", "member/*", "--read", env=urls)["key"]
    servers = [Running(shop, "serve", "--port", "0", **urls) for _ in range(2)]
    try:
        addresses = [server.await_event("serving")["url"] for server in servers]

        def statuses() -> list[int]:
            headers = {"authorization": f"Bearer {key}"}
            return [httpx.get(f"{url}/runs", headers=headers, trust_env=False).status_code for url in addresses]

        assert statuses() == [200, 200]
        assert read(shop, "api-keys", "list", env=urls)["api_keys"][0]["usable"]
        call(shop, "api-keys", "revoke", "shop", env=urls)
        until(lambda: statuses() == [401, 401], "the end of the key", patience_s=5 + PATIENCE_S)
        assert [server.end() for server in servers] == [0, 0]
    finally:
        for server in servers:
            server.close()


def test_worker_replaces_a_killed_child(shop: Path, redis_url: str, any_broker_url: str) -> None:
    urls = {"FLOWLANG_REDIS_URL": redis_url, "FLOWLANG_BROKER_URL": any_broker_url, "FLOWLANG_LEASE": "1s"}
    worker = Running(shop, "worker", "--deploy", "--processes", "1", **urls)
    try:
        first = worker.await_event("started")
        os.kill(first["pid"], signal.SIGKILL)
        assert worker.await_event("exited")["exit"] == -signal.SIGKILL
        assert worker.await_event("started")["pid"] != first["pid"]
        assert read(shop, "run", "welcome", "-d", '{"name": "Ada"}', "--wait", env=urls)["output"] == "Welcome, Ada!"
        assert worker.end() == 0
    finally:
        worker.close()


def test_a_server_that_throws_runs_away_is_refused_at_every_start(shop: Path, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as server:
        server.config_set("maxmemory-policy", "allkeys-lru")
        try:
            for arguments in (["deploy"], ["worker"], ["serve", "--port", "0"]):
                refused = call(shop, *arguments, status=2, env={"FLOWLANG_REDIS_URL": redis_url})
                assert "throw runs away (allkeys-lru): set `maxmemory-policy noeviction`" in refused.stderr
            named = [sys.executable, "-m", "dramatiq", "flowlang.app", "--processes", "1"]
            variables = environment(FLOWLANG_REDIS_URL=redis_url)
            done = subprocess.run(
                named, cwd=shop, env=variables, capture_output=True, text=True, timeout=PATIENCE_S, check=False
            )
            assert done.returncode != 0
            assert "set `maxmemory-policy noeviction`" in done.stderr
        finally:
            server.config_set("maxmemory-policy", "noeviction")
        assert server.dbsize() == 0


def test_without_a_server_every_command_says_what_to_do(shop: Path) -> None:
    gone = "redis://:hunter2@127.0.0.1:1/0"
    for arguments in (["runs", "list"], ["deploy"], ["worker"], ["serve", "--port", "0"], ["send", "member/joined"]):
        refused = call(shop, *arguments, status=2, env={"FLOWLANG_REDIS_URL": gone})
        assert "the store at redis://:***@127.0.0.1:1/0 does not answer" in refused.stderr
        assert "flowlang dev" in refused.stderr
        assert "hunter2" not in refused.stderr + refused.stdout
        assert "Traceback" not in refused.stderr


def descendants(pid: int) -> list[int]:
    """Processes below one, as Linux and macOS tell."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = [pid]
    for above in found:
        found += [child for child, parent in parents.items() if parent == above]
    return found[1:]


def command_of(pid: int) -> str:
    done = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
