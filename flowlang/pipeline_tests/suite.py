"""The tests of a project: choosing and running them."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from flowlang.clock import monotonic_ms
from flowlang.compiler.pipeline_tests import reached
from flowlang.errors import FlowError
from flowlang.handler.discover import Discovery, discover
from flowlang.model import TestDocument
from flowlang.pipeline_tests.result import Failure, TestResult
from flowlang.pipeline_tests.scenario import Scenario
from flowlang.project.load import Project, load_project
from flowlang.redaction import Mask


class Suite:
    """A project with its tests.

    Args:
        project: As it was read.
    """

    def __init__(self, project: Project) -> None:
        self.project = project

    @classmethod
    def load(cls, folder: Path, *, environment: str = "development") -> Suite:
        """Read a project.

        Args:
            folder: Where its `flowlang.yaml` is.
            environment: Which overlay of `flowlang.yaml` applies.

        Raises:
            ConfigError: when the folder holds no project.
        """
        return cls(load_project(folder, environment=environment))

    @property
    def tests(self) -> Sequence[TestDocument]:
        """All tests, in the order of files and in them."""
        return self.project.tests

    def chosen(self, paths: Iterable[Path] = (), name: str = "") -> list[TestDocument]:
        """Choose tests.

        Args:
            paths: Files or folders; a pipeline's file stands for the tests of its pipelines. Without any: all tests.
            name: A part of the test's name, or of its pipeline's; case does not count.
        """
        resolved = [path.resolve() for path in paths]
        return [test for test in self.tests if self._is_below(test, resolved) and _is_named(test, name)]

    def run(self, test: TestDocument) -> TestResult:
        """Run one test. What goes wrong in it becomes its result, never an error; its secrets are hidden there."""
        mask = Mask() if test.model is None else Mask(test.model.secrets.values())
        return self._run(test).hiding(mask)

    def _run(self, test: TestDocument) -> TestResult:
        started = monotonic_ms()
        model = test.model
        if model is None:
            return self._unable(test, "the test has mistakes: see `flowlang validate`")
        if model.skip is not None:
            return TestResult(test, "skipped", reason=model.skip)
        plans = {}
        for name in sorted(reached(self.project.plans, [model.pipeline, *model.also])):
            if name not in self.project.plans:
                return self._unable(test, f"the pipeline `{name}` has errors: see `flowlang validate`")
            plans[name] = self.project.plans[name]
        try:
            scenario = Scenario(test, model, plans, self.project, self._handlers)
            scenario.play()
        except FlowError as error:
            return self._unable(test, str(error))
        except Exception as error:  # noqa: BLE001 - a bug of ours ends one test, not all of them
            trace = "".join(traceback.format_exception(error))
            return self._unable(test, f"this is a bug in FlowLang: {error!r}\n{trace}")
        return TestResult(
            test,
            "failed" if scenario.failures else "passed",
            tuple(scenario.failures),
            lines=tuple(scenario.lines),
            journals=scenario.journals(),
            virtual_ms=scenario.sim.clock.now_ms() - scenario.began_ms,
            took_ms=monotonic_ms() - started,
        )

    def run_all(self, tests: Iterable[TestDocument]) -> Iterator[TestResult]:
        """Run tests, one after the other."""
        for test in tests:
            yield self.run(test)

    def _handlers(self) -> Discovery:
        return _handlers_of(self.project.folder.resolve())

    def _unable(self, test: TestDocument, message: str) -> TestResult:
        failure = Failure("", message, test.document.span_at(("test",)))
        return TestResult(test, "error", (failure,))

    def _is_below(self, test: TestDocument, paths: Sequence[Path]) -> bool:
        if not paths:
            return True
        folder = self.project.folder.resolve()
        files = [folder / test.source.path]
        files += [
            folder / document.source.path
            for document in self.project.pipelines
            if test.model is not None and document.name == test.model.pipeline
        ]
        return any(
            file == path or (number == 0 and file.is_relative_to(path))
            for path in paths
            for number, file in enumerate(files)
        )


@functools.lru_cache(maxsize=8)
def _handlers_of(folder: Path) -> Discovery:
    """Import the project's handlers, once a process."""
    return discover(folder)


def _is_named(test: TestDocument, name: str) -> bool:
    pipeline = "" if test.model is None else test.model.pipeline
    return name.casefold() in f"{pipeline} {test.name}".casefold()
