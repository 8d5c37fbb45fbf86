"""The examples of the language's description: each is checked, and runs its stories, on virtual time.

The examples lie beside the project, in `../shared/examples`; what they take as given (signatures of handlers, an event's
schema, a pipeline that one of them invokes) and their stories are in `project`.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from flowlang.diagnostics import Severity
from flowlang.pipeline_tests import Suite

#: Where the examples are, when it is not beside the project.
EXAMPLES_VARIABLE = "FLOWLANG_TEST_EXAMPLES"
EXAMPLES = Path(os.environ.get(EXAMPLES_VARIABLE, Path(__file__).parents[3] / "shared" / "examples"))

PROJECT = Path(__file__).with_name("project")
STORIES = sorted(file.name for file in (PROJECT / "tests").iterdir())

pytestmark = pytest.mark.skipif(
    not EXAMPLES.is_dir(),
    reason=f"the language's examples are not here: no folder {EXAMPLES} (set {EXAMPLES_VARIABLE})",
)


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """One project of the examples and of what they take as given."""
    folder = shutil.copytree(PROJECT, tmp_path_factory.mktemp("examples") / "project")
    shutil.copytree(EXAMPLES, folder / "pipelines", dirs_exist_ok=True)
    return Suite.load(folder)


def pipelines(suite: Suite) -> set[str]:
    own = {file.name for file in (PROJECT / "pipelines").iterdir()}
    documents = [document for document in suite.project.pipelines if Path(document.source.path).name not in own]
    return {document.name or document.source.path for document in documents}


def test_each_example_is_valid(examples: Suite) -> None:
    findings = [item for item in examples.project.diagnostics if item.severity is not Severity.INFO]
    assert [f"{item.span.path}:{item.span.line}: {item.message}" for item in findings] == []
    assert len(pipelines(examples)) >= 14


def test_each_example_has_two_stories_or_more(examples: Suite) -> None:
    told = Counter(test.model.pipeline for test in examples.tests if test.model is not None)
    assert {name: told[name] for name in pipelines(examples) if told[name] < 2} == {}


@pytest.mark.parametrize("file", [*STORIES, "pipelines/10-order-saga.test.yaml"])
def test_its_stories_are_true(examples: Suite, file: str) -> None:
    stories = [test for test in examples.tests if test.source.path in {file, f"tests/{file}"}]
    results = [examples.run(test) for test in stories]
    found = [f"{result.name}: {each.where}: {each.message}" for result in results for each in result.failures]
    assert found == []
    assert {result.status for result in results} == {"passed"}
