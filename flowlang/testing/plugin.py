"""The pytest plugin: pipeline tests as items, and the fixture `flowlang_simulate`.

A file `*.test.yaml` is collected when it lies in `pipelines/` or `tests/` of a project, the nearest folder above it
with a `flowlang.yaml`. Nothing of FlowLang is loaded before there is one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flowlang.model import TestDocument
    from flowlang.pipeline_tests import Suite, TestResult
    from flowlang.simulate import Simulation

_SUFFIXES = (".test.yaml", ".test.yml")
_FOLDERS = ("pipelines", "tests")
_PROJECT_FILE = "flowlang.yaml"

_suites: pytest.StashKey[dict[Path, Suite]] = pytest.StashKey()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take files of pipeline tests."""
    if not file_path.name.lower().endswith(_SUFFIXES):
        return None
    project = _project_of(file_path)
    if project is None or file_path.relative_to(project).parts[0] not in _FOLDERS:
        return None
    collector: pytest.Collector = PipelineTestFile.from_parent(parent, path=file_path, project=project)
    return collector


class PipelineTestFile(pytest.File):
    """A file of pipeline tests."""

    def __init__(self, *, project: Path, **rest: Any) -> None:
        super().__init__(**rest)
        self.project = project

    def collect(self) -> Iterator[pytest.Item]:
        """The tests of the file; one that fails where it has mistakes."""
        suite = self._suite()
        path = self.path.relative_to(self.project).as_posix()
        wrong = [item for item in suite.project.diagnostics if item.span.path == path and item.severity == "error"]
        if wrong:
            from flowlang.diagnostics import render  # noqa: PLC0415 - loaded when there is something to show

            raise pytest.Collector.CollectError(render(wrong, suite.project.sources).rstrip())
        for test in suite.tests:
            if test.source.path == path:
                yield PipelineTestItem.from_parent(self, name=test.name, suite=suite, test=test)

    def _suite(self) -> Suite:
        from flowlang.pipeline_tests import Suite  # noqa: PLC0415 - see the module's docstring

        known = self.config.stash.setdefault(_suites, {})
        if self.project not in known:
            known[self.project] = Suite.load(self.project, environment=os.environ.get("FLOWLANG_ENV", "development"))
        return known[self.project]


class PipelineTestItem(pytest.Item):
    """A pipeline test."""

    def __init__(self, *, suite: Suite, test: TestDocument, **rest: Any) -> None:
        super().__init__(**rest)
        self.suite = suite
        self.test = test

    def runtest(self) -> None:
        """Run it."""
        result = self.suite.run(self.test)
        if result.status == "skipped":
            raise pytest.skip.Exception(result.reason, _use_item_location=True)
        if result.status != "passed":
            raise PipelineTestFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What is shown of a failure: the places in the file, and what happened."""
        if not isinstance(excinfo.value, PipelineTestFailed):
            return super().repr_failure(excinfo, style)
        from flowlang.cli.test_report import Report  # noqa: PLC0415 - loaded when there is something to show
        from flowlang.diagnostics.paint import Paint  # noqa: PLC0415 - the same

        report = Report(self.suite.project.sources, Paint(on=False))
        return "\n".join(report.failure(excinfo.value.result))

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Where it is written, and its name."""
        return self.path, self.test.document.span_at(("test",), key=True).line - 1, self.name


class PipelineTestFailed(AssertionError):  # noqa: N818 - what it says
    """A pipeline test did not pass.

    Args:
        result: What came of it.
    """

    def __init__(self, result: TestResult) -> None:
        super().__init__("; ".join(f"{each.where}: {each.message}" for each in result.failures))
        self.result = result


@pytest.fixture
def flowlang_simulate(
    request: pytest.FixtureRequest,
) -> Callable[..., AbstractContextManager[Simulation]]:
    """`flowlang.testing.simulate` for the project that the test lies in."""
    from flowlang.testing.pipelines import simulate  # noqa: PLC0415 - see the module's docstring

    project = _project_of(request.path)
    if project is None:
        pytest.fail(f"no folder above {request.path} has a {_PROJECT_FILE}")
    return functools.partial(simulate, project)


@functools.lru_cache(maxsize=1024)
def _project_of(path: Path) -> Path | None:
    """The nearest folder above a file that holds a project."""
    return next((folder for folder in path.parents if (folder / _PROJECT_FILE).is_file()), None)
