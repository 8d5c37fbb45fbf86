"""What rules look at: a pipeline that has been lowered, with what its expressions were found to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowlang.compiler.expressions import Checker
from flowlang.compiler.findings import Findings
from flowlang.model import Pipeline, PipelineDocument
from flowlang.plan import Plan


@dataclass(frozen=True, slots=True)
class Subject:
    """A pipeline after it was lowered.

    Attributes:
        document: Where it is written.
        pipeline: As written.
        plan: What became of it; None when it has errors.
        input_schema: JSON Schema of its `event.data`; None: dynamic.
        checker: What its expressions read, and its conditions.
        findings: Where to report.
    """

    document: PipelineDocument
    pipeline: Pipeline
    plan: Plan | None
    input_schema: Any
    checker: Checker
    findings: Findings
