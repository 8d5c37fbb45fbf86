"""Checks a step's call of a handler against the handler's signature."""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.compiler.expressions import Written
from flowlang.compiler.findings import Findings, near
from flowlang.compiler.misfits import report_misfits
from flowlang.compiler.project_types import ProjectTypes
from flowlang.diagnostics import Label, Severity, did_you_mean
from flowlang.expr.types import Field, ObjectOf
from flowlang.handler.signature import Signature
from flowlang.model import Step
from flowlang.source import Span


def check_call(step: Step, signatures: Mapping[str, Signature], findings: Findings, *, complete: bool) -> None:
    """Report an unknown handler, arguments that do not fit, and retries of what must not be repeated.

    Args:
        step: With `uses`.
        signatures: All that are known.
        findings: Where to report.
        complete: Whether all handlers could be read; else an unknown one may exist.
    """
    name = step.uses
    assert name is not None
    signature = signatures.get(name)
    if signature is None:
        if complete:
            hint = near(name, signatures, listing="the handlers are")
            findings.at((*step.path, "uses"), "FL401", f"there is no handler `{name}`", hint=hint)
        return
    _check_arguments(step, signature, findings)
    if signature.effect is None:
        findings.at(
            (*step.path, "uses"),
            "FL405",
            f"`{name}` does not say what a repeated call does; it runs as `idempotent`",
            severity=Severity.WARNING,
            hint=f'declare it: `@handler("{name}", effect="keyed")`, or `pure`, `idempotent`, `once`',
            labels=declared(signature),
        )
    if signature.effect == "once" and step.has("retry"):
        findings.at(
            (*step.path, "retry"),
            "FL406",
            f"`{name}` must not happen twice (`effect: once`), so it is never tried again",
            key=True,
            hint="remove `retry`",
            labels=declared(signature),
            fix=findings.removing((*step.path, "retry")),
        )


def declared(signature: Signature) -> tuple[Label, ...]:
    """Where a handler is declared, to explain a finding about a call of it; the file is read by who loads it."""
    line, column = signature.line, signature.column
    return (Label(Span(signature.path, 0, 0, line, column, line, column), "its handler"),)


def _check_arguments(step: Step, signature: Signature, findings: Findings) -> None:
    if isinstance(step.with_, str):
        return  # one template gives all arguments; the handler's contract checks them when it is called
    given = step.with_ or {}
    names = [param.name for param in signature.params]
    free = [name for name in names if name not in given]
    meant = set()
    if not signature.accepts_extra:
        for argument in given:
            if argument not in names:
                meant.add(did_you_mean(argument, free))  # a misspelt argument is not missing as well
                findings.at(
                    (*step.path, "with", argument),
                    "FL403",
                    f"`{signature.name}` takes no argument `{argument}`",
                    key=True,
                    hint=near(argument, free) or near("", names, listing="its arguments are"),
                    labels=declared(signature),
                )
    missing = [
        param.name for param in signature.params if param.required and param.name in free and param.name not in meant
    ]
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        findings.at(
            (*step.path, "uses"),
            "FL402",
            f"`{signature.name}` needs {listed} in `with`",
            hint=near("", names, listing="its arguments are"),
            labels=declared(signature),
        )


def check_argument_types(step: Step, given: Written, types: ProjectTypes, findings: Findings) -> None:
    """Report arguments of types that the handler does not take.

    Args:
        step: With `uses`.
        given: Its `with`, checked.
        types: Of the project.
        findings: Where to report.
    """
    if not isinstance(step.with_, dict) or step.uses is None:
        return
    # Which arguments there are, and which are needed, is said of the signature: it knows where it is declared.
    wanted = ObjectOf("", {name: Field(types.argument(step.uses, name), required=False) for name in step.with_})
    report_misfits(findings, (*step.path, "with"), given, wanted, code="FL409", owner=f"`{step.uses}`", converted=True)
