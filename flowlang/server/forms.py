"""Bodies of forms: one strict reading, for signatures and for templates alike.

`application/x-www-form-urlencoded`, and of `multipart/form-data` what is a field of text: a part that calls itself a
file is refused, so that nothing a stranger sends ever has to do with files.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from flowlang import jsondata
from flowlang.errors import FlowError

MAX_FIELDS = 1000

_BOUNDARY = re.compile(r"""multipart/form-data;\s*boundary=("?)([A-Za-z0-9'()+_,./:=?-]{1,70})\1""", re.IGNORECASE)
_HEAD = re.compile(rb'content-disposition:\s*form-data;\s*name="([^"\\\r\n]{1,200})"', re.IGNORECASE)
_TYPE = re.compile(rb"content-(?:type|length|transfer-encoding):[^\r\n]*", re.IGNORECASE)


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


def read_parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Read the fields of a form in several parts.

    Args:
        body: Raw.
        content_type: As declared; it says what stands between the parts.

    Raises:
        FormError: when it is none, a part is a file or no UTF-8, or there are too many.
    """
    named = _BOUNDARY.fullmatch(content_type.strip())
    if named is None:
        raise FormError("the content-type says not what stands between the parts")
    line = b"\r\n--" + named[2].encode()
    before, *parts = (b"\r\n" + body).split(line, MAX_FIELDS + 2)
    if before or not parts or parts[-1].rstrip(b"\r\n") != b"--" or len(parts) > MAX_FIELDS + 1:
        raise FormError(f"the body is no form of at most {MAX_FIELDS} parts")
    return [_read_part(part) for part in parts[:-1]]


def _read_part(part: bytes) -> tuple[str, str]:
    head, separator, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    names = [match[1] for line in lines if (match := _HEAD.fullmatch(line)) is not None]
    if (
        not separator
        or len(names) != 1
        or any(not _HEAD.fullmatch(line) and not _TYPE.fullmatch(line) for line in lines)
    ):
        raise FormError("a part of the form is no field of text")
    try:
        return names[0].decode(), value.decode()
    except UnicodeDecodeError as error:
        raise FormError("a part of the form is no UTF-8") from error


def read_form(body: bytes, content_type: str = "", json_field: str = "") -> dict[str, Any]:
    """Read a form as a map of texts.

    Args:
        body: Raw.
        content_type: As declared: `multipart/form-data` has parts, all else is one line.
        json_field: The field that holds JSON by what its sender says of it; where it is there, it is read as such.

    Raises:
        FormError: when it is no form, or a field is repeated: which of them counts, two readers would not agree on.
        JsonError: when the field of JSON is none that we take.
    """
    in_parts = content_type.lower().startswith("multipart/form-data")
    form: dict[str, Any] = {}
    for name, value in read_parts(body, content_type) if in_parts else read_fields(body):
        if name in form:
            raise FormError("a field of the form is repeated")
        form[name] = value
    if json_field and json_field in form:
        form[json_field] = jsondata.loads_strict(form[json_field].encode())
    return form
