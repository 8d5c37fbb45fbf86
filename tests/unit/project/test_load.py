"""A folder becomes a project: what is read, what is laid over what, and that nothing but a missing project raises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowlang.errors import ConfigError
from flowlang.plan import Observe, OtlpReceiver, PosthogReceiver, SlackReceiver, Uses
from flowlang.project import Project, load_project
from tests.unit.project.projects import PIPELINE, PROJECT_FILE, places, write_project

ROOT = Path(__file__).parents[3]


def load(folder: Path, files: dict[str, str | bytes], **more: Any) -> Project:
    return load_project(write_project(folder, files), entry_points=False, **more)


def test_the_shipped_project_has_no_findings_and_can_be_deployed() -> None:
    project = load_project(ROOT, entry_points=False)
    assert places(project.diagnostics) == []
    assert project.manifest is not None
    assert project.name == "academy"
    assert set(project.manifest.pipelines) == set(project.plans)
    assert {event.name for event in project.manifest.events} >= {"video/uploaded", "stripe/checkout.session.completed"}
    assert project.files == len(project.sources)


def test_checking_a_project_loads_nothing_that_only_running_needs() -> None:
    program = (
        "import sys; from pathlib import Path; from flowlang.project import load_project;"
        f" load_project(Path({str(ROOT)!r}), entry_points=False);"
        " print([m for m in ('jsonschema', 'dramatiq', 'redis', 'httpx', 'asyncio', 'handlers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["empty", "missing", "a file"])
def test_a_folder_without_a_project_is_an_error_that_says_what_to_write(tmp_path: Path, kind: str) -> None:
    folder = tmp_path if kind == "empty" else tmp_path / "x"
    if kind == "a file":
        folder.write_text("")
    with pytest.raises(ConfigError, match=r"no project in .*: it has no flowlang\.yaml\. Write one that begins with"):
        load_project(folder)


def test_pipelines_are_found_in_folders_and_tests_of_pipelines_are_left_out(tmp_path: Path) -> None:
    project = load(
        tmp_path,
        {
            "pipelines/a/b/one.yml": PIPELINE,
            "pipelines/TWO.YAML": PIPELINE.replace(": p", ": two"),
            "pipelines/p.test.yaml": "test: a\npipeline: p\ngiven: {call: {}}\nthen: {status: succeeded}\n",
            "pipelines/.hidden.yaml": "broken: [",
            "pipelines/.git/x.yaml": "broken: [",
            "pipelines/notes.md": "# no pipeline",
        },
    )
    assert places(project.diagnostics) == []
    assert set(project.plans) == {"p", "two"}
    assert set(project.sources) == {
        "flowlang.yaml",
        "pipelines/TWO.YAML",
        "pipelines/a/b/one.yml",
        "pipelines/p.test.yaml",
    }
    assert [test.name for test in project.tests] == ["a"]


def test_a_mistake_in_a_test_is_found_and_does_not_keep_from_deploying(tmp_path: Path) -> None:
    files = {"pipelines/p.yaml": PIPELINE, "tests/p.test.yaml": "test: a\npipeline: p\n"}
    found = load(tmp_path, dict(files))
    assert [code for code, _ in places(found.diagnostics)] == ["FL102", "FL102"]
    deployed = load_project(tmp_path, entry_points=False, deploying=True)
    assert places(deployed.diagnostics) == []
    assert deployed.manifest is not None


def test_tests_are_found_in_their_folder_too_and_those_of_other_projects_and_behind_links_are_not(
    tmp_path: Path,
) -> None:
    test = "test: a\npipeline: p\ngiven: {call: {}}\nthen: {status: succeeded}\n"
    write_project(
        tmp_path,
        {
            "pipelines/p.yaml": PIPELINE,
            "tests/pipelines/p.test.yml": test,
            "tests/other/flowlang.yaml": PROJECT_FILE,
            "tests/other/pipelines/x.test.yaml": "broken: [",
        },
    )
    (tmp_path / "tests" / "again").symlink_to(tmp_path / "tests" / "other" / "pipelines")
    project = load_project(tmp_path, entry_points=False)
    assert places(project.diagnostics) == []
    assert [found.source.path for found in project.tests] == ["tests/pipelines/p.test.yml"]


def test_a_project_without_pipelines_can_be_deployed_and_is_told_that_it_does_nothing(tmp_path: Path) -> None:
    project = load(tmp_path, {})
    assert places(project.diagnostics) == [("FL127", "flowlang.yaml:1:1")]
    assert project.diagnostics[0].severity == "info"
    assert project.manifest is not None


def test_the_findings_of_all_files_come_in_one_go_in_the_order_of_the_files(tmp_path: Path) -> None:
    project = load(
        tmp_path,
        {
            "flowlang.yaml": "flowlang: 1\nproject: test\nqueus: {}\n",
            "pipelines/b.yaml": PIPELINE.replace("steps", "stepps"),
            "pipelines/a.yaml": "flowlang: [",
            "handlers/h.py": "def (",
            "schemas/events/x.json": "{",
        },
    )
    assert places(project.diagnostics) == [
        ("FL101", "flowlang.yaml:3:1"),
        ("FL407", "handlers/h.py:1:5"),
        ("FL006", "pipelines/a.yaml:1:12"),
        ("FL101", "pipelines/b.yaml:3:1"),
        ("FL117", "schemas/events/x.json:1:2"),
    ]
    assert project.manifest is None
    assert project.name == tmp_path.name


def test_a_mistake_in_one_file_is_not_reported_again_where_others_rely_on_it(tmp_path: Path) -> None:
    caller = """flowlang: 1
pipeline: caller
triggers: [{event: pipeline/broken.succeeded}]
steps:
  - {id: a, uses: mail.send, retry: gentle, with: {to: "${{ vars.support }}"}}
"""
    project = load(
        tmp_path,
        {
            "flowlang.yaml": "flowlang: 1\nproject: test\nretries: {gentle: {attempts: many}}\nvars: {support: x}\n",
            "handlers/mail.py": "def send(",
            "pipelines/broken.yaml": "pipeline: {",
            "pipelines/caller.yaml": caller,
        },
    )
    assert [item.span.path for item in project.diagnostics] == [
        "flowlang.yaml",
        "handlers/mail.py",
        "pipelines/broken.yaml",
    ]


# Environments -------------------------------------------------------------------------------------------------------

SMALL = "flowlang: 1\npipeline: p\nsteps: [{id: a, set: {x: 1}}]\n"

OVERLAID = """flowlang: 1
project: shop
retries:
  gentle: {errors: transient, attempts: 2}
  other: {attempts: 3}
errors: {acme.Gone: permanent}
vars: {support: dev@example.com, site: example.com}
defaults: {retention: 2d, labels: {team: shop}}
limits: {event: 1KiB, step_output: 7KiB}
environments:
  production:
    lease: 45s
    durable: fsync
    retention: 30d
    retries: {gentle: {errors: transient, attempts: 9}}
    errors: {acme.Busy: resource}
    vars: {support: help@example.com}
    limits: {event: 2KiB}
    secrets: {from: [files, env]}
  staging:
    defaults: {retention: 5d}
    retention: 3d
"""

READER = """flowlang: 1
pipeline: p
steps:
  - {id: a, uses: mail.send, retry: [gentle, other], with: {to: "${{ vars.support }}", at: "${{ vars.site }}"}}
"""

MAIL = (
    'from flowlang import handler\n\n@handler("mail.send", effect="keyed")\ndef send(to: str, at: str) -> None: ...\n'
)

FILES: dict[str, str | bytes] = {"flowlang.yaml": OVERLAID, "pipelines/p.yaml": READER, "handlers/mail.py": MAIL}


def test_an_overlay_replaces_what_it_writes_and_keeps_the_rest(tmp_path: Path) -> None:
    project = load(tmp_path, FILES, environment="production")
    assert places(project.diagnostics) == []
    plan = project.plans["p"]
    assert project.manifest is not None
    assert [rule.attempts for rule in plan.steps[0].retry[0]] == [9, 3]
    assert dict(plan.vars) == {"support": "help@example.com", "site": "example.com"}
    assert project.manifest.errors == {"acme.Gone": "permanent", "acme.Busy": "resource"}
    assert (project.manifest.limits["event"], project.manifest.limits["step_output"]) == (2048, 7168)
    assert project.manifest.durable == "fsync"
    assert project.manifest.secrets == ("files", "env")
    assert plan.retention_ms == 30 * 86_400_000
    assert plan.labels == {"team": "shop"}
    assert project.settings == {"lease": "45s"}


@pytest.mark.parametrize("environment", ["development", "elsewhere"])
def test_an_environment_without_an_overlay_is_the_project_as_written(tmp_path: Path, environment: str) -> None:
    project = load(tmp_path, FILES, environment=environment)
    assert places(project.diagnostics) == []
    assert [rule.attempts for rule in project.plans["p"].steps[0].retry[0]] == [2, 3]
    assert project.manifest is not None
    assert project.manifest.durable == "none"
    assert project.plans["p"].retention_ms == 2 * 86_400_000
    assert project.settings == {}


def test_defaults_of_an_overlay_win_over_its_short_retention(tmp_path: Path) -> None:
    project = load(tmp_path, FILES, environment="staging")
    assert project.plans["p"].retention_ms == 5 * 86_400_000


def test_a_mistake_in_what_an_overlay_says_is_found_where_the_overlay_says_it(tmp_path: Path) -> None:
    text = OVERLAID + '    webhooks: {acme: {provider: nobody, secret: "${{ secrets.A }}", event: acme/x}}\n'
    assert places(load(tmp_path, {**FILES, "flowlang.yaml": text}).diagnostics) == []
    found = load(tmp_path, {**FILES, "flowlang.yaml": text}, environment="staging").diagnostics
    assert places(found) == [("FL303", "flowlang.yaml:23:33")]


@pytest.mark.parametrize(
    ("of_pipeline", "of_project", "allow"),
    [
        ("", "", None),
        ("", "defaults: {allow: [ops]}\n", ("ops",)),
        ("allow: [billing, web]\n", "defaults: {allow: [ops]}\n", ("billing", "web")),
        ("allow: []\n", "defaults: {allow: [ops]}\n", ()),
        ("allow: [billing]\n", "", ("billing",)),
    ],
)
def test_a_pipeline_allows_whom_it_names_else_whom_the_project_names(
    tmp_path: Path, of_pipeline: str, of_project: str, allow: tuple[str, ...] | None
) -> None:
    files: dict[str, str | bytes] = {
        "flowlang.yaml": f"flowlang: 1\nproject: shop\n{of_project}",
        "pipelines/p.yaml": f"flowlang: 1\npipeline: p\n{of_pipeline}steps: [{{id: a, set: {{x: 1}}}}]\n",
    }

    assert load(tmp_path, files).plans["p"].allow == allow


OBSERVED = """flowlang: 1
project: shop
observe:
  slack: {channel: ops, when: [dead_letter, bug]}
  otlp: {url: "${{ env.COLLECTOR }}", headers: {x-api-key: "${{ secrets.OTLP_KEY }}"}}
  posthog: {url: "https://eu.i.posthog.com", key: "${{ secrets.POSTHOG_KEY }}"}
"""


def test_who_is_told_of_runs_is_deployed_with_the_variables_and_without_the_secrets(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {**FILES, "flowlang.yaml": OBSERVED, "pipelines/p.yaml": SMALL}
    write_project(tmp_path, files)
    project = load_project(tmp_path, environ={"COLLECTOR": "http://otel:4318"}, deploying=True, entry_points=False)

    assert project.manifest is not None
    assert project.manifest.observe == Observe(
        slack=SlackReceiver(("dead_letter", "bug"), channel="ops", token="${{ secrets.SLACK_TOKEN }}"),
        otlp=OtlpReceiver("${{ env.COLLECTOR }}", {"x-api-key": "${{ secrets.OTLP_KEY }}"}),
        posthog=PosthogReceiver("https://eu.i.posthog.com", "${{ secrets.POSTHOG_KEY }}"),
        env={"COLLECTOR": "http://otel:4318"},
    )


def test_a_variable_that_a_receiver_reads_must_be_there_at_the_deploy(tmp_path: Path) -> None:
    write_project(tmp_path, {**FILES, "flowlang.yaml": OBSERVED, "pipelines/p.yaml": SMALL})
    project = load_project(tmp_path, environ={}, deploying=True, entry_points=False)

    assert places(project.diagnostics) == [("FL208", "flowlang.yaml:5:24")]


def test_a_project_that_tells_nobody_deploys_no_receivers(tmp_path: Path) -> None:
    project = load(tmp_path, {**FILES, "flowlang.yaml": "flowlang: 1\nproject: shop\n", "pipelines/p.yaml": SMALL})

    assert project.manifest is not None
    assert project.manifest.observe is None


# Variables ----------------------------------------------------------------------------------------------------------

ENV = (
    'flowlang: 1\npipeline: p\nvars: {price: "${{ env.PRICE }}"}\nsteps:\n  - {id: a, set: {x: "${{ vars.price }}"}}\n'
)


def test_variables_are_part_of_what_is_deployed_and_not_of_what_is_checked(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"pipelines/p.yaml": ENV}
    assert load(tmp_path, files, environ={"PRICE": "5"}).plans["p"].env == {}
    assert load(tmp_path, files, environ={"PRICE": "5", "X": "1"}, deploying=True).plans["p"].env == {"PRICE": "5"}


def test_a_variable_that_is_not_set_is_found_when_deploying_only(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"pipelines/p.yaml": ENV}
    assert places(load(tmp_path, files).diagnostics) == []
    project = load(tmp_path, files, deploying=True)
    assert places(project.diagnostics) == [("FL208", "pipelines/p.yaml:3:24")]
    assert project.manifest is None


# Handlers -----------------------------------------------------------------------------------------------------------


def test_handlers_come_from_files_by_their_declarations(tmp_path: Path) -> None:
    verb = load(tmp_path, FILES).plans["p"].steps[0].verb
    assert isinstance(verb, Uses)
    assert (verb.handler, verb.effect) == ("mail.send", "keyed")


def test_the_second_of_two_handlers_of_one_name_is_found_with_the_place_of_the_first(tmp_path: Path) -> None:
    project = load(tmp_path, {**FILES, "handlers/z.py": MAIL})
    (item,) = project.diagnostics
    assert places([item]) == [("FL404", "handlers/z.py:3:1")]
    assert [label.span.path for label in item.labels] == ["handlers/mail.py"]


def test_a_handler_in_another_encoding_is_read_and_no_finding(tmp_path: Path) -> None:
    text = b"# -*- coding: latin-1 -*-\n# \xe9\n" + MAIL.encode()
    assert places(load(tmp_path, {**FILES, "handlers/mail.py": text}).diagnostics) == []


# Lint ---------------------------------------------------------------------------------------------------------------

UNDECLARED = "flowlang: 1\npipeline: p\ntriggers: [{event: a/b}]\nsteps:\n  - {id: a, set: {x: 1}}\n"


@pytest.mark.parametrize(
    ("lint", "codes"),
    [
        ("{}", ["FL304"]),
        ("{ignore: [FL304]}", []),
        ("{ignore: [FL3]}", []),
        ("{ignore: [FL4]}", ["FL304"]),
        ("{select: [FL4]}", []),
        ("{select: [FL3]}", ["FL304"]),
        ("{per_file: {pipelines/*: [FL304]}}", []),
        ("{per_file: {handlers/*: [FL304]}}", ["FL304"]),
    ],
)
def test_lint_leaves_findings_out(tmp_path: Path, lint: str, codes: list[str]) -> None:
    text = f"flowlang: 1\nproject: test\nlint: {lint}\n"
    found = load(tmp_path, {"flowlang.yaml": text, "pipelines/p.yaml": UNDECLARED}).diagnostics
    assert [item.code for item in found] == codes


def test_lint_never_leaves_errors_out(tmp_path: Path) -> None:
    text = "flowlang: 1\nproject: test\nlint: {ignore: [ALL]}\n"
    project = load(tmp_path, {"flowlang.yaml": text, "pipelines/p.yaml": "flowlang: 1\n"})
    assert {item.code for item in project.diagnostics} == {"FL102"}
    assert project.manifest is None


# Anything -----------------------------------------------------------------------------------------------------------

CONTENT = st.one_of(
    st.binary(max_size=40), st.sampled_from([PIPELINE.encode(), OVERLAID.encode(), b"{}", b"[1]", b"a: &a [*a]"])
)
PATHS = st.sampled_from(
    ["flowlang.yaml", "pipelines/p.yaml", "schemas/events/a.json", "schemas/b.json", "handlers/h.py"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(PATHS, CONTENT, max_size=5))
def test_whatever_the_files_hold_becomes_a_project_with_findings(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    project = load(tmp_path_factory.mktemp("any"), dict(files))
    errors = [item for item in project.diagnostics if item.severity == "error"]
    assert (project.manifest is None) == bool(errors)
    assert {item.span.path for item in project.diagnostics} <= {"flowlang.yaml", *files}
