"""Classes of errors that are misspelt: what is no class is taken for a code, and then no error ever has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from flowlang.compiler.findings import Findings
from flowlang.compiler.standing import standings
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Severity, did_you_mean
from flowlang.model import Path, ProjectFile
from flowlang.model.policy import RetryPolicy

CLASSES: Final = ("transient", "resource", "permanent", "bug", "timeout", "all")


def misspelt_classes(subject: Subject) -> None:
    """Report codes that are near to a class, wherever a pipeline names errors.

    Args:
        subject: The pipeline.
    """
    report = _reporter(subject.findings)
    _of_policies(subject.pipeline.retry or (), ("retry",), report)
    for standing in standings(subject.pipeline):
        step = standing.step
        for arm in step.catch:
            report(arm.errors, (*arm.path, "errors"))
        if step.tolerate is not None:
            report(step.tolerate.errors or (), (*step.path, "tolerate", "errors"))
        _of_policies(step.retry or (), (*step.path, "retry"), report)


def misspelt_in_project(file: ProjectFile, findings: Findings) -> None:
    """Report codes that are near to a class in the project's retry policies.

    Args:
        file: `flowlang.yaml`.
        findings: Where to report.
    """
    report = _reporter(findings)
    for name, policies in file.retries.items():
        _of_policies(policies, ("retries", name), report)
    _of_policies(file.defaults.retry or (), ("defaults", "retry"), report)


_Report = Callable[[Sequence[str], Path], None]


def _of_policies(policies: Sequence[Any], path: Path, report: _Report) -> None:
    for number, policy in enumerate(policies):
        if isinstance(policy, RetryPolicy):
            place = (*path, number) if len(policies) > 1 else path
            report(policy.errors or (), (*place, "errors"))


def _reporter(findings: Findings) -> _Report:
    def report(errors: Sequence[str], path: Path) -> None:
        for number, name, near in _misspelt(errors):
            findings.at(
                (*path, number) if len(errors) > 1 else path,
                "FL511",
                f"`{name}` is no class of errors, and is taken for a code",
                severity=Severity.WARNING,
                hint=f"did you mean `{near}`?",
            )

    return report


def _misspelt(errors: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    for number, name in enumerate(errors):
        if name not in CLASSES and "." not in name and len(name) > 4:
            near = did_you_mean(name, CLASSES)
            if near is not None:
                yield number, name, near
