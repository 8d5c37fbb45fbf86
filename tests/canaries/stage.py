"""One performance: the project with its processes on a real server, everything done with it, and all that came out."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from unittest import mock

import httpx
import redis
from click.testing import CliRunner

from flowlang.cli.root import cli
from flowlang.clock import SystemClock
from flowlang.redaction import Mask, spellings
from flowlang.worker.embedded import EmbeddedServer
from tests.e2e.waiting import until
from tests.standin.webhooks import encode, standard_headers

PROJECT: Final = Path(__file__).with_name("project")
MODES: Final = ("ok", "bug", "permanent", "transient", "invalid", "late", "expression", "wait")

#: What a process is started with when nothing is to be hidden.
_BARE: Final = (
    "import sys; from flowlang.redaction import Mask; Mask.text = Mask.tree = lambda self, value: value; "
    "from runpy import run_module; sys.argv = sys.argv[1:]; run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class Canaries:
    """Values that nothing else has."""

    card: str = field(default_factory=lambda: f"4242{secrets.randbelow(10**12):012}")
    pin: int = field(default_factory=lambda: 10**8 + secrets.randbelow(10**9))
    email: str = field(default_factory=lambda: f"zoë+{secrets.token_hex(6)}@example.com")
    phone: str = field(default_factory=lambda: f"+49 ({secrets.randbelow(10**9):09})")
    iban: str = field(default_factory=lambda: f"DE{secrets.randbelow(10**18):018}")
    token: str = field(default_factory=lambda: f"tok/{secrets.token_urlsafe(12)}==")
    sku: str = field(default_factory=lambda: f"sku-{secrets.token_hex(6)}")
    secrets: Mapping[str, str] = field(
        default_factory=lambda: {
            "API_KEY": f"sk_live_{secrets.token_urlsafe(15)}/+\"'",
            "OTHER_KEY": f"other {secrets.token_hex(8)}",
            "CRM_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
            "OTLP_KEY": secrets.token_hex(12),
            "POSTHOG_KEY": f"phc_{secrets.token_hex(12)}",
        }
    )

    def sensitive(self) -> list[str]:
        """Values of marked fields."""
        return [self.card, str(self.pin), self.email, self.phone, self.iban, self.token]

    def paid(self, mode: str) -> dict[str, Any]:
        """The data of an event that is charged for."""
        card = {"number": self.card, "pin": self.pin}
        return {"mode": mode, "sku": self.sku, "email": self.email, "card": card, "people": [{"phone": self.phone}]}


def hits(content: bytes, values: list[str]) -> set[str]:
    """The values that stand in some spelling in bytes."""
    return {value for value in values if any(spelling.encode() in content for spelling in spellings(value))}


@dataclass
class Traces:
    """All that came out, by where; and what must be there so that it means anything."""

    places: dict[str, bytes]
    revealed: bytes
    statuses: dict[str, int]
    dead: int
    key: str  #: of the API


def perform(folder: Path, canaries: Canaries, *, keys: str = "", masked: bool = True) -> Traces:
    """Do everything once.

    Args:
        folder: For the server and for what processes write.
        canaries: What is sent through.
        keys: `FLOWLANG_ENCRYPTION_KEYS`.
        masked: Whether anything is hidden; without, what is looked for must be found.
    """
    with ExitStack() as stack:
        if not masked:
            stack.enter_context(mock.patch.object(Mask, "text", _bare))
            stack.enter_context(mock.patch.object(Mask, "tree", _bare))
        stage = stack.enter_context(_Stage.open(folder, canaries, keys, masked=masked))
        stage.act()
        stage.look()
        return stage.leave()


def _bare(_: Mask, value: Any) -> Any:
    return value


class _Stage:
    def __init__(self, server: EmbeddedServer, folder: Path, canaries: Canaries, environ: dict[str, str]) -> None:
        self.server = server
        self.folder = folder
        self.canaries = canaries
        self.environ = environ
        self.answers: list[bytes] = []
        self.written: list[str] = []
        self.events: list[str] = []
        self.collector: _Collector
        self.key = ""
        self.second: Callable[[], None]
        self.http: httpx.Client
        self.processes: list[subprocess.Popen[bytes]] = []
        self.runs: list[dict[str, Any]] = []

    @classmethod
    @contextmanager
    def open(cls, folder: Path, canaries: Canaries, keys: str, *, masked: bool) -> Iterator[_Stage]:
        """Start everything, and stop it in the end."""
        with EmbeddedServer(folder / "server") as server, _Collector() as collector:
            kept = {name: value for name, value in os.environ.items() if not name.startswith("FLOWLANG_")}
            environ = {
                **kept,
                "FLOWLANG_REDIS_URL": server.url,
                "FLOWLANG_PROJECT": str(PROJECT),
                "FLOWLANG_ENCRYPTION_KEYS": keys,
                "FLOWLANG_LOG_LEVEL": "debug",
                "FLOWLANG_THREADS": "2",
                "COLLECTOR": collector.url,
            }
            stage = cls(server, folder, canaries, environ)
            stage.collector = collector
            try:
                stage.command("deploy")
                grants = ("--send", "*", "--call", "*", "--read", "--control")
                stage.key = stage.document("api-keys", "create", "canaries", *grants, keep=False)["key"]
                told = {**canaries.secrets, "SLACK_HOOK": f"{collector.url}/slack", "TOKEN": canaries.token}
                stage.start("worker-text", "flowlang.app", masked=masked, told=told)
                json_lines = {**told, "FLOWLANG_LOG": "json"}
                stage.second = lambda: stage.start("worker-json", "flowlang.app", masked=masked, told=json_lines)
                stage.start("server", "flowlang", "serve", "--port", "0", masked=masked, told=told)
                url, about = until(stage.url, "the server"), {"authorization": f"Bearer {stage.key}"}
                with httpx.Client(base_url=url, headers=about, trust_env=False, timeout=60) as stage.http:
                    yield stage
            finally:
                stage.stop()

    def start(self, name: str, *module: str, masked: bool, told: Mapping[str, str]) -> None:
        argv = ("-m", *module) if masked else ("-c", _BARE, *module)
        with (self.folder / f"{name}.txt").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, *argv], env={**self.environ, **told}, stdout=out, stderr=subprocess.STDOUT
            )
        self.processes.append(process)

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()
        self.processes = []

    def url(self) -> str | None:
        found = re.search(r"serving on (http://\S+)", (self.folder / "server.txt").read_text(encoding="utf-8"))
        return found[1] if found else None

    def command(self, *arguments: str, keep: bool = True) -> str:
        result = CliRunner(env={**self.environ, "NO_COLOR": "1"}).invoke(cli, arguments, prog_name="flowlang")
        assert result.exit_code in {0, 1}, (arguments, result.output, result.exception)
        if keep:
            self.written.append(result.output)
        return result.stdout

    def document(self, *arguments: str, keep: bool = True) -> Any:
        return json.loads(self.command(*arguments, "--json", keep=keep))

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        self.answers.append(answer.content + repr(answer.headers).encode())
        return answer.json()

    # The play -------------------------------------------------------------------------------------------------------

    def act(self) -> None:
        canaries = self.canaries
        for mode in MODES:
            self.events.append(
                self.ask("POST", "/events", json={"name": "shop/paid", "data": canaries.paid(mode)})["event"]
            )
        event = {"name": "shop/paid", "data": canaries.paid("ok")}
        self.ask("POST", f"/e/{self.key}", json=event, headers={"authorization": ""})
        cloud = {"specversion": "1.0", "id": "c-1", "source": "shop", "type": "shop/paid", "data": canaries.paid("bug")}
        content = json.dumps(cloud).encode()
        self.ask("POST", "/events", content=content, headers={"content-type": "application/cloudevents+json"})
        self.ask("POST", "/pipelines/charge/runs", json={"data": canaries.paid("ok")})
        self.ask("POST", "/pipelines/charge/runs", json={"data": canaries.paid("ok") | {"card": canaries.card}})
        self.ask("POST", "/events", json={"name": "shop/paid", "data": {"card": canaries.card, "email": canaries.pin}})
        self.ask("POST", "/events", content=f'{{"name": "shop/paid", "card": "{canaries.card}'.encode())
        now = SystemClock().now_ms() // 1000
        body = encode({"type": "joined", "data": {"email": canaries.email, "plan": canaries.sku}})
        headers = standard_headers(body, now, "msg-1", canaries.secrets["CRM_SECRET"])
        self.events.append(self.ask("POST", "/hooks/crm", content=body, headers=headers)["event"])
        wrong = {**headers, "webhook-signature": f"v1,{canaries.secrets['CRM_SECRET']}"}
        self.ask("POST", "/hooks/crm", content=body, headers=wrong)
        bad = encode({"type": f"no name: {canaries.email}", "data": {"email": canaries.email}})
        headers = standard_headers(bad, now, "msg-2", canaries.secrets["CRM_SECRET"])
        self.ask("POST", "/hooks/crm", content=bad, headers=headers)
        until(lambda: self.settled(waiting=1), "the runs")
        self.relieve()
        self.ask("POST", "/events", json={"name": "shop/paid", "data": canaries.paid("bug")})
        answered = json.dumps({"email": canaries.email, "iban": canaries.iban})
        self.command("send", "shop/answered", answered)
        nobody = json.dumps({"email": f"x{canaries.email}", "iban": canaries.iban})
        self.command("send", "shop/answered", nobody)
        until(self.settled, "the run that waited")
        failed = [run["id"] for run in self.document("runs", "list", "--status", "failed", "--limit", "100")["runs"]]
        self.command("replay", failed[0], "--dry-run")
        self.command("replay", failed[0], "--json")
        self.command("dead-letters", "retry", "--all", "--dry-run", "--edit", "event.data")
        self.command("dead-letters", "retry", "--all", "--dry-run", "--edit", "{'n': int(event.data.email)}")
        self.command("dead-letters", "retry", "--all", "--yes", "--kind", "run", "--limit", "2")
        until(self.settled, "the replays")

    def relieve(self) -> None:
        """The worker that writes text ends, and one that writes JSON goes on: both have something to say."""
        worker = self.processes.pop(0)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
        self.second()

    def settled(self, waiting: int = 0) -> bool:
        live = [run for run in self.ask("GET", "/runs?limit=200")["runs"] if run["status"] in {"pending", "running"}]
        told = {path for path, _ in self.collector.bodies}
        return len(live) == waiting and told >= {"/slack", "/v1/traces", "/batch/"}

    def look(self) -> None:
        self.runs = self.ask("GET", "/runs?limit=200")["runs"]
        for run in self.runs:
            self.ask("GET", f"/runs/{run['id']}")
        for event in {*self.events, *(run["event"] for run in self.runs)}:
            self.ask("GET", f"/events/{event}")
        chosen = {run["pipeline"] + run["status"]: run["id"] for run in self.runs}.values()
        for run in chosen:
            self.command("runs", "show", run, "--journal")
            self.command("runs", "show", run, "--journal", "--json")
        self.command("runs", "list", "--limit", "100", "--json")
        letters = self.document("dead-letters", "list", "--limit", "100")["dead_letters"]
        self.letters = len(letters)
        for letter in letters:
            self.command("dead-letters", "show", letter["id"])
            self.command("dead-letters", "show", letter["id"], "--json")
        for arguments in (("doctor",), ("fsck",), ("versions",), ("graph",), ("validate",)):
            self.command(*arguments)
        shown = next(run["id"] for run in self.runs if run["pipeline"] == "charge" and run["status"] == "succeeded")
        self.revealed = self.command("runs", "show", shown, "--reveal", "--json", keep=False)

    def leave(self) -> Traces:
        statuses: dict[str, int] = {}
        for run in self.runs:
            statuses[run["status"]] = statuses.get(run["status"], 0) + 1
        stored = dump(self.server.url)
        self.stop()
        places = {
            "the store": stored,
            "the store's files": b"".join(path.read_bytes() for path in _files(self.folder / "server")),
            "answers": b"\n".join(self.answers),
            "commands": "\n".join(self.written).encode(),
            # The key of PostHog is to stand in its body.
            "receivers": b"\n".join(
                body.replace(self.canaries.secrets["POSTHOG_KEY"].encode(), b"") for _, body in self.collector.bodies
            ),
            **{
                f"{name}'s output": (self.folder / f"{name}.txt").read_bytes()
                for name in ("worker-text", "worker-json", "server")
            },
        }
        return Traces(places, self.revealed.encode(), statuses, self.letters, self.key)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def dump(url: str) -> bytes:
    """All that a server holds, in all its databases: every key and every value, as they are."""
    found: list[bytes] = []
    with contextlib.closing(redis.Redis.from_url(url)) as first:
        databases = [int(name[2:]) for name in first.info("keyspace")]
    readers: dict[bytes, Callable[[Any, bytes], Any]] = {
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1),
    }
    for database in databases:
        with contextlib.closing(redis.Redis.from_url(url, db=database)) as client:
            for key in client.scan_iter():
                kind: Any = client.type(key)
                found += [key, *_flat(readers[kind](client, key))]
    return b"\n".join(found)


def _flat(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from (name, part)
    elif isinstance(value, bytes):
        yield value
    elif value is not None:
        yield from value


class _Collector:
    """Takes what is posted, and answers as receivers do; a context manager."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
