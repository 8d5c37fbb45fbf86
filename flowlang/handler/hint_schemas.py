"""A handler's type hints as JSON Schemas: what it takes and gives, for those who check pipelines against it.

Owns what may be concluded from a hint. Where a hint converts more than its schema says (validators, aliases, dates that
may be numbers), the schema says nothing: a call that works must never be reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pydantic
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from flowlang.errors import DefinitionError
from flowlang.handler.signature import HintSchemas

if TYPE_CHECKING:
    from pydantic_core import core_schema

    from flowlang.handler.definition import HandlerDefinition

#: Options of models by which they take other data than their schema says.
_LOOSE_OPTIONS: Final = ("populate_by_name", "validate_by_name", "coerce_numbers_to_str")


def hint_schemas(definition: HandlerDefinition) -> HintSchemas:
    """Read the hints of a live handler.

    Args:
        definition: Of the handler.

    Raises:
        DefinitionError: when hints name what does not exist at run time.
    """
    hints = definition.hints
    arguments = {
        argument.name: _schema(hints[argument.name], "validation")
        for argument in definition.arguments
        if argument.name in hints
    }
    return HintSchemas(arguments, _schema(hints["return"], "serialization") if "return" in hints else True)


def _schema(hint: Any, mode: Any) -> Any:
    try:
        schema = pydantic.TypeAdapter(hint).json_schema(mode=mode, schema_generator=_Cautious)
    except (pydantic.errors.PydanticUserError, DefinitionError, RecursionError):
        return True  # no JSON Schema says it
    return schema


class _Cautious(GenerateJsonSchema):
    """Says nothing where pydantic's own schema would say too much."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().function_before_schema(schema)

    def function_wrap_schema(self, schema: core_schema.WrapValidatorFunctionSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().function_wrap_schema(schema)

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().function_plain_schema(schema)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        config = getattr(schema["cls"], "model_config", {})
        if self.mode == "validation" and any(config.get(option) for option in _LOOSE_OPTIONS):
            return {}
        return super().model_schema(schema)

    def model_field_schema(self, schema: core_schema.ModelField) -> JsonSchemaValue:
        if self.mode == "validation" and isinstance(schema.get("validation_alias"), list):
            return {}
        return super().model_field_schema(schema)

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().date_schema(schema)

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().datetime_schema(schema)

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().time_schema(schema)

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().timedelta_schema(schema)

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().bytes_schema(schema)
