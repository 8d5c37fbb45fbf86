"""Form bodies (`application/x-www-form-urlencoded`): one strict reading, for signatures and for templates alike."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from flowlang import jsondata
from flowlang.errors import FlowError

MAX_FIELDS = 1000


class FormError(FlowError):
    """A body that is not the form we take."""


def read_fields(body: bytes) -> list[tuple[str, str]]:
    """Read the fields of a form as they stand, repeated ones too.

    Raises:
        FormError: when it is no ASCII, a field is no UTF-8 or has no `=`, or there are too many.
    """
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise FormError(f"the body is no form of at most {MAX_FIELDS} fields, `name=value` joined by `&`") from error


def read_form(body: bytes, json_field: str = "") -> dict[str, Any]:
    """Read a form as a map of texts.

    Args:
        body: Raw.
        json_field: The field that holds JSON by what its sender says of it; where it is there, it is read as such.

    Raises:
        FormError: when it is no form, or a field is repeated: which of them counts, two readers would not agree on.
        JsonError: when the field of JSON is none that we take.
    """
    form: dict[str, Any] = {}
    for name, value in read_fields(body):
        if name in form:
            raise FormError("a field of the form is repeated")
        form[name] = value
    if json_field and json_field in form:
        form[json_field] = jsondata.loads_strict(form[json_field].encode())
    return form
