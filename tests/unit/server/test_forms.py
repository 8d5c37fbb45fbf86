"""Forms are read strictly, whether as one line or in parts, and never as files."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.jsondata import JsonError
from flowlang.server.forms import MAX_FIELDS, FormError, read_form

PARTS = "multipart/form-data; boundary=x-1"
names = st.text(st.characters(codec="utf-8", exclude_characters='"\\\r\n'), min_size=1, max_size=20)
forms = st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=40), max_size=5)


def in_parts(fields: dict[str, str]) -> bytes:
    head = '--x-1\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    return ("".join(head.format(*field) for field in fields.items()) + "--x-1--\r\n").encode()


@given(forms)
def test_what_is_written_as_a_form_is_read_as_the_same_map(fields: dict[str, str]) -> None:
    assert read_form(urlencode(fields).encode()) == fields


@given(forms.filter(lambda fields: not any("\r\n--x-1" in f"\r\n{value}" for value in fields.values())))
def test_what_is_written_in_parts_is_read_as_the_same_map(fields: dict[str, str]) -> None:
    assert read_form(in_parts(fields), PARTS) == fields


@given(st.binary(max_size=200), st.sampled_from(["", PARTS, "multipart/form-data"]))
def test_anything_else_is_refused_and_nothing_raises_besides(body: bytes, kind: str) -> None:
    try:
        form = read_form(body, kind, "a")
    except (FormError, JsonError):
        return
    assert all(isinstance(value, str) for name, value in form.items() if name != "a")


@pytest.mark.parametrize(
    ("why", "body", "kind"),
    [
        ("a file", in_parts({"a": "1"}).replace(b'name="a"', b'name="a"; filename="/etc/passwd"'), PARTS),
        ("a file, said otherwise", in_parts({"a": "1"}).replace(b'name="a"', b"name=\"a\"; filename*=utf-8''x"), PARTS),
        ("a header of its own", in_parts({"a": "1"}).replace(b"\r\n\r\n", b"\r\nx-path: /etc\r\n\r\n"), PARTS),
        ("a name twice in a part", in_parts({"a": "1"}).replace(b"\r\n\r\n", b'\r\ncontent-disposition: form-data; name="b"\r\n\r\n'), PARTS),
        ("a part without a name", in_parts({"a": "1"}).replace(b'; name="a"', b""), PARTS),
        ("a part without a head", b"--x-1\r\n1\r\n--x-1--", PARTS),
        ("something before", b"hello\r\n" + in_parts({"a": "1"}), PARTS),
        ("no end", in_parts({"a": "1"}).removesuffix(b"--x-1--\r\n"), PARTS),
        ("another boundary", in_parts({"a": "1"}), "multipart/form-data; boundary=x-2"),
        ("no boundary", in_parts({"a": "1"}), "multipart/form-data"),
        ("two boundaries", in_parts({"a": "1"}), f"{PARTS}; boundary=x-2"),
        ("a field twice", in_parts({"a": "1"}).removesuffix(b"--x-1--\r\n") + in_parts({"a": "2"}), PARTS),
        ("too many parts", in_parts({str(number): "" for number in range(MAX_FIELDS + 1)}), PARTS),
        ("too many fields", urlencode({str(number): "" for number in range(MAX_FIELDS + 1)}).encode(), ""),
        ("no UTF-8", in_parts({"a": "1"}).replace(b"1\r\n--", b"\xff\r\n--"), PARTS),
    ],
)  # fmt: skip
def test_forms_that_are_none(why: str, body: bytes, kind: str) -> None:
    with pytest.raises(FormError):
        read_form(body, kind)


def test_as_many_parts_as_are_allowed_are_read() -> None:
    assert len(read_form(in_parts({str(number): "" for number in range(MAX_FIELDS)}), PARTS)) == MAX_FIELDS


def test_a_field_of_json_is_read_as_json() -> None:
    assert read_form(in_parts({"a": '{"b": 1}', "c": "{}"}), PARTS, "a") == {"a": {"b": 1}, "c": "{}"}
    with pytest.raises(JsonError):
        read_form(b"a=%7B", json_field="a")
