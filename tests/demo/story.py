"""What is sent in the demo, what must come of it, and whether it did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowlang.clock import SystemClock
from tests.demo.stage import DemoError, Stage
from tests.standin import Fault
from tests.standin.webhooks import encode, stripe_headers

#: The trouble on the way: a rate limit with a time to come back at, and two failures in a row.
TROUBLE = (
    Fault("mux.create_asset", status=429, retry_after=1),
    Fault("academy.grant_lifetime", status=503, times=2),
)

SESSION = "cs_lifetime"
VIDEO = {
    "url": "https://files.example.com/lesson-12.mp4",
    "file_name": "lesson-12.mp4",
    "title": "Coroutines",
    "module_slug": "async-python",
}

#: Pipelines that must have run, each once, and steps that must have needed more than one attempt.
EXPECTED_RUNS = ("stripe-checkout-completed", "lifetime-purchase", "video-uploaded")
EXPECTED_ATTEMPTS = {("video-uploaded", "asset"): 2, ("lifetime-purchase", "access"): 3}

#: How often a service must have done something, however often it was asked.
EXPECTED_WORK = {
    "mux.create_asset": 1,
    "academy.create_video": 1,
    "academy.attach": 1,
    "academy.grant_lifetime": 1,
    "stripe.cancel_subscription": 2,
    "mail.send": 1,
    "slack.post": 1,
}

#: Seconds until the runs must have ended; the retries that are asked for take about four.
PATIENCE_S = 15.0

ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and its answer, in words."""

    what: str
    status: int
    answer: str


def send(stage: Stage) -> Iterator[Sent]:
    """Send the webhook (also with a wrong signature, and a second time) and the event."""
    now = SystemClock().now_ms() // 1000
    body = encode(stage.standin.stripe.session_event(SESSION, "evt_demo"))
    headers = stripe_headers(body, now)
    forged = stripe_headers(body, now, secret="whsec_of_somebody_else")
    yield _post(stage, "/hooks/stripe", f"a paid checkout, {SESSION}, signed by Stripe", 202, body, headers)
    yield _post(stage, "/hooks/stripe", "the same with a forged signature", 401, body, forged)
    yield _post(stage, "/hooks/stripe", "the same once more, as Stripe does now and then", 202, body, headers)
    wrong = encode({"name": "video/uploaded", "data": {**VIDEO, "url": 12}})
    yield _post(stage, "/events", "an uploaded video whose url is a number", 400, wrong, {})
    video = encode({"name": "video/uploaded", "data": VIDEO})
    yield _post(stage, "/events", f"an uploaded video, {VIDEO['file_name']}", 202, video, {})


def _post(stage: Stage, path: str, what: str, status: int, body: bytes, headers: dict[str, str]) -> Sent:
    response = stage.client.post(path, content=body, headers={"Content-Type": "application/json", **headers})
    if response.status_code != status:
        raise DemoError(f"POST {path} ({what}) was answered {response.status_code}, not {status}: {response.text}")
    return Sent(f"POST {path}  {what}", response.status_code, _words(response.json()))


def _words(answer: dict[str, Any]) -> str:
    """An answer in short: what became of the event, or what is wrong and where."""
    if "title" in answer:
        found = [f"{failure['path']}: {failure['message']}" for failure in answer.get("errors", ())]
        return "; ".join(found) or str(answer["title"])
    started = len(answer.get("runs", ()))
    return f"{answer['status']}, {started} run started" if started else str(answer["status"])


def outcome(stage: Stage) -> list[dict[str, Any]]:
    """Wait until all runs have ended, or the time is over.

    Returns:
        All that is known of each, oldest first.
    """

    def look() -> list[dict[str, Any]] | None:
        listed = stage.client.get("/runs").json()["runs"]
        over = all(run["status"] in ENDED for run in listed)
        complete = {run["pipeline"] for run in listed} == set(EXPECTED_RUNS)
        failed = any(run["status"] not in {"succeeded", "pending", "running"} for run in listed)
        return listed if over and (complete or failed) else None

    stage.wait(look, PATIENCE_S)
    listed = stage.client.get("/runs").json()["runs"]
    return [stage.client.get(f"/runs/{run['id']}").json() for run in reversed(listed)]


def problems(stage: Stage, details: list[dict[str, Any]]) -> Iterator[str]:
    """Say what is not as it should be."""
    for pipeline in EXPECTED_RUNS:
        found = [detail for detail in details if detail["run"]["pipeline"] == pipeline]
        if len(found) != 1:
            yield f"{pipeline} has {len(found)} runs, not 1"
    for detail in details:
        run = detail["run"]
        if run["status"] != "succeeded":
            yield f"the run of {run['pipeline']} is {run['status']}{_why(detail)}"
        for step in detail["steps"]:
            wanted = EXPECTED_ATTEMPTS.get((run["pipeline"], step["step"]))
            if wanted is not None and step.get("attempts", 0) != wanted:
                yield f"{run['pipeline']}, step {step['step']}: {step.get('attempts', 0)} attempts, not {wanted}"
    for route, times in EXPECTED_WORK.items():
        did = sum(call.did for call in stage.standin.calls(route))
        if did != times:
            yield f"{route} was done {did} times, not {times}"


def _why(detail: dict[str, Any]) -> str:
    error = detail.get("error")
    if error is None:
        return ""
    return f": step {error.get('step', '?')}, {error['code']} ({error['message'].splitlines()[0]})"
