"""What `flowlang test` shows: tests as they end, failures with excerpts and journals, coverage on the pipelines."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from flowlang.cli.shapes import plural
from flowlang.diagnostics.excerpt import excerpt_lines
from flowlang.diagnostics.finding import Severity
from flowlang.diagnostics.paint import Paint, printable
from flowlang.durations import format_duration
from flowlang.pipeline_tests.coverage import Coverage, total
from flowlang.pipeline_tests.result import Failure, Line, Status, TestResult
from flowlang.source import SourceText

#: Longer journals are cut in the middle; `--journal` shows all of them.
_LONGEST: Final = 60

_WORDS: Final = {"passed": "ok", "failed": "FAILED", "skipped": "skipped", "error": "ERROR"}
_TONES: Final = {"failed": Severity.ERROR, "error": Severity.ERROR, "skipped": Severity.WARNING}


class Report:
    """Makes the lines that a person reads.

    Args:
        sources: The project's files, for excerpts.
        paint: Colours.
    """

    def __init__(self, sources: Mapping[str, SourceText], paint: Paint) -> None:
        self._sources = sources
        self._paint = paint

    def outcome(self, result: TestResult) -> str:
        """The line of a test that has ended."""
        word = _WORDS[result.status]
        tone = _TONES.get(result.status)
        told = f"{word:>7}" if tone is None else self._paint.severity(tone, f"{word:>7}")
        reason = f" ({result.reason})" if result.reason else ""
        waited = f"  {_span(result.virtual_ms)} of virtual time" if result.virtual_ms >= 1000 else ""
        return f"{told}  {printable(result.name)}{printable(reason)}{self._paint.dim(waited)}"

    def failure(self, result: TestResult, *, whole: bool = False) -> Iterator[str]:
        """All about a test that did not pass.

        Args:
            result: The test's.
            whole: Whether to show the whole journal.
        """
        model = result.test.model
        head = f"{model.pipeline}: {result.name}" if model else result.name
        yield self._paint.bold(printable(head))
        for failure in result.failures:
            yield ""
            yield from self._block(failure)
        if result.lines:
            yield ""
            yield from self.journal(result, whole=whole)

    def journal(self, result: TestResult, *, whole: bool = True) -> Iterator[str]:
        """What happened in a test.

        Args:
            result: The test's.
            whole: Whether to show all of it; else the middle of a long one is left out.
        """
        lines = list(_lines(result.lines))
        if not whole and len(lines) > _LONGEST:
            half = _LONGEST // 2
            left_out = f"… {len(lines) - 2 * half} more; `--journal` shows them"
            lines = [*lines[:half], left_out, *lines[-half:]]
        yield self._paint.dim("  what happened, on the virtual clock:")
        yield from (f"    {printable(line)}" for line in lines)

    def summary(self, results: Sequence[TestResult]) -> str:
        """The closing line, such as `1 failed, 3 passed`."""
        counts = Counter(result.status for result in results)
        words: dict[Status, str] = {
            "failed": "failed",
            "error": "could not be run",
            "skipped": "skipped",
            "passed": "passed",
        }
        told = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]
        took = sum(result.took_ms for result in results) / 1000
        bad = counts["failed"] + counts["error"]
        text = f"{', '.join(told)} in {took:.2f} s"
        return self._paint.severity(Severity.ERROR, text) if bad else self._paint.bold(text)

    def coverage(self, coverages: Sequence[Coverage]) -> Iterator[str]:
        """What of the pipelines was run: each step at its line."""
        for each in coverages:
            file = each.plan.places.file if each.plan.places is not None else each.plan.pipeline
            yield self._paint.bold(f"{file}: {_share(each)}")
            for step, reached, missed in each.lines():
                mark = "+" if not missed else "-" if not reached else "~"
                note = f"  never: {', '.join(missed)}" if missed else ""
                tone = {"+": None, "~": Severity.WARNING, "-": Severity.ERROR}[mark]
                text = f"  {mark} {each.line(step.index) or '':>4}  {step.key}{note}"
                yield printable(text) if tone is None else self._paint.severity(tone, printable(text))
            yield ""
        yield f"{total(coverages):.1f}% of {plural(sum(len(each.points) for each in coverages), 'point')} were reached"

    def _block(self, failure: Failure) -> Iterator[str]:
        span = failure.span
        gutter = len(str(span.line))
        where = f"{failure.where}: " if failure.where else ""
        first, *more = failure.message.split("\n")
        label = self._paint.severity(Severity.ERROR, "failure")
        yield f"{label}: {self._paint.bold(printable(where + first))}"
        yield from (f"  {printable(line)}" for line in more)
        yield f"{' ' * gutter}{self._paint.dim('-->')} {printable(span.path)}:{span.line}:{span.column}"
        yield from excerpt_lines(
            span, "", self._sources, gutter=gutter, mark="^", severity=Severity.ERROR, paint=self._paint
        )


def document(results: Sequence[TestResult], coverages: Sequence[Coverage] | None) -> dict[str, Any]:
    """All results as data."""
    counts = Counter(result.status for result in results)
    content: dict[str, Any] = {
        "tests": [_entry(result) for result in results],
        "summary": {status: counts[status] for status in ("passed", "failed", "error", "skipped")},
    }
    if coverages is not None:
        content["coverage"] = {
            "percent": round(total(coverages), 1),
            "pipelines": [
                {
                    "pipeline": each.plan.pipeline,
                    "percent": round(each.percent, 1),
                    "points": len(each.points),
                    "missed": [
                        {"step": each.plan.steps[point.step].key, "line": each.line(point.step), "what": point.what}
                        for point in each.points
                        if point not in each.hit
                    ],
                }
                for each in coverages
            ],
        }
    return content


def junit(results: Sequence[TestResult]) -> bytes:
    """The results as JUnit's XML, one suite a file."""
    root = ET.Element("testsuites", name="flowlang")
    for path in dict.fromkeys(result.path for result in results):
        there = [result for result in results if result.path == path]
        counts = Counter(result.status for result in there)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=path,
            tests=str(len(there)),
            failures=str(counts["failed"]),
            errors=str(counts["error"]),
            skipped=str(counts["skipped"]),
            time=f"{sum(result.took_ms for result in there) / 1000:.3f}",
        )
        for result in there:
            _case(suite, result)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ET.Element, result: TestResult) -> None:
    model = result.test.model
    case = ET.SubElement(
        suite,
        "testcase",
        classname=model.pipeline if model else result.path,
        name=printable(result.name),
        file=result.path,
        line=str(result.line),
        time=f"{result.took_ms / 1000:.3f}",
    )
    if result.status == "skipped":
        ET.SubElement(case, "skipped", message=printable(result.reason))
    elif result.status != "passed":
        kind = "failure" if result.status == "failed" else "error"
        told = [f"{each.where}: {each.message} ({each.span.path}:{each.span.line})" for each in result.failures]
        failure = ET.SubElement(case, kind, message=printable(told[0] if told else ""))
        failure.text = printable("\n".join([*told, *_lines(result.lines)]), keep_breaks=True)


def _entry(result: TestResult) -> dict[str, Any]:
    model = result.test.model
    entry: dict[str, Any] = {
        "test": result.name,
        "pipeline": model.pipeline if model else None,
        "path": result.path,
        "line": result.line,
        "status": result.status,
        "virtual_ms": result.virtual_ms,
        "failures": [
            {
                "where": each.where,
                "message": each.message,
                "expected": each.expected,
                "found": each.found,
                "line": each.span.line,
                "column": each.span.column,
            }
            for each in result.failures
        ],
    }
    return entry | ({"reason": result.reason} if result.reason else {})


def _lines(lines: Sequence[Line]) -> Iterator[str]:
    """What happened, in columns: seconds, what, step, anything more."""
    clock = max((len(f"{line.at_ms / 1000:.3f}") for line in lines), default=0)
    what = max((len(line.text) for line in lines), default=0)
    step = min(max((len(line.step) for line in lines), default=0), 32)
    for line in lines:
        yield f"{line.at_ms / 1000:>{clock}.3f}  {line.text:<{what}}  {line.step:<{step}}  {line.detail}".rstrip()


def _span(ms: int) -> str:
    return format_duration(timedelta(seconds=ms // 1000))


def _share(coverage: Coverage) -> str:
    return f"{len(coverage.hit)} of {plural(len(coverage.points), 'point')}, {coverage.percent:.0f}%"
