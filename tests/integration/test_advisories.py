"""What happened to others does not happen here: each advisory of `../shared/security.md` has a test that names it.

The tests are of a served project over real sockets, where the advisory is about the edge. Some advisories are about
other parts, and are shown in the files of `ELSEWHERE`.
"""

from __future__ import annotations

import ast
import asyncio
import hmac
import http.client
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import click
import pytest

from flowlang.bootstrap import serve
from flowlang.cli.git import changed_files
from flowlang.errors import ConfigError
from flowlang.expr import EvaluationError, ExpressionSyntaxError, compile_expression
from flowlang.server.app import create_app
from flowlang.server.gate import loopback_hosts
from flowlang.server.run import HttpServer
from flowlang.service import KeyRing
from flowlang.settings import Settings
from tests.access import bearer, developing, made
from tests.unit.service.world import World, manifest, plan

ROOT = Path(__file__).parents[2]
ADVISORIES = ROOT.parent / "shared/security.md"

#: Advisories about other parts → where they are shown.
ELSEWHERE: Mapping[str, str] = {
    "CVE-2026-56348": "tests/egress/test_ssrf.py",
    "CVE-2025-49844": "tests/unit/cli/test_starting.py",
}

#: Advisories that tests below name.
NAMED: set[str] = set()

Test = TypeVar("Test", bound=Callable[..., object])

JSON = {"content-type": "application/json"}
SECRETS = {"STRIPE_SECRET": "whsec_test", "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
SHOP, GUARDED, READY = plan("shop"), plan("guarded"), plan("readyz")
ECHO = plan("echo", output="${{ event.data.name }}")


def shows(*ids: str) -> Callable[[Test], Test]:
    """Marks a test with the advisories that it is about."""
    NAMED.update(ids)
    return lambda test: test


@cache
def ours() -> dict[Path, list[ast.AST]]:
    """What each of our modules is made of: its imports and calls."""
    kinds = (ast.Import, ast.ImportFrom, ast.Call)
    return {
        path: [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
        for path in (ROOT / "flowlang").rglob("*.py")
    }


class Site:
    """A served project."""

    def __init__(self) -> None:
        self.world = World(deployed=False)
        plans = (SHOP, GUARDED, READY, ECHO)
        self.world.service.deploy(manifest(*plans), plans)
        self.server = HttpServer(
            create_app(
                self.world.service,
                secrets=SECRETS,
                keys=developing(self.world.store),
                hosts=loopback_hosts("127.0.0.1"),
                clock=self.world.clock,
            ),
            port=0,
        )
        self.narrow = made(self.world.store, "narrow", call=("shop",), control=("shop",), read=("shop",))
        self.server.start()

    def ask(
        self, method: str, path: str, body: bytes | None = None, /, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the answer to exactly this."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return response.status, response.read(), {name.lower(): text for name, text in response.getheaders()}
        finally:
            connection.close()

    def json(self, method: str, path: str, tree: Any, /, **headers: str) -> tuple[int, Any]:
        """The same with JSON, by whoever develops unless the headers name another key."""
        status, body, _ = self.ask(method, path, json.dumps(tree).encode(), **{**bearer(), **JSON, **headers})
        return status, json.loads(body) if body else None


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.server.stop()


@shows("CVE-2026-53576", "CVE-2026-49869")
@pytest.mark.parametrize(
    "suffix", ["/configs", "/livez", "/readyz", "/hooks/stripe", ".livez", "?/livez", "#/livez", ";/livez"]
)
def test_kestra_a_path_that_ends_like_a_public_one_is_not_public(site: Site, suffix: str) -> None:
    for method, path in (("GET", "/runs"), ("POST", "/events"), ("GET", "/openapi.json"), ("GET", "/key")):
        status, body, _ = site.ask(method, path + suffix, b"{}", **JSON)
        assert status in {401, 404, 405}
        assert b"runs" not in body


@shows("CVE-2026-3514")
def test_prefect_what_people_name_like_a_probe_needs_a_key_like_all_else(site: Site) -> None:
    for path in ("/pipelines/readyz/runs", "/runs/livez/cancel", "/runs/health/replay"):
        assert site.ask("POST", path)[0] == 401
    for path in ("/runs/readyz", "/events/livez", "/events/ready"):
        assert site.ask("GET", path)[0] == 401
    assert site.json("POST", "/pipelines/readyz/runs", {})[0] == 202


@shows("CVE-2026-7723")
def test_prefect_no_websocket_and_no_stream_gets_around_the_gate(site: Site) -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}  # fmt: skip
    for path in ("/events", "/runs", "/events/in", "/api/events/in"):
        assert site.ask("GET", path, **upgrade)[0] in {401, 404, 405}
    assert site.ask("GET", "/runs", accept="text/event-stream")[0] == 401
    sent: list[Any] = []

    async def offered() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        scope: dict[str, Any] = {"type": "websocket", "path": "/livez", "raw_path": b"/livez", "headers": []}
        await create_app(site.world.service, secrets={})(scope, receive, send)

    asyncio.run(offered())
    assert [message["type"] for message in sent] == ["websocket.close"]


@shows("CVE-2026-5366")
@pytest.mark.parametrize("ref", ["--output=/tmp/x", "-O/tmp/x", "--no-index", "-"])
def test_prefect_a_commit_that_is_an_option_does_not_reach_git(tmp_path: Path, ref: str) -> None:
    with pytest.raises(click.UsageError, match="is no commit"):
        changed_files(tmp_path, ref)


@shows("GHSA-6qr9-g2xw-cw92", "GHSA-m4q3-457p-hh2x")
@pytest.mark.parametrize("more", ["steps", "yaml", "spec", "pipeline", "flowlang", "handler", "uses", "env", "queue"])
def test_dagu_no_definition_comes_over_http(site: Site, more: str) -> None:
    inline = {more: [{"id": "x", "uses": "os.system", "with": {"command": "id"}}]}
    assert site.json("POST", "/pipelines/shop/runs", {"data": {}, **inline})[0] == 400
    assert site.json("POST", "/events", {"name": "a/b", **inline})[0] == 400
    run = site.world.service.call("shop", {}).id
    assert site.json("POST", f"/runs/{run}/replay", inline)[0] == 400
    for path in ("/pipelines", "/pipelines/shop", "/deploy", "/dags", "/api/v1/dags", "/plans"):
        for method in ("GET", "POST", "PUT"):
            assert site.ask(method, path, b"steps: []", content_type="application/yaml", **bearer())[0] == 404


@shows("GHSA-9wmw-9wph-2vwp")
def test_dagu_what_is_open_by_default_is_open_to_nobody(site: Site) -> None:
    for path in ("/runs", "/events/e00-x", "/openapi.json", "/key", "/stream", "/events/stream", "/logs", "/metrics"):
        for accept in ("*/*", "text/event-stream"):
            assert site.ask("GET", path, accept=accept)[0] in {401, 404}


@shows("CVE-2026-33344", "CVE-2026-29059", "CVE-2023-51232")
@pytest.mark.parametrize(
    "name",
    ["..", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "..%252fetc", "%2e%2e", "a%2Fb", "a%5cb", "a.log", "~root", "C:", "x%00.json"],
)  # fmt: skip
def test_dagu_windmill_and_dagster_no_name_leads_to_a_file(site: Site, name: str) -> None:
    for path in (f"/runs/{name}", f"/events/{name}", f"/logs/{name}", f"/runs/{name}/log", f"/get_logs/{name}"):
        status, body, _ = site.ask("GET", path, **bearer())
        assert status == 404
        assert b"root:" not in body
    assert site.ask("POST", f"/runs/{name}/cancel", **bearer())[0] == 404
    assert site.ask("POST", f"/hooks/{name}", b"{}", **JSON)[0] == 404


@shows("CVE-2020-11978", "CVE-2020-13927")
def test_airflow_the_api_is_closed_until_somebody_has_made_a_key(redis_url: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no API key .* `flowlang api-keys create NAME"):
        serve(Settings(redis_url=redis_url, http_port=0), ready=lambda url: pytest.fail(f"it serves on {url}"))
    wrong = Settings(redis_url=redis_url, http_port=0, environment="production", dev_token="t" * 40)
    with pytest.raises(ConfigError, match="this is production"):
        serve(wrong, ready=lambda url: pytest.fail(f"it serves on {url}"))


@shows("CVE-2022-40127", "CVE-2026-120091")
def test_airflow_and_temporal_nothing_that_is_sent_becomes_a_command() -> None:
    """No module of ours starts a shell; what starts programs are commands of whoever runs them, by lists of words."""
    for path, nodes in ours().items():
        for node in nodes:
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"os.system", "os.popen", "subprocess.getoutput"}, path
                assert not any(word.arg == "shell" for word in node.keywords), path
    for folder in ("server", "service", "engine", "store"):
        for path in (ROOT / "flowlang" / folder).rglob("*.py"):
            assert "import subprocess" not in path.read_text(encoding="utf-8"), path


@shows("CVE-2021-35936")
def test_airflow_there_is_one_port_and_by_default_it_is_loopbacks(site: Site) -> None:
    assert Settings().http_host == "127.0.0.1"
    listens = [
        path.relative_to(ROOT / "flowlang").as_posix()
        for path in (ROOT / "flowlang").rglob("*.py")
        if re.search(r"create_server\(|\.listen\(|start_server\(", path.read_text(encoding="utf-8"))
    ]
    assert sorted(listens) == ["cli/development.py", "server/run.py"]  # the first one only looks for a free port
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.2", site.server.port)) != 0


@shows("CVE-2024-56373")
@pytest.mark.parametrize(
    "text", ["${{ secrets.STRIPE_SECRET }}", "${{ 6 * 7 }}", "{{ 6 * 7 }}", "$${{ env.HOME }}", "{{ ''.__class__ }}"]
)
def test_airflow_data_that_looks_like_an_expression_stays_data(site: Site, text: str) -> None:
    status, run = site.json("POST", "/pipelines/echo/runs", {"data": {"name": text}})
    assert status == 202
    shown = site.json("GET", f"/runs/{run['id']}", None)[1]
    assert shown["event"]["data"] == {"name": text}
    assert "whsec" not in json.dumps(shown)
    assert site.world.service.run(run["id"]).event.data == {"name": text}


@shows("CVE-2025-68613", "CVE-2026-1470", "CVE-2026-27577", "CVE-2026-49444")
@pytest.mark.parametrize(
    "text",
    ["''.__class__", "event.__class__.__mro__", "event['__class__']", "().__class__.__bases__[0]", "event.data.format('x')",
     "type(event).mro", "__import__('os')", "event.data.constructor", "[1].map(x, x.__globals__)", "'{0.__class__}'.format([event])"],
)  # fmt: skip
def test_n8n_an_expression_sees_data_and_no_object_of_the_host(text: str) -> None:
    class Host(dict[str, Any]):
        secret = "host"

    try:
        found = compile_expression(text).evaluate({"event": Host(data="x")})
    except (ExpressionSyntaxError, EvaluationError):
        return
    else:
        assert found == "{0.__class__}"  # CEL's own `format` knows nothing of braces


@shows("CVE-2026-21858")
@pytest.mark.parametrize(
    "declared",
    ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain", "", "application/xml", "application/yaml",
     "application/json, multipart/form-data", "application/jsonp"],
)  # fmt: skip
def test_n8n_a_body_is_read_as_what_it_is_declared_to_be_or_not_at_all(site: Site, declared: str) -> None:
    body = json.dumps({"name": "a/b", "data": {"files": {"file": {"filepath": "/etc/passwd"}}}}).encode()
    for path, headers in (("/events", bearer()), ("/pipelines/shop/runs", bearer()), ("/hooks/crm", {})):
        status, said, _ = site.ask("POST", path, body, content_type=declared, **headers)
        assert status == 415, (path, said)
    wrong = b'--x\r\ncontent-disposition: form-data; name="file"; filename="/etc/passwd"\r\n\r\n\r\n--x--'
    assert site.ask("POST", "/events", wrong, **JSON, **bearer())[0] == 400


@shows("CVE-2026-21894")
def test_n8n_a_delivery_that_is_not_signed_starts_nothing(site: Site) -> None:
    before = site.world.service.runs(limit=1_000)
    body = b'{"id": "evt_1", "type": "x", "data": {"object": {}}}'
    for headers in (
        {},
        {"stripe-signature": ""},
        {"stripe-signature": "t=1,v1="},
        {"stripe-signature": "t=1,v0=00"},
        bearer(),
    ):
        assert site.ask("POST", "/hooks/stripe", body, **JSON, **headers)[0] == 401
    assert site.world.service.runs(limit=1_000) == before


@shows("CVE-2026-110852")
@pytest.mark.parametrize("path", ["/hooks/stripe/", "/hooks/stripe/x", "/hooks/STRIPE", "/hooks/stripe-", "/hooks/strip", "/hooks", "/hooks//stripe", "/Hooks/stripe"])  # fmt: skip
def test_n8n_a_webhook_is_found_by_its_whole_name_only(site: Site, path: str) -> None:
    assert site.ask("POST", path, b"{}", **JSON)[0] == 404


@shows("CVE-2026-42047")
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_inngest_a_method_that_is_not_handled_says_nothing(
    site: Site, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary-of-the-environment")
    for path in ("/events", "/hooks/stripe", f"/e/{'x' * 20}", "/pipelines/shop/runs", "/runs/x/cancel"):
        for headers in ({}, bearer()):
            status, body, said = site.ask(method, path, **headers)
            assert (status, body) == (405, b"")
            assert "canary" not in repr(said)


@shows("GO-2025-4272")
def test_temporal_a_key_is_asked_about_the_run_that_is_meant_and_not_what_the_request_says(site: Site) -> None:
    theirs, ours = (site.world.service.call(name, {}).id for name in ("guarded", "shop"))
    headers = {**bearer(site.narrow), "x-pipeline": "shop", "x-namespace": "shop"}
    for query in ("", "?pipeline=shop", f"?run={ours}"):
        assert site.ask("POST", f"/runs/{theirs}/cancel{query}", **headers)[0] == 403
        assert site.ask("POST", f"/runs/{theirs}/replay{query}", **headers)[0] == 403
        assert site.ask("GET", f"/runs/{theirs}{query}", **headers)[0] == (422 if query else 404)
    assert site.json("POST", "/pipelines/guarded/runs", {"data": {"pipeline": "shop"}}, **headers)[0] == 403
    assert site.ask("POST", f"/runs/{ours}/cancel", **headers)[0] == 202
    assert site.world.service.run(theirs).run.status == "pending"


@shows("CVE-2021-23727")
def test_celery_nothing_that_is_stored_or_sent_becomes_an_object_of_python() -> None:
    """Data is JSON or MessagePack of plain values: no module unpickles, loads YAML with tags, or evaluates texts."""
    banned = {"pickle", "cPickle", "dill", "shelve", "marshal", "jsonpickle"}
    for path, nodes in ours().items():
        for node in nodes:
            match node:
                case ast.Import(names=names):
                    assert not banned & {each.name.partition(".")[0] for each in names}, path
                case ast.ImportFrom(module=str(module)):
                    assert module.partition(".")[0] not in banned, path
                case ast.Call():
                    called = ast.unparse(node.func)
                    assert called not in {"eval", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}, path
                    # The one text that becomes code is a tree of our own; see `expr/codegen.py`.
                    assert called != "exec" or path.name == "codegen.py", path
                case _:
                    pass


@shows("CVE-2022-30034", "CVE-2022-51020")
def test_flower_a_page_that_is_open_elsewhere_can_do_nothing(site: Site) -> None:
    run = site.world.service.call("shop", {}).id
    for origin in ("http://evil.example", "null", "http://localhost", "http://127.0.0.1:1"):
        status, body, _ = site.ask("POST", f"/runs/{run}/cancel", origin=origin, host="localhost:1", **bearer())
        assert (status, json.loads(body)["code"]) == (403, "origin.refused")
    assert site.world.service.run(run).run.status == "pending"


def test_flower_a_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def seen(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", seen)
    world = World()
    key = made(world.store, admin=True)
    ring = KeyRing(world.store)
    ring.refresh()
    for text in (key, key[:-1] + "x", "flk_0123456789ab_" + "0" * 64, "nothing like a key"):
        compared.clear()
        ring.caller(text)
        assert len(compared) == 1  # for a key that there is, and for one that there is not
        assert {len(one) for one in compared[0]} == {64}  # digests, not what was sent


@shows("CVE-2025-24010", "GHSA-67mh-4wv8-2f99")
def test_vite_and_esbuild_no_page_reads_from_a_server_on_this_machine(site: Site) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:1"):
        assert site.ask("GET", "/runs", host=host, **bearer())[0] == 421
        assert site.ask("GET", "/livez", host=host)[0] == 421
    preflight = {"origin": "http://evil.example", "access_control_request_method": "GET", "host": "localhost"}
    status, body, headers = site.ask("OPTIONS", "/runs", **preflight)
    assert status in {403, 405}
    for _, _, said in (
        (status, body, headers),
        site.ask("GET", "/livez", origin="http://evil.example", host="localhost"),
    ):
        assert not [name for name in said if name.startswith("access-control")]


@shows("CVE-2026-39852")
@pytest.mark.parametrize(
    "path", ["/runs;x", "/runs;/livez", "/livez;/../runs", "/;x/runs", "/events;a=b", "/livez;/runs"]
)
def test_quarkus_guard_and_router_read_a_path_alike(site: Site, path: str) -> None:
    for headers in ({}, bearer()):
        assert site.ask("GET", path, **headers)[0] == 404


@shows("CVE-2025-30066")
def test_tj_actions_what_others_run_of_ours_names_no_action_by_a_tag() -> None:
    used = re.findall(r"uses:\s*(\S+)", (ROOT / "action.yml").read_text(encoding="utf-8"))
    assert [name for name in used if not re.search(r"@[0-9a-f]{40}$", name) and not name.startswith("./")] == []
    lock = (ROOT / "requirements/dev.lock").read_text(encoding="utf-8")
    assert lock.count("--hash=sha256:") > lock.count("==")


@shows("GHSA-fvw2-2pf7-77vw")
def test_airflow_a_secret_is_in_no_answer_about_a_run(site: Site) -> None:
    for method, path in (("GET", "/openapi.json"), ("GET", "/runs"), ("GET", "/key"), ("GET", "/readyz")):
        status, body, headers = site.ask(method, path, **bearer())
        assert status == 200
        for secret in (*SECRETS.values(), bearer()["authorization"].partition(" ")[2]):
            assert secret.encode() not in body
            assert secret not in repr(headers)


def test_every_advisory_that_we_know_of_is_shown_here_or_elsewhere() -> None:
    if not ADVISORIES.is_file():
        pytest.skip("the list of advisories, ../shared/security.md, is not on this machine")
    known = set(re.findall(r"CVE-\d+-\d+|GHSA(?:-[a-z0-9]{4}){3}|GO-\d+-\d+", ADVISORIES.read_text(encoding="utf-8")))
    # Of the same library as one that is named: the floor of its version is for all of them.
    redis = {"CVE-2024-46981", "CVE-2022-24834", "CVE-2026-23631"}
    assert len(known) > 25
    assert sorted(known - NAMED - set(ELSEWHERE) - redis) == []
    for advisory, path in ELSEWHERE.items():
        assert advisory in (ROOT / path).read_text(encoding="utf-8")
