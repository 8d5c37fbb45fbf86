"""Retry policies that are never used, since earlier ones of their list take all of their errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from flowlang.compiler.findings import Findings
from flowlang.compiler.policies import Policies, lower_policies
from flowlang.compiler.standing import standings
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Label, Severity
from flowlang.model import Path
from flowlang.model.policy import RetryPolicy

#: The classes of errors of which a policy speaks that names none (language.md §6).
_DEFAULT: Final = frozenset({"transient", "resource", "bug"})


def dead_policies(subject: Subject, named: Policies) -> None:
    """Report the policies of a pipeline and its steps that are never used.

    Args:
        subject: The pipeline.
        named: Retry policies of the project.
    """
    _look_at(subject.pipeline.retry or (), named, subject.findings, ("retry",))
    for standing in standings(subject.pipeline):
        step = standing.step
        _look_at(step.retry or (), named, subject.findings, (*step.path, "retry"))
        if step.undo is not None:
            _look_at(step.undo.retry or (), named, subject.findings, (*step.path, "undo", "retry"))


def dead_policies_in_project(named: Policies, findings: Findings) -> None:
    """Report the same of the project's own policies.

    Args:
        named: Retry policies of the project.
        findings: Of `flowlang.yaml`.
    """
    for name, policies in named.items():
        _look_at(policies, named, findings, ("retries", name))


def _look_at(written: Sequence[RetryPolicy | str], named: Policies, findings: Findings, path: Path) -> None:
    taken: dict[str, int] = {}  # error → the policy that takes it
    for number, policy in enumerate(written):
        errors = [_errors(rule.errors) for rule in lower_policies([policy], named, None, path)]
        takers = {_taker(error, taken) for group in errors for error in group}
        if errors and None not in takers:
            labels = [Label(findings.span((*path, min(each for each in takers if each is not None))), "taken here")]
            message = "earlier policies take all errors of this one"
            hint = "the first policy that fits is used: put the narrower one first, or remove it"
            findings.at((*path, number), "FL512", message, severity=Severity.WARNING, hint=hint, labels=labels)
        for group in errors:
            for error in group:
                taken.setdefault(error, number)


def _errors(errors: Sequence[str]) -> frozenset[str]:
    return frozenset(errors) or _DEFAULT


def _taker(error: str, taken: Mapping[str, int]) -> int | None:
    """The policy before that takes an error; what class an error of a code has, nobody can tell."""
    for pattern, number in taken.items():
        if pattern in {"all", error} or (pattern.endswith(".*") and error.startswith(pattern[:-1])):
            return number
    return None
