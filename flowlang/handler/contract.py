"""A handler's type hints, made into checks of its arguments and its result.

Owns the only use of pydantic for handlers. Arguments arrive as JSON data and become what the hints say; results are
checked against the `return` hint and become JSON data again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic_core import ErrorDetails, PydanticSerializationError

from flowlang import jsondata
from flowlang.errors import DefinitionError, HandlerError, Permanent

if TYPE_CHECKING:
    from flowlang.handler.definition import HandlerDefinition

ARGUMENTS_CODE = "handler.arguments"
RESULT_CODE = "handler.result"
MAX_PROBLEMS = 20  #: shown of one value; the rest are counted

_FIELD = "argument_"  # fields of a model may not have names such as `copy` or `json`; arguments may


class ResultError(HandlerError):
    """The handler returned what its hints do not allow, or what JSON cannot carry: a bug of the handler."""


class Contract:
    """Checks of one handler, built once and used for each call. Thread-safe."""

    def __init__(
        self, handler: str, arguments: type[pydantic.BaseModel], extra: bool, result: pydantic.TypeAdapter[Any]
    ) -> None:
        self._handler = handler
        self._arguments = arguments
        self._extra = extra
        self._result = result

    @classmethod
    def of(cls, definition: HandlerDefinition) -> Contract:
        """Build the checks from a definition's hints.

        Raises:
            DefinitionError: when a hint is no type that JSON can be checked against.
        """
        hints, extra = definition.hints, definition.extra_param
        fields: dict[str, Any] = {
            _FIELD + argument.name: (
                hints.get(argument.name, Any),
                pydantic.Field(... if argument.default is argument.empty else None, alias=argument.name),
            )
            for argument in definition.arguments
        }
        try:
            arguments = pydantic.create_model(
                "Arguments", __base__=_base(hints.get(extra, Any) if extra else None), **fields
            )
            result = _result_adapter(hints.get("return", Any))
        except pydantic.errors.PydanticUserError as error:
            raise DefinitionError(
                f"{definition.place}: the type hints of the handler {definition.name!r} are no contract for JSON data:"
                f" {str(error).splitlines()[0]}"
            ) from error
        return cls(definition.name, arguments, extra is not None, result)

    def convert(self, values: dict[str, Any]) -> dict[str, Any]:
        """Turn the values of `with` into keyword arguments; those with a default and no value are left out.

        Raises:
            Permanent: with code `handler.arguments`, naming the path of each wrong value.
        """
        try:
            model = self._arguments.model_validate(values)
        except pydantic.ValidationError as error:
            details = describe(error.errors(include_url=False, include_input=False), root="with")
            raise Permanent(f"wrong arguments for {self._handler}: {details}", code=ARGUMENTS_CODE) from None
        read = vars(model)
        arguments = {name.removeprefix(_FIELD): read[name] for name in model.model_fields_set if name in read}
        return arguments | (model.model_extra or {}) if self._extra else arguments

    def result(self, value: Any) -> Any:
        """Check a result and turn it into JSON data.

        Returns:
            The data; None stands for no output.

        Raises:
            ResultError: with code `handler.result`, naming the path of each wrong value.
        """
        try:
            checked = self._result.validate_python(value)
            data = self._result.dump_python(checked, mode="json", by_alias=True, warnings="error")
            jsondata.check({"result": data})
        except pydantic.ValidationError as error:
            details = describe(error.errors(include_url=False, include_input=False), root="result")
        except (PydanticSerializationError, jsondata.JsonError, RecursionError, UnicodeError) as error:
            details = str(error)
        else:
            return data
        raise ResultError(f"wrong result of {self._handler}: {details}", code=RESULT_CODE)


def _base(extra: Any) -> type[pydantic.BaseModel]:
    """Return the model that arguments start from: without `**kwargs`, or with them and their hint."""
    if extra is None:
        namespace: dict[str, Any] = {"model_config": pydantic.ConfigDict(extra="forbid")}
    else:
        namespace = {
            "model_config": pydantic.ConfigDict(extra="allow"),
            "__annotations__": {"__pydantic_extra__": dict[str, extra]},
        }
    return type("Base", (pydantic.BaseModel,), {"__module__": __name__, **namespace})


def _result_adapter(hint: Any) -> pydantic.TypeAdapter[Any]:
    """Return the check of a result; NaN is kept, so that it is refused later instead of becoming null."""
    try:
        return pydantic.TypeAdapter(hint, config=pydantic.ConfigDict(ser_json_inf_nan="constants"))
    except pydantic.errors.PydanticUserError as error:
        if error.code != "type-adapter-config-unused":  # models and data classes bring their own configuration
            raise
        return pydantic.TypeAdapter(hint)


def describe(errors: Iterable[ErrorDetails], *, root: str) -> str:
    """Write pydantic's findings as `with.items[3].sku: Field required; …`, without the values.

    Args:
        errors: Findings, as `ValidationError.errors()` gives them.
        root: First name of each path.
    """
    found = list(errors)
    lines = [f"{jsondata.render_path((root, *error['loc']))}: {_sentence(error)}" for error in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        lines.append(f"and {len(found) - MAX_PROBLEMS} more")
    return "; ".join(lines)


def _sentence(error: ErrorDetails) -> str:
    return "there is no such argument" if error["type"] == "extra_forbidden" else error["msg"]
