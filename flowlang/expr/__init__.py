"""The expression language: CEL with FlowLang's functions, and the `${{ }}` templates around it.

Knows nothing of pipelines: which names exist is the caller's to say. Pure: time and ids are given as `Pins`. Names are
loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.expr.analysis import Reference
    from flowlang.expr.check import Checked, check_expression, check_text
    from flowlang.expr.environment import Environment
    from flowlang.expr.equality_index import Equalities, Equality, equalities, index_key, key_at
    from flowlang.expr.errors import CelError, EvaluationError, ExpressionSyntaxError, Problem
    from flowlang.expr.explanation import Explanation, explain
    from flowlang.expr.json_values import to_json, to_text
    from flowlang.expr.later import fill_but
    from flowlang.expr.partial import Residual, residual
    from flowlang.expr.program import Expression, compile_expression
    from flowlang.expr.schema_types import type_of_schema
    from flowlang.expr.scope import Pins
    from flowlang.expr.template import PlacedExpression, Template, compile_bare_expression, compile_template
    from flowlang.expr.times import Duration, Timestamp
    from flowlang.expr.types import Type
    from flowlang.expr.unparser import unparse
    from flowlang.expr.value_literals import literal
    from flowlang.expr.value_template import ValueTemplate, compile_value
    from flowlang.expr.values import Optional, TypeValue, UInt, type_names

__all__ = [
    "CelError",
    "Checked",
    "Duration",
    "Environment",
    "Equalities",
    "Equality",
    "EvaluationError",
    "Explanation",
    "Expression",
    "ExpressionSyntaxError",
    "Optional",
    "Pins",
    "PlacedExpression",
    "Problem",
    "Reference",
    "Residual",
    "Template",
    "Timestamp",
    "Type",
    "TypeValue",
    "UInt",
    "ValueTemplate",
    "check_expression",
    "check_text",
    "compile_bare_expression",
    "compile_expression",
    "compile_template",
    "compile_value",
    "equalities",
    "explain",
    "fill_but",
    "index_key",
    "key_at",
    "literal",
    "residual",
    "to_json",
    "to_text",
    "type_names",
    "type_of_schema",
    "unparse",
]

_MODULES = {
    "CelError": "errors",
    "Checked": "check",
    "Duration": "times",
    "Environment": "environment",
    "Equalities": "equality_index",
    "Equality": "equality_index",
    "EvaluationError": "errors",
    "Explanation": "explanation",
    "Expression": "program",
    "ExpressionSyntaxError": "errors",
    "Optional": "values",
    "Pins": "scope",
    "PlacedExpression": "template",
    "Problem": "errors",
    "Reference": "analysis",
    "Residual": "partial",
    "Template": "template",
    "Timestamp": "times",
    "Type": "types",
    "TypeValue": "values",
    "UInt": "values",
    "ValueTemplate": "value_template",
    "check_expression": "check",
    "check_text": "check",
    "compile_bare_expression": "template",
    "compile_expression": "program",
    "compile_template": "template",
    "compile_value": "value_template",
    "equalities": "equality_index",
    "explain": "explanation",
    "fill_but": "later",
    "index_key": "equality_index",
    "key_at": "equality_index",
    "literal": "value_literals",
    "residual": "partial",
    "to_json": "json_values",
    "to_text": "json_values",
    "type_names": "values",
    "type_of_schema": "schema_types",
    "unparse": "unparser",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
