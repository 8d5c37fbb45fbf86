"""`flowlang test`: pipeline tests."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from flowlang.cli.logs import clean_logs
from flowlang.cli.session import OK, REFUSED, Command, Session
from flowlang.errors import ConfigError

if TYPE_CHECKING:
    from flowlang.cli.test_report import Report
    from flowlang.model import TestDocument
    from flowlang.pipeline_tests import Coverage, Suite, TestResult
    from flowlang.settings import Settings


#: How often changes are looked for, in seconds.
_PAUSE_S: Final = 0.2


@click.command("test", cls=Command)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-k", "name", metavar="TEXT", default="", help="Only tests with this in their name or pipeline's name.")
@click.option("-x", "--exitfirst", is_flag=True, help="Stop at the first test that does not pass.")
@click.option("--journal", is_flag=True, help="Show what happened in tests that pass too, and all of long journals.")
@click.option("--coverage", is_flag=True, help="Show which steps, conditions, cases, catches and loops were run.")
@click.option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT", help="Least coverage; exit 1 below it.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit's XML.")
@click.option("--watch", is_flag=True, help="Run them again at each change, until Ctrl-C.")
@click.pass_obj
def command(
    session: Session,
    paths: tuple[Path, ...],
    name: str,
    *,
    exitfirst: bool,
    journal: bool,
    coverage: bool,
    fail_under: float | None,
    junit: Path | None,
    watch: bool,
) -> int:
    """Run the tests of pipelines, on virtual time and without a server.

    PATHS are test files, folders, or pipelines' files; without them, all tests of the project are run. Exit 1 when a
    test does not pass.

    Such as: flowlang test pipelines/welcome.yaml -k "no address" --coverage
    """
    clean_logs([logging.lastResort])  # the only one that handlers write to here
    settings = session.settings()
    if watch:
        return _watch(session, settings)
    suite = _suite(settings)
    tests = suite.chosen(paths, name)
    if not tests:
        raise ConfigError(_nothing(suite, paths, name))
    return _Run(session, suite, exitfirst=exitfirst, journal=journal).all(
        tests, coverage=coverage or fail_under is not None, fail_under=fail_under or 0.0, junit=junit
    )


def _suite(settings: Settings) -> Suite:
    from flowlang.pipeline_tests import Suite  # noqa: PLC0415 - brings pydantic and the engine

    return Suite.load(settings.project, environment=settings.environment)


def _nothing(suite: Suite, paths: Sequence[Path], name: str) -> str:
    if not suite.tests:
        return "the project has no pipeline tests: a test is a file such as pipelines/welcome.test.yaml"
    where = f" in {', '.join(map(str, paths))}" if paths else ""
    named = f" with {name!r} in its name" if name else ""
    return f"there is no test{where}{named}; the project has {len(suite.tests)}"


class _Run:
    """One run of chosen tests."""

    def __init__(self, session: Session, suite: Suite, *, exitfirst: bool, journal: bool) -> None:
        from flowlang.cli.test_report import Report  # noqa: PLC0415 - brings the engine

        self._console = session.console
        self._as_json = session.as_json
        self._suite = suite
        self._exitfirst = exitfirst
        self._journal = journal
        self._report: Report = Report(suite.project.sources, self._console.paint)

    def all(self, tests: Sequence[TestDocument], *, coverage: bool, fail_under: float, junit: Path | None) -> int:
        """Run tests and show them; returns the exit status."""
        from flowlang.cli import test_report  # noqa: PLC0415 - brings the engine
        from flowlang.pipeline_tests.coverage import total  # noqa: PLC0415 - the same

        self._findings()
        results = self._run(tests)
        coverages = self._coverages(tests, results) if coverage else None
        if junit is not None:
            junit.write_bytes(test_report.junit(results))
        bad = [result for result in results if result.status in {"failed", "error"}]
        if self._as_json:
            self._console.document(test_report.document(results, coverages))
        else:
            self._show(results, bad, coverages)
        if coverages is not None and total(coverages) < fail_under:
            self._console.fail(f"the coverage is {total(coverages):.1f}%, and should be at least {fail_under:g}%")
            return REFUSED
        return REFUSED if bad else OK

    def _findings(self) -> None:
        """Show what is wrong with the project: tests of what has errors cannot be run."""
        from flowlang.diagnostics import Severity, render  # noqa: PLC0415 - see above

        errors = [item for item in self._suite.project.diagnostics if item.severity is Severity.ERROR]
        if errors:
            color = self._console.talk_in_color
            self._console.say(render(errors, self._suite.project.sources, color=color).rstrip("\n"))

    def _run(self, tests: Sequence[TestDocument]) -> list[TestResult]:
        results: list[TestResult] = []
        path = ""
        for result in self._suite.run_all(tests):
            results.append(result)
            if not self._as_json:
                if result.path != path:
                    path = result.path
                    self._console.out(path)
                self._console.out(self._report.outcome(result))
                if self._journal and result.status == "passed":
                    self._lines(self._report.journal(result))
            if self._exitfirst and result.status in {"failed", "error"}:
                break
        return results

    def _show(
        self, results: Sequence[TestResult], bad: Sequence[TestResult], coverages: Sequence[Coverage] | None
    ) -> None:
        for result in bad:
            self._console.out("")
            self._lines(self._report.failure(result, whole=self._journal))
        if coverages is not None:
            self._console.out("")
            self._lines(self._report.coverage(coverages))
        self._console.out("")
        self._console.out(self._report.summary(results))

    def _coverages(self, tests: Sequence[TestDocument], results: Sequence[TestResult]) -> list[Coverage]:
        """The coverage of all pipelines; of the tested ones, when only some tests were chosen."""
        from flowlang.pipeline_tests import coverage_of  # noqa: PLC0415 - brings the engine

        project = self._suite.project
        chosen = set(project.plans)
        if len(tests) < len(self._suite.tests):
            chosen = {test.model.pipeline for test in tests if test.model is not None}
        plans = [plan for name, plan in sorted(project.plans.items()) if name in chosen]
        return coverage_of(plans, [each for result in results for each in result.journals], project.pipelines)

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.out(line)


def _watch(session: Session, settings: Settings) -> int:
    """Run the tests in a process of their own at each change, so that changed handlers are imported anew."""
    import threading  # noqa: PLC0415 - only here

    from flowlang.cli.watching import Watcher  # noqa: PLC0415 - needs watchfiles

    arguments = [argument for argument in sys.argv[1:] if argument != "--watch"]
    watcher = Watcher(settings.project)
    watcher.start()
    pause = threading.Event()
    try:
        while True:
            subprocess.run([sys.executable, "-m", "flowlang", *arguments], check=False)  # noqa: S603 - ourselves
            session.console.say("watching for changes; Ctrl-C ends")
            while watcher.changes() is None:
                pause.wait(_PAUSE_S)
    finally:
        watcher.stop()
