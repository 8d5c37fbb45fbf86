"""Findings about what users wrote: their codes, their places and how they are shown.

Whoever checks something makes `Diagnostic`s; nobody raises them. Which check is made where is not decided here.
"""

from flowlang.diagnostics.codes import CODES, Code
from flowlang.diagnostics.finding import Diagnostic, Edit, Fix, Label, Severity, has_errors, sorted_diagnostics
from flowlang.diagnostics.fixes import apply_fixes, with_fixes
from flowlang.diagnostics.render import Format, render
from flowlang.diagnostics.report import SCHEMA_VERSION, Suppressed, SuppressedBy, count_line
from flowlang.diagnostics.suggest import did_you_mean, suggestion

__all__ = [
    "CODES",
    "SCHEMA_VERSION",
    "Code",
    "Diagnostic",
    "Edit",
    "Fix",
    "Format",
    "Label",
    "Severity",
    "Suppressed",
    "SuppressedBy",
    "apply_fixes",
    "count_line",
    "did_you_mean",
    "has_errors",
    "render",
    "sorted_diagnostics",
    "suggestion",
    "with_fixes",
]
