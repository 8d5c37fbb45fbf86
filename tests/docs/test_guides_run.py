"""The pipelines of the guides, run with the handlers beside them on virtual time: they do what the text says."""

from __future__ import annotations

import asyncio
import inspect
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from flowlang import Context
from flowlang.engine.replay import Wish
from flowlang.engine.turn import Call
from flowlang.engine.view import instance_key
from flowlang.handler.classify import classify
from flowlang.handler.definition import HandlerDefinition, definition_of
from flowlang.project import load_project
from flowlang.simulate import Finished, SimulatedError, Simulation
from tests.docs.blocks import ROOT, blocks, titled, write_project
from tests.property.test_forecasts import foretold

GUIDE = ROOT / "docs/guide"

ENV = {"MAIL_URL": "https://mail.example.com/send"}


def _definitions(page: Path) -> dict[str, HandlerDefinition]:
    """The handlers that a page shows."""
    found = {}
    for title, text in titled(page).items():
        if title.startswith("handlers/"):
            names: dict[str, Any] = {"__name__": title.removesuffix(".py").replace("/", ".")}
            exec(compile(text, title, "exec", dont_inherit=True), names)
            for each in names.values():
                definition = definition_of(each) if inspect.isfunction(each) else None
                if definition is not None:
                    found[definition.name] = definition
    return found


def _called(definition: HandlerDefinition) -> Callable[[Call], Any]:
    """A handler as a worker calls it: arguments and result by its contract, exceptions by the table."""

    def handle(call: Call) -> Any:
        try:
            arguments = definition.contract.convert(call.arguments)
            if definition.context_param is not None:
                ctx = Context.for_test(idempotency_key=call.idempotency_key, env=ENV)
                arguments[definition.context_param] = ctx
            result = definition.function(**arguments)
            return definition.contract.result(asyncio.run(result) if definition.is_async else result)
        except Exception as error:
            failure = classify(error, now=datetime(2026, 1, 1, tzinfo=UTC))
            raise SimulatedError(failure.error_class, failure.code, failure.message) from error

    return handle


def simulated(page: Path, folder: Path, *, steps: str | None = None) -> Simulation:
    """The project that a page shows; with `steps` also those, as the pipeline `fragment`."""
    refused = {block.words["title"] for block in blocks("yaml", page) if "refused" in block.words}
    files = {title: text for title, text in titled(page).items() if title not in refused}
    if steps is not None:
        indented = textwrap.indent(steps, "  ")
        files["pipelines/fragment.yaml"] = f"flowlang: 1\npipeline: fragment\nsteps:\n{indented}"
    project = load_project(write_project(folder, files))
    assert project.manifest is not None
    handlers = {name: _called(definition) for name, definition in _definitions(page).items()}
    return Simulation(list(project.plans.values()), handlers, schemas=project.manifest.events)


def sent(simulation: Simulation, event: str, data: Any) -> Finished:
    """The run that an event starts, when it has ended."""
    (run,) = simulation.send(event, data)
    simulation.run_until_idle()
    return simulation.finished(run)


def test_the_welcome_of_the_readme_passes_its_key_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[dict[str, Any]] = []

    def post(url: str, **content: Any) -> httpx.Response:
        posted.append(content)
        return httpx.Response(503 if len(posted) < 3 else 200, request=httpx.Request("POST", url))

    monkeypatch.setattr(httpx, "post", post)
    simulation = simulated(ROOT / "README.md", tmp_path)
    run = sent(simulation, "member/joined", {"name": "Ada", "email": "ada@example.com"})
    assert (run.status, run.output) == ("succeeded", "Welcome, Ada!")
    assert (run.records["mail"].attempts, run.records["greeting"].attempts) == (3, 1)
    assert len({each["headers"]["Idempotency-Key"] for each in posted}) == 1
    assert posted[0]["json"] == {"to": "ada@example.com", "text": "Welcome, Ada!"}


def test_the_order_of_the_guide_to_handlers_is_added_up(tmp_path: Path) -> None:
    lines = [{"sku": "book", "quantity": 2}, {"sku": "course", "quantity": 1}]
    run = sent(simulated(GUIDE / "handlers.md", tmp_path), "shop/order-placed", {"lines": lines})
    assert (run.status, run.output) == ("succeeded", 12330)


def test_an_argument_that_does_not_fit_fails_the_step_for_good(tmp_path: Path) -> None:
    lines = [{"sku": "book", "quantity": 0}]
    run = sent(simulated(GUIDE / "handlers.md", tmp_path), "shop/order-placed", {"lines": lines})
    assert run.error is not None
    assert (run.error.error_class, run.error.code, run.error.attempts) == ("permanent", "handler.arguments", 1)
    assert "lines[0].quantity" in run.error.message


def test_the_invoice_of_the_guide_to_events_maps_its_events_and_chains(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "events.md", tmp_path)
    run = sent(simulation, "shop/order-paid", {"order_id": "o1", "cents": 1900})
    assert run.outputs() == {"amount": {"euros": 19, "why": "invoice"}}
    assert simulation.send("shop/order-paid", {"order_id": "o1", "cents": 2500}) == [run.id]
    assert simulation.send("shop/order-paid", {"order_id": "o2", "cents": 0}) == []
    archived = [row.pipeline for row in simulation.store.runs(limit=10) if row.pipeline == "archive"]
    assert archived == ["archive"]


def test_the_invoice_is_started_by_its_schedule_as_well(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "events.md", tmp_path)
    simulation.clock.advance(7 * 86_400_000)
    simulation.tick()
    simulation.tick()
    simulation.run_until_idle()
    (row,) = [row for row in simulation.store.runs(limit=10) if row.pipeline == "invoice"]
    assert simulation.finished(row.id).outputs()["amount"] == {"euros": 0, "why": "reminder"}


def test_the_publication_of_the_guide_to_errors_goes_on_without_captions(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "errors.md", tmp_path)
    run = sent(simulation, "video/ready", {"id": "v1"})
    assert run.status == "succeeded"
    assert run.outputs()["captions"] == {"language": "none"}
    assert run.records["captions"].error is not None
    texts = [call.arguments["text"] for call in simulation.calls if call.handler == "chat.post"]
    assert texts == ["no captions for v1: this codec has no captions", "v1 has captions in none"]
    assert simulation.called("video.clean") == 1


def test_an_error_that_is_thrown_on_fails_the_run_and_alarms(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "errors.md", tmp_path)

    def down(_: Call) -> Any:
        raise SimulatedError("resource", "captions.down", "no answer")

    simulation.handlers["captions.order"] = down
    run = sent(simulation, "video/ready", {"id": "v1"})
    assert run.status == "failed"
    assert simulation.called("captions.order") == 10  # the project's policy, `patient`
    assert [call.arguments["text"] for call in simulation.calls if call.handler == "chat.post"] == [
        "captions failed: captions.down"
    ]
    assert [letter.id for letter in simulation.store.dead_letters()] == [run.id]


def test_the_nearest_policy_that_covers_the_error_decides(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "errors.md", tmp_path)
    failures = [("permanent", "post.closed")] * 2 + [("transient", "http.503")] * 12

    def flaky(_: Call) -> Any:
        if not failures:
            return "label"
        raise SimulatedError(*failures.pop(0))

    simulation.handlers["post.label"] = flaky
    run = sent(simulation, "shop/order-paid", {"order_id": "o1"})
    assert (run.status, run.records["label"].attempts) == ("succeeded", 15)


def test_the_newsletter_of_the_guide_to_loops_counts_what_it_sent(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "loops.md", tmp_path)
    run = simulation.call("newsletter", {})
    simulation.run_until_idle()
    found = simulation.finished(run)
    assert (found.status, found.output) == ("succeeded", {"sent": 2, "failed": []})
    assert found.statuses()["reports"] == "skipped"
    assert found.records["letters[1]"].output == "letter 1 to bob@example.com"


def test_runs_of_the_guide_to_versions_end_as_the_version_says_that_they_began_with(tmp_path: Path) -> None:
    page = GUIDE / "versions.md"
    simulation = simulated(page, tmp_path / "first")
    (before,) = simulation.send("shop/ordered", {"id": "o1"})
    simulation.run_ready()
    changed = {
        title.removeprefix("next/"): text
        for title, text in sorted(titled(page).items(), key=lambda item: item[0].startswith("next/"))
    }
    project = load_project(write_project(tmp_path / "next", changed))
    assert project.manifest is not None
    simulation.deploy(list(project.plans.values()))
    (after,) = simulation.send("shop/ordered", {"id": "o2"})
    simulation.run_until_idle()
    assert simulation.finished(before).output == "parcel o1 from shelf of o1"
    assert simulation.finished(after).output == "gift o2 from shelf of o2"
    assert {"ship", "pack"} == {call.instance for call in simulation.calls} - {"reserve", "shelf"}


def test_the_report_of_the_guide_to_events_has_windows_without_gaps(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "events.md", tmp_path)
    for _ in range(20):
        simulation.clock.advance(86_400_000)
        simulation.tick()
    simulation.run_until_idle()
    rows = [row for row in simulation.store.runs(limit=100) if row.pipeline == "nightly-report"]
    windows = sorted(tuple(simulation.finished(row.id).outputs()["window"].values()) for row in rows)
    assert len(windows) == 23  # 20 nights, and a Saturday's afternoon in each week
    assert [until for _, until in windows[:-1]] == [since for since, _ in windows[1:]]


def test_the_fragments_of_the_guide_to_loops_give_these_outputs(tmp_path: Path) -> None:
    fragments = [block.text for block in blocks("yaml", GUIDE / "loops.md") if "steps" in block.words]
    outputs: list[Any] = []
    for number, text in enumerate(fragments):
        simulation = simulated(GUIDE / "loops.md", tmp_path / str(number), steps=text)
        begun = simulation.clock.now_ms()
        run = simulation.call("fragment", {"size": 5})
        simulation.run_until_idle()
        found = simulation.finished(run)
        assert found.status == "succeeded", found.error
        outputs.append((found.outputs(), simulation.clock.now_ms() - begun))
    regions, both, build, answer, job, route, waiting = outputs
    assert [regions[0][f"regions[{index}]"] for index in (0, 1)] == ["north: 5", "south: 5"]
    assert both[0]["both"] == 10
    assert build[0]["sum"] == {"readers": 9}
    assert (answer[0]["answer"], answer[1]) == ("in time", 300_000)
    assert (job[0]["job"], job[1]) == ({"percent": 120}, 30_000)
    assert route[0]["route"] == {"ok": True}
    assert waiting[1] == 86_400_000


def test_the_order_of_the_guide_to_waits_is_paid_or_expires(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "waits.md", tmp_path)
    runs = [simulation.send("shop/order-placed", {"order_id": ident})[0] for ident in ("o1", "o2")]
    simulation.run_ready()
    simulation.send("shop/order-paid", {"order_id": "o2", "cents": 500})
    simulation.run_until_idle()
    outputs = [simulation.finished(run).output for run in runs]
    assert outputs == [{"state": "expired", "cents": 0}, {"state": "paid", "cents": 500}]


def test_the_approval_of_the_guide_to_waits_is_given_or_not(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "waits.md", tmp_path)
    runs = [simulation.send("docs/submitted", {"id": ident})[0] for ident in ("d1", "d2")]
    simulation.run_ready()
    simulation.send("docs/decided", {"id": "d1", "decision": "yes"})
    simulation.run_ready()
    assert simulation.finished(runs[0]).output == "yes"
    simulation.run_until_idle()
    assert simulation.finished(runs[1]).output == "nobody answered"


def test_the_trip_of_the_guide_to_sagas_is_booked_and_reminded_of(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "sagas.md", tmp_path)
    (trip,) = simulation.send("trips/requested", {"city": "rome"})
    simulation.run_ready()
    found = simulation.finished(trip)
    assert (found.status, found.output) == ("succeeded", ["out-rome", "back-rome"])
    assert [row.due_ms for row in simulation.store.delayed()] == []
    begun = simulation.clock.now_ms()
    simulation.run_until_idle()
    assert simulation.clock.now_ms() - begun == 30 * 86_400_000


def test_the_trip_of_the_guide_to_sagas_is_taken_back(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "sagas.md", tmp_path)
    run = sent(simulation, "trips/requested", {"city": "atlantis"})
    assert run.status == "failed"
    calls = [(call.handler, call.arguments.get("booking")) for call in simulation.calls if "cancel" in call.handler]
    assert calls == [("flights.cancel", "out-atlantis"), ("hotels.cancel", "hotel-atlantis")]
    assert simulation.calls[-2].arguments["why"] == "flights.none"


def test_the_fragment_of_the_guide_to_sagas_reuses_its_output(tmp_path: Path) -> None:
    (fragment,) = [block.text for block in blocks("yaml", GUIDE / "sagas.md") if "steps" in block.words]
    simulation = simulated(GUIDE / "sagas.md", tmp_path, steps=fragment)
    for _ in range(2):
        run = simulation.call("fragment", {})
        simulation.run_ready()
        assert simulation.finished(run).outputs() == {"rates": {"id": "hotel-rome"}}
    assert simulation.called("hotels.book") == 1


def test_the_publication_of_the_guide_to_replays_is_replayed_from_its_failed_caption(tmp_path: Path) -> None:
    simulation = simulated(GUIDE / "replay.md", tmp_path)
    run = sent(simulation, "video/uploaded", {"source": "talk", "cents": 1900})
    assert (run.status, [letter.id for letter in simulation.store.dead_letters()]) == ("failed", [run.id])
    told = foretold(simulation, run.id, Wish(start="captions[1]"))
    shown = next(block.text for block in blocks("text", GUIDE / "replay.md") if "EFFECT" in block.text).splitlines()
    rows = [("", each) for each in told.effects] + [("perhaps", each) for each in told.perhaps]
    assert [line.split() for line in shown[3:-1]] == [
        [*filter(None, (sure, each.kind, each.step, each.target, each.effect))] for sure, each in rows
    ]
    simulation.handlers["captions.order"] = lambda call: f"{call.arguments['language']}.vtt"
    simulation.calls.clear()
    again = simulation.replay(run.id, Wish(start="captions[1]"))
    simulation.run_until_idle()
    assert [call.instance for call in simulation.calls] == ["captions[1]", "charge"]
    assert simulation.calls[1].idempotency_key == instance_key(run.id, "charge")
    assert simulation.finished(again).records["captions[0]"].output == "talk.mp4.en.vtt"
    edited = simulation.replay(again, Wish(data={"source": "talk", "cents": 2900}))
    simulation.run_until_idle()
    keys = {call.instance: call.idempotency_key for call in simulation.calls}
    assert keys["charge"] == instance_key(edited, "charge")
    assert keys["encode"] == instance_key(run.id, "encode")
