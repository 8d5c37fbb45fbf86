"""A pipeline of built-in handlers alone, under real workers: no file of Python is in the project."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from flowlang.project import load_project
from tests.built_in.test_mail import Post, posting
from tests.e2e.world import World
from tests.egress.services import Say, Seen, serving
from tests.unit.project.projects import write_project

PIPELINE = """\
flowlang: 1
pipeline: notify
triggers: [{event: shop/paid}]
steps:
  - id: order
    uses: http.request
    with:
      url: ${{ event.data.api }}
      path: [orders, "${{ event.data.order }}"]
      auth: {bearer: "${{ secrets.API_TOKEN }}"}
    retry: {attempts: 3, initial: 10ms}
  - id: mark
    uses: http.request
    with: {url: "${{ event.data.api }}", method: POST, json: {paid: true}}
    retry: {attempts: 3, initial: 10ms}
  - id: mail
    uses: mail.send
    with: {to: ada@example.com, subject: "Order ${{ event.data.order }}", text: "${{ string(steps.order.output.json.total) }}"}
  - id: tell
    uses: slack.post
    with: {text: "${{ event.data.order }} is paid"}
  - id: count
    uses: posthog.capture
    with: {event: paid, distinct_id: ada, timestamp: "${{ event.time }}"}
  - id: note
    uses: log
    with: {message: "paid: ${{ event.data.order }}", fields: {mail: "${{ steps.mail.output.id }}"}}
  - id: inside
    uses: http.request
    with: {url: "http://169.254.169.254/latest/meta-data"}
    tolerate: [egress_refused]
output: {refused: "${{ steps.inside.error.code }}", total: "${{ steps.order.output.json.total }}"}
"""


def test_a_project_without_python_calls_services_and_repeats_what_fails(tmp_path: Path) -> None:
    folder = write_project(
        tmp_path / "project", {"flowlang.yaml": "flowlang: 1\nproject: shop\n", "pipelines/notify.yaml": PIPELINE}
    )
    project = load_project(folder, deploying=True)
    assert project.manifest is not None, project.diagnostics
    turns: dict[str, int] = {}
    lock = threading.Lock()

    def answer(seen: Seen) -> Say:
        with lock:
            turns[seen.path] = turn = turns.get(seen.path, 0) + 1
        if seen.path == "/services/hook":
            return Say(body=b"ok")
        if seen.path.startswith("/v1") and turn == 1:
            return Say(503)
        return Say(headers={"content-type": "application/json"}, body=b'{"total": 900}')

    post = Post()
    with serving(answer) as api, posting(post, None, "none") as smtp, World(tmp_path, PROJECT=str(folder)) as world:
        world.service.deploy(project.manifest, list(project.plans.values()))
        variables = {
            **smtp,
            "FLOWLANG_EGRESS_ALLOW": f"127.0.0.1:{api.port}",
            "API_TOKEN": "t-canary",
            "SLACK_WEBHOOK_URL": api.url("/services/hook"),
            "POSTHOG_KEY": "phc_1",
            "POSTHOG_HOST": api.url(),
        }
        with world.crew(1, variables=variables):
            (run,) = world.start("shop/paid", {"api": api.url("/v1"), "order": "o/1"})
            (detail,) = world.ended([run])
    assert detail.run.status == "succeeded", detail
    assert detail.output == {"refused": "egress_refused", "total": 900}
    by_path: dict[str, list[Seen]] = {}
    for seen in api.seen:
        by_path.setdefault(seen.path, []).append(seen)
    assert {path: len(seen) for path, seen in by_path.items()} == {
        "/v1/orders/o%2F1": 2, "/v1": 2, "/services/hook": 1, "/i/v0/e/": 1,
    }  # fmt: skip
    assert [seen.headers["authorization"] for seen in by_path["/v1/orders/o%2F1"]] == ["Bearer t-canary"] * 2
    first, second = (seen.headers["idempotency-key"] for seen in by_path["/v1"])
    assert first == second  # the same in every attempt
    assert _ids(by_path) != first
    ((recipients, message),) = post.taken
    assert recipients == ["ada@example.com"]
    assert (message["Subject"], message.get_content().strip()) == ("Order o/1", "900")
    assert "t-canary" not in repr(detail)


def _ids(by_path: dict[str, list[Seen]]) -> Any:
    return json.loads(by_path["/i/v0/e/"][0].body)["uuid"]
