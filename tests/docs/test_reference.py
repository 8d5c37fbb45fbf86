"""The pages of reference are complete: whatever the code has is named, and what is named is there."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import flowlang
from flowlang import client, testing
from flowlang.cli.reference_pages import PAGES
from flowlang.compiler.pipeline_tests import CHECK_NAMES
from flowlang.diagnostics import CODES
from flowlang.engine.retry import BUILT_IN, CLASSES
from flowlang.handler.classify import HTTP_STATUSES, WELL_KNOWN
from flowlang.model.base import Part
from flowlang.model.pipeline import Pipeline
from flowlang.model.pipeline_tests import (
    SHARED_KEYS,
    Expected,
    ExpectedCalls,
    ExpectedError,
    ExpectedEvent,
    ExpectedRun,
    ExpectedStep,
    ExpectedUndo,
    Fault,
    Given,
    PipelineTest,
    RunStatus,
    When,
)
from flowlang.model.pipeline_tests import Answer as ScriptedAnswer
from flowlang.model.policy import RetryPolicy
from flowlang.model.project_file import DatedSecret, ProjectFile, Webhook, WebhookOptions
from flowlang.model.providers import PROVIDERS
from flowlang.model.trigger import CronTrigger, EventTrigger
from flowlang.model.verbs import TAKEN_BY, VERBS
from flowlang.server.app import own_routes
from flowlang.service.answers import Answer
from tests.docs.blocks import ROOT

REFERENCE = ROOT / "docs/reference"


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def _section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, f"there is no section {title}"
    return found[1]


def _named(text: str) -> set[str]:
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"[a-z_]+", code)}


def _keys(text: str) -> set[str]:
    """The words in the first cells of tables."""
    return {key for row in re.findall(r"^\| ([^|]+)\|", text, re.MULTILINE) for key in re.findall(r"`([^`]+)`", row)}


@pytest.mark.parametrize("page", list(PAGES))
def test_a_page_that_is_made_from_the_code_is_fresh(page: str) -> None:
    written = (ROOT / page).read_text(encoding="utf-8")
    assert written == PAGES[page](), "run `python -m flowlang.cli.reference_pages`"


def test_the_language_page_has_every_key_of_a_pipeline() -> None:
    text = _page("language.md")
    assert _keys(_section(text, "Pipeline")) == set(Pipeline.keys())


def test_the_language_page_has_every_verb_and_modifier_that_runs() -> None:
    keys = _keys(_section(_page("language.md"), "Steps"))
    verbs = set(VERBS)
    modifiers = set(TAKEN_BY) - {"id", "with", "output"}
    assert keys == verbs | modifiers


def test_the_language_page_has_every_key_of_triggers_and_policies() -> None:
    text = _page("language.md")
    triggers = _keys(_section(text, "Triggers"))
    assert triggers == {*EventTrigger.keys(), *CronTrigger.keys()}
    assert _keys(_section(text, "Retry policies")) == set(RetryPolicy.keys())


def test_the_language_page_has_every_key_of_the_project() -> None:
    assert _keys(_section(_page("language.md"), "flowlang.yaml")) == set(ProjectFile.keys())


def test_the_guide_names_every_provider_of_webhooks() -> None:
    guide = (ROOT / "docs/guide/webhooks.md").read_text(encoding="utf-8")
    assert [name for name in PROVIDERS if f"`{name}`" not in guide and f"`{name}," not in guide] == []
    assert [name for name in PROVIDERS if f"provider: {name}\n" not in guide] == []


def test_the_language_page_has_every_key_of_webhooks() -> None:
    keys = _keys(_section(_page("language.md"), "Webhooks"))
    assert keys == {*Webhook.keys(), *DatedSecret.keys(), *WebhookOptions.keys()}


def test_the_handlers_page_has_the_whole_public_face() -> None:
    named = _named(_page("handlers.md")) | set(re.findall(r"`([A-Za-z]+)[`(]", _page("handlers.md")))
    assert [name for name in flowlang.__all__ if name not in named and f"`{name}" not in _page("handlers.md")] == []


def test_the_handlers_page_has_every_member_of_the_context() -> None:
    table = _keys(_section(_page("handlers.md"), "Context"))
    named = {re.split(r"[(\[]", key)[0] for key in table}
    slots = {name for name in flowlang.Context.__slots__ if not name.startswith("_")}
    methods = {name for name in vars(flowlang.Context) if not name.startswith("_")}
    assert named == slots | methods


def test_the_handlers_page_has_the_arguments_of_the_decorator_and_of_test_contexts() -> None:
    text = _page("handlers.md")
    declared = set(inspect.signature(flowlang.handler).parameters)
    assert _keys(_section(text, "handler")) == declared
    for_test = set(inspect.signature(flowlang.Context.for_test).parameters)
    assert for_test <= _named(_section(text, "Context"))


def test_the_handlers_page_has_what_tests_import() -> None:
    section = _section(_page("handlers.md"), "Tests")
    assert {re.split(r"\(", key)[0] for key in _keys(section)} == {*testing.__all__, "flowlang_simulate"}
    for name in ("call", "attempt", "check_handler", "simulate"):
        assert set(inspect.signature(getattr(testing, name)).parameters) <= _named(section)
    assert {field.name for field in dataclasses.fields(testing.Attempted)} <= _named(section)
    assert all(hasattr(testing.Simulation, name) for name in ("send", "call", "cancel", "run_until_idle", "run_until"))


def test_the_guide_to_clients_has_every_call_and_every_error() -> None:
    guide = (ROOT / "docs/guide/clients.md").read_text(encoding="utf-8")
    for kind in (flowlang.Client, flowlang.AsyncClient):
        calls = {name for name in vars(kind) if not name.startswith("_")} - {"close"}
        assert {re.split(r"\(", key)[0] for key in _keys(_section(guide, "The calls"))} == calls
    errors = {name for name in client.__all__ if name.endswith("Error")} - {"ClientError", "ProblemError"}
    assert _keys(_section(guide, "What is raised")) == errors


def test_the_errors_page_has_every_well_known_exception() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| `(\w+)` \| `([\w.]+)` \|$", _page("errors.md"), re.MULTILINE)
    shown = {name: (error_class, code) for name, error_class, code in rows}
    known = {
        name.removeprefix("builtins.").replace("pydantic_core._pydantic_core", "pydantic"): kind
        for name, kind in WELL_KNOWN.items()
    }
    assert shown == known


def test_the_errors_page_has_every_class_with_its_attempts_and_every_status() -> None:
    classes = _section(_page("errors.md"), "Classes")
    assert _keys(classes) == CLASSES
    attempts = dict(re.findall(r"^\| `(\w+)` \|.*\| (\d+)[^|]*\|$", classes, re.MULTILINE))
    assert {rule.errors[0]: str(rule.attempts) for rule in BUILT_IN}.items() <= attempts.items()
    statuses = _section(_page("errors.md"), "HTTP answers")
    shown = {int(code): kind for codes, kind in re.findall(r"^\| ([\d, ]+) \| `(\w+)` \|$", statuses, re.MULTILINE) for code in codes.split(", ")}  # fmt: skip
    assert shown == dict(HTTP_STATUSES)


def test_the_http_page_has_every_route_and_no_other() -> None:
    unused: Any = None
    routes = {
        route.name
        for route in own_routes(unused, unused, unused, waiting=unused, limits=unused, draining=lambda: False).all
    }
    assert _keys(_section(_page("http.md"), "Routes")) == routes


def test_the_http_page_has_every_status_of_an_answer() -> None:
    statuses = set(get_args(inspect.get_annotations(Answer, eval_str=True)["status"]))
    assert statuses <= _keys(_section(_page("http.md"), "Sending events"))


def test_the_http_page_has_every_code_of_a_problem() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "flowlang/server").rglob("*.py"))
    codes = set(re.findall(r"HttpProblem\(\s*\d{3}, \"([a-z.-]+)\"", source))
    codes |= set(re.findall(r"\(\d{3}, \"([a-z-]+\.[a-z-]+)\"\)", source))
    assert len(codes) > 15
    shown = set(re.findall(r"`([a-z.-]+)`", _section(_page("http.md"), "Problems")))
    assert codes <= shown


@pytest.mark.parametrize(
    ("title", "parts"),
    [
        ("A test", (PipelineTest,)),
        ("given", (Given,)),
        ("handlers", (ScriptedAnswer,)),
        ("faults", (Fault,)),
        ("then", (Expected, ExpectedError, ExpectedStep, ExpectedUndo, ExpectedCalls, ExpectedEvent, ExpectedRun)),
    ],
)
def test_the_page_of_pipeline_tests_has_every_key(title: str, parts: tuple[type[Part], ...]) -> None:
    section = _section(_page("pipeline-tests.md"), title)
    tables = [_keys(text) for text in re.split(r"^### ", section, flags=re.MULTILINE)]
    assert tables == [set(part.keys()) for part in parts]


def test_the_page_of_pipeline_tests_has_every_action_and_every_word() -> None:
    text = _page("pipeline-tests.md")
    assert _keys(_section(text, "when")) == set(When.keys()) - set(Given.keys())
    words = {
        *get_args(RunStatus),
        "absent",
        *(fault for fault in get_args(Fault.model_fields["crash"].annotation)),
        *SHARED_KEYS,
        *CHECK_NAMES,
    }
    assert [word for word in words if f"`{word}`" not in text] == []


def test_no_page_is_forgotten() -> None:
    assert {path.name for path in Path(REFERENCE).iterdir()} >= {
        Path(page).name for page in PAGES if (ROOT / page).parent == REFERENCE
    }
    assert {path.stem for path in (ROOT / "docs/rules").iterdir()} == set(CODES)
