"""The JSON Schemas for editors: what ships fits them, and mistakes of shape do not, as far as a schema can tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from flowlang.cli.commands.schema import FILES, schema_files
from flowlang.cli.root import cli
from flowlang.editing.json_schema import (
    Names,
    schema_of_events,
    schema_of_pipelines,
    schema_of_project,
    schema_of_tests,
)
from flowlang.model.providers import PROVIDERS
from flowlang.model.yaml_source import decode, read_yaml
from flowlang.plan import EventSchema
from flowlang.project import load_project
from tests.unit.project.projects import write_project

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "diagnostics"
EXAMPLES = ROOT.parent / "shared" / "examples"

#: Mistakes that the schemas cannot see, by the golden file, with the reason.
UNSEEN = {
    "FL110_duplicate_id": "ids of different maps are compared",
    "FL115_zone": "the time zones are those of the machine that checks",
}


def documents(file: Path) -> list[Any]:
    source, _ = decode(file.name, file.read_bytes())
    return [document.data() for document in read_yaml(source)[0]]


def mistakes(schema: dict[str, Any], data: Any) -> list[str]:
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


def schema_of(file: Path, schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if file.name.endswith("flowlang.yaml"):
        return schemas["project"]
    return schemas["tests" if file.name.endswith(".test.yaml") else "pipeline"]


def plain() -> dict[str, dict[str, Any]]:
    names = Names()
    return {
        "pipeline": schema_of_pipelines(names),
        "project": schema_of_project(names),
        "tests": schema_of_tests(names),
    }


@pytest.fixture(scope="module")
def shipped() -> dict[str, dict[str, Any]]:
    contents = schema_files(load_project(ROOT), ROOT)
    return {what: json.loads(contents[path]) for what, path in FILES.items()}


def test_the_schemas_are_schemas(shipped: dict[str, dict[str, Any]]) -> None:
    for schema in shipped.values():
        jsonschema.validators.validator_for(schema).check_schema(schema)


@pytest.mark.parametrize(
    "file", [*sorted(ROOT.glob("pipelines/*.yaml")), ROOT / "flowlang.yaml"], ids=lambda file: file.name
)
def test_what_ships_fits(file: Path, shipped: dict[str, dict[str, Any]]) -> None:
    for data in documents(file):
        assert mistakes(schema_of(file, shipped), data) == []


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the language's description is not beside the project")
@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_the_examples_of_the_language_fit(file: Path) -> None:
    for data in documents(file):
        assert mistakes(schema_of(file, plain()), data) == []


SHAPES = sorted(file for file in GOLDEN.glob("FL1*.yaml") if documents(file))


@pytest.mark.parametrize("file", SHAPES, ids=lambda file: file.stem)
def test_mistakes_of_shape_do_not_fit_as_far_as_a_schema_can_tell(file: Path) -> None:
    found = [mistake for data in documents(file) for mistake in mistakes(schema_of(file, plain()), data)]
    assert (not found) == (file.stem.removesuffix(".flowlang") in UNSEEN), found


def test_every_exception_is_a_golden_file() -> None:
    assert set(UNSEEN) <= {file.stem for file in SHAPES}


STEP = {"id": "a", "uses": "stripe.refund"}


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({**STEP, "with": {"payment_intent": "pi", "reason": "x"}}, ""),
        ({**STEP, "with": "${{ event.data }}"}, ""),
        ({"id": "a", "uses": "stripe.refnd"}, "stripe.refnd"),
    ],
)
def test_handlers_are_known_by_name(step: dict[str, Any], says: str, tmp_path: Path) -> None:
    handler = (
        "from flowlang import handler\n@handler('stripe.refund', effect='keyed')\n"
        "def refund(payment_intent: str, reason: str = '', lines: list[str] | None = None) -> None:\n"
        '    """Give the money back."""\n'
    )
    write_project(tmp_path, {"handlers/h.py": handler, "pipelines/p.yaml": "flowlang: 1\npipeline: p\nsteps: []\n"})
    contents = schema_files(load_project(tmp_path, entry_points=False), tmp_path)
    schema = json.loads(contents[FILES["pipeline"]])
    pipeline = {"flowlang": 1, "pipeline": "p", "steps": [step]}
    found = mistakes(schema, pipeline)
    assert (says in "".join(found)) if says else found == []
    for wrong in ({}, {"payment_intnt": "pi"}, {"payment_intent": ["pi"]}, {"payment_intent": "pi", "lines": 3}):
        assert mistakes(schema, {**pipeline, "steps": [{**STEP, "with": wrong}]}), wrong
    assert "Give the money back." in contents[FILES["pipeline"]]


SECRET = "${{ secrets.HOOK }}"


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_providers_of_webhooks_are_those_that_there_are(name: str) -> None:
    known = PROVIDERS[name]
    written = {each: "https://example.com/hooks/x" if each == "url" else "x" for each in known.needs}
    right = {"provider": name, "event": "x/y"} | ({"options": written} if written else {})
    if known.secret:
        right["secret"] = SECRET
    schema = schema_of_project(Names())

    def wrong(**changed: Any) -> list[str]:
        webhook = {key: value for key, value in {**right, **changed}.items() if value is not None}
        return mistakes(schema, {"flowlang": 1, "project": "p", "webhooks": {"x": webhook}})

    assert wrong() == []
    assert schema["definitions"]["Webhook"]["properties"]["provider"]["enum"] == sorted(PROVIDERS)
    assert any(f"'{name}x' is not one of" in each for each in wrong(provider=f"{name}x"))
    assert wrong(provider=None)
    assert wrong(secret=None if known.secret else SECRET)
    assert wrong(options={**written, "tolernce": "5m"})
    for each in known.needs:
        assert wrong(options={key: value for key, value in written.items() if key != each})
    for each in set().union(*(other.takes for other in PROVIDERS.values())) - {*known.needs, *known.takes}:
        assert wrong(options={**written, each: "x"})


def test_a_webhook_that_takes_what_nobody_signed_has_no_provider() -> None:
    data = {"flowlang": 1, "project": "p", "webhooks": {"bell": {"unsigned": True, "event": "bell/rung"}}}
    assert mistakes(schema_of_project(Names()), data) == []


def test_an_event_is_checked_against_its_own_schema() -> None:
    own = {"type": "object", "properties": {"at": {"$ref": "#/$defs/day"}}, "$defs": {"day": {"type": "integer"}}}
    schema = schema_of_events(Names(events={"a/b": EventSchema("a/b", own, "schemas/events/a/b.json")}))
    assert mistakes(schema, {"name": "a/b", "data": {"at": 3}}) == []
    assert mistakes(schema, {"name": "c/d", "data": 3}) == []
    assert mistakes(schema, {"name": "a/b", "data": {"at": "x"}})
    assert mistakes(schema, {"name": "pipeline/x.succeeded"})


def test_the_shipped_files_are_those_that_the_command_writes() -> None:
    done = CliRunner().invoke(cli, ["schema", "--check", "--project", str(ROOT)])
    assert done.exit_code == 0, done.output


def test_the_command_prints_writes_and_compares(tmp_path: Path) -> None:
    write_project(tmp_path, {"pipelines/p.yaml": "flowlang: 1\npipeline: p\nsteps: [{id: a, set: {x: 1}}]\n"})

    def call(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["schema", *arguments, "--project", str(tmp_path)])

    assert json.loads(call("tests").stdout)["title"] == "Tests of pipelines."
    assert call("--check").exit_code == 1
    assert len(call("--write").stdout.splitlines()) == len(FILES)
    assert call("--check").exit_code == 0
    (tmp_path / FILES["event"]).write_text("{}")
    assert "event.schema.json is not what it would be now; run `flowlang schema --write`" in call("--check").stderr
    assert call("--write").stdout.splitlines() == [str(tmp_path / FILES["event"])]
    assert load_project(tmp_path, entry_points=False).diagnostics == ()
