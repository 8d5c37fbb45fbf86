from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlang.diagnostics import CODES, Diagnostic
from flowlang.model.yaml_builder import MAX_DEPTH, MAX_NODES
from flowlang.model.yaml_events import PythonParser, default_parser
from flowlang.model.yaml_nodes import Mapping, Scalar, YamlDocument
from flowlang.model.yaml_source import MAX_BYTES, decode, read_yaml
from flowlang.source import SourceText

PARSERS = [pytest.param(default_parser, id="default"), pytest.param(PythonParser, id="python")]


def read(text: str, parser: Any = default_parser) -> tuple[list[YamlDocument], list[Diagnostic]]:
    return read_yaml(SourceText("t.yaml", text), parser=parser)


def data(text: str, parser: Any = default_parser) -> Any:
    documents, found = read(text, parser)
    assert found == []
    return [document.data() for document in documents]


def codes(text: str, parser: Any = default_parser) -> list[str]:
    return [item.code for item in read(text, parser)[1]]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("on", "on"), ("no", "no"), ("y", "y"),
        ("12", 12), ("-3", -3), ("+4", 4), ("0", 0), ("0o17", 15), ("0x1F", 31), ("1.10", 1.1), (".5", 0.5), ("1.", 1.0), ("1.5e3", 1500.0),
        ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"), ("0b1", "0b1"), ("--", "--"), ("+", "+"),
        ('"12"', "12"), ("'true'", "true"), ("1h30m", "1h30m"), ("9223372036854775807", 2**63 - 1), ("a#b", "a#b"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object, parser: Any) -> None:
    [document] = data(f"k: {text}\n", parser)
    assert document == {"k": value}
    assert type(document["k"]) is type(value)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 0777", ["FL012"]), ("a: -007.5", ["FL012"]), ("a: 00", ["FL012"]),
        ("a: 1e3", ["FL013"]), ("a: -1E+3", ["FL013"]),
        ("a: .inf", ["FL024"]), ("a: .nan", ["FL024"]), ("a: 9223372036854775808", ["FL024"]), ("a: 1.0e999", ["FL024"]), ("a: " + "9" * 5000, ["FL024"]),
        ("a: 1\na: 2", ["FL007"]), ("a: 1\nb: 1\n'a': 2\n\"a\": 3", ["FL007", "FL007"]),
        ("a: !!str 1", ["FL008"]), ("a: !x [1]", ["FL008"]), ("%YAML 1.1\n---\na: 1", ["FL008"]), ("%TAG ! !x\n---\na: 1", ["FL008"]),
        ("a: *b", ["FL009"]), ("a: &a [*a]", ["FL009"]), ("- &a 1\n---\n- *a", ["FL009"]),
        ("<<: 3", ["FL010"]), ("<<: [{a: 1}, 2]", ["FL010"]), ("x: &a {b: 1}\ny:\n  <<: *a\n  <<: *a", ["FL007"]),
        ("1: a", ["FL011"]), ("null: a", ["FL011"]), ("?\n: a", ["FL011"]), ("[a]: b", ["FL011"]), ("x: &a b\n*a : c", ["FL011"]),
        ("if: a #'", []), ("if: f(a # b)", ["FL015"]), ("with:\n  key: f(a # b)", []), ("with: {x: a}\nif: \"'\" # b", []),
        ("if: !x", ["FL016"]), ("if: !x && y", ["FL016"]), ("in: *x", ["FL022"]),
        ("if: a ? b : c", ["FL017"]), ("x: ${{ {'a': 1} }}", ["FL019"]), ("x: {y: ${{ z }}}", ["FL018"]), ("w: {match: f(a, b)}", ["FL018"]),
        ("w: {match: f(a, g(b, c)), since: run}", ["FL018"]), ("with: {match: f(a, b)}", []),
        ("if: |\n  a\n", ["FL020"]), ("if: |-\n  a\n", []), ("x: |\n  ${{ a }}\n", ["FL020"]), ("x: |\n  a ${{ a }}\n", []),
        ("x: ${{ a", ["FL021"]), ("x: '${{ a }'", ["FL021"]), ("x: $${{ a", []), ("description: the sign ${{", []),
        ("if: 'a' == b", ["FL023"]), ("if: [1].size() == 1", ["FL023"]), ("key: @x", ["FL022"]),
    ],
)  # fmt: skip
def test_what_silently_surprises_has_its_own_code(text: str, expected: list[str], parser: Any) -> None:
    assert codes(text, parser) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: {b: c",
        "a: 'b",
        'a: "\\q"',
        "\ta: b",
        "a: b\n c: d",
        "- a\nb",
        "a: %x",
        "a: |x\n b",
        "a: - b",
        "]",
        "a: &",
        "[a] b",
    ],
)
@pytest.mark.parametrize("parser", PARSERS)
def test_other_bad_yaml_is_one_finding_in_our_own_words(text: str, parser: Any) -> None:
    _, found = read(text, parser)
    assert [item.code for item in found] == ["FL006"]
    assert "expected" not in found[0].message
    assert "scanning" not in found[0].message


def test_a_duplicate_key_names_both_places_and_keeps_the_first_value() -> None:
    [document], [found] = read("a: 1\nb: 2\na: 3\n")
    assert document.data() == {"a": 1, "b": 2}
    assert (found.span.line, found.span.column) == (3, 1)
    assert [(label.span.line, label.span.column) for label in found.labels] == [(1, 1)]


def test_documents_are_read_apart_and_empty_ones_are_left_out() -> None:
    assert data("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]
    assert data("# only a comment\n") == []


def test_behind_a_document_that_cannot_be_read_the_next_ones_are() -> None:
    documents, found = read("a: 1\n---\nb: [\n---\nc: 3\n---\nd: d: d\n---\ne: !x 1\n")
    assert [document.data() for document in documents[:2]] == [{"a": 1}, {"c": 3}]
    assert [(item.code, item.span.line) for item in found] == [("FL006", 4), ("FL006", 7), ("FL008", 9)]
    assert documents[1].span_at(("c",), key=True).line == 5


def test_merges_keep_own_keys_and_prefer_the_first_map() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 0\n"
    [document] = data(text)
    assert document["z"] == {"a": 0, "b": 1, "c": 2}


def test_an_anchor_leads_to_where_its_content_is_written() -> None:
    [document], _ = read("x: &x\n  a: 1\ny:\n  - *x\n")
    assert document.data()["y"] == [{"a": 1}]
    assert document.span_at(("y", 0, "a")).line == 2


def test_maps_know_their_own_path_also_where_an_anchor_is_used_twice() -> None:
    [document], _ = read("x: &x {a: {b: 1}}\ny: [*x]\n")
    assert document.data()["x"]["a"].path == ("x", "a")
    assert document.data()["y"][0]["a"].path == ("y", 0, "a")


def test_billions_of_laughs_are_stopped_at_the_bound() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    documents, found = read("\n".join(lines))
    assert documents == []
    assert [item.code for item in found] == ["FL005"]


def test_as_many_values_as_the_bound_are_read() -> None:
    text = "[" + ",".join("1" for _ in range(MAX_NODES - 1)) + "]"
    assert len(data(text)[0]) == MAX_NODES - 1
    assert codes(text[:-1] + ",1]") == ["FL005"]


@pytest.mark.parametrize("parser", PARSERS)
def test_nesting_is_bounded_before_it_hurts(parser: Any) -> None:
    assert codes("[" * MAX_DEPTH + "]" * MAX_DEPTH, parser) == []
    assert codes("[" * 50_000, parser) == ["FL004"]
    assert codes("a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60, parser) == ["FL004"]


def test_a_large_file_is_not_read() -> None:
    assert codes("# " + "x" * MAX_BYTES) == ["FL003"]
    assert codes("# " + "é" * (MAX_BYTES // 2)) == ["FL003"]
    source, found = decode("big.yaml", b"a" * (MAX_BYTES + 1))
    assert [item.code for item in found] == ["FL003"]
    assert len(source.text) <= 1024


@pytest.mark.parametrize(("char", "code"), [("\0", "FL002"), ("\x07", "FL002"), ("\ud800", "FL002"), ("\x1b", "FL002")])
def test_characters_that_yaml_forbids_are_shown_with_their_place(char: str, code: str) -> None:
    _, [found] = read(f"a: b\nc: d{char}e\n")
    assert found.code == code
    assert (found.span.line, found.span.column) == (2, 5)


@pytest.mark.parametrize("parser", PARSERS)
def test_half_a_character_by_escape_is_refused(parser: Any) -> None:
    assert codes('a: "x\\ud800"', parser) in (["FL002"], ["FL006"])


def test_bytes_that_are_no_utf_8_are_shown_with_their_place() -> None:
    source, [found] = decode("t.yaml", b"a: b\nc: \xff\n")
    assert found.code == "FL001"
    assert (found.span.line, found.span.column) == (2, 4)
    assert source.text == "a: b\nc: \ufffd\n"
    assert [item.code for item in decode("t.yaml", "a: b".encode("utf-16"))[1]] == ["FL001"]


@pytest.mark.parametrize("parser", PARSERS)
def test_a_byte_order_mark_is_passed_over(parser: Any) -> None:
    assert data("\ufeffa: 1", parser) == [{"a": 1}]
    [document], _ = read("\ufeffa: 1", parser)
    assert document.span_at(("a",)).start == 4
    assert decode("t.yaml", b"\xef\xbb\xbfa: 1")[0].text == "a: 1"


def test_places_of_keys_and_values() -> None:
    [document], _ = read("a: 1\nb:\n  - c: [x, y]\n    d:\n      e: f\n")
    spans = {
        (("a",), False): (1, 4, 5), (("a",), True): (1, 1, 2), (("b",), False): (2, 1, 2), (("b", 0), False): (3, 5, 6),
        (("b", 0, "c"), False): (3, 8, 14), (("b", 0, "c", 1), False): (3, 12, 13), (("b", 0, "d"), False): (4, 5, 6),
        (("b", 0, "d", "e"), False): (5, 10, 11), (("b", 0, "d", "nope"), False): (4, 5, 6),
    }  # fmt: skip
    for (path, key), expected in spans.items():
        span = document.span_at(path, key=key)
        assert (span.line, span.column, span.end_column) == expected, path


#: Bits that make YAML out of noise more often than letters do.
BITS = ["a", "b", ": ", "\n", "  ", "- ", "[", "]", "{", "}", ", ", "'", '"', "#", " #", "&a ", "*a", "!", "|", ">", "${{ ", " }}", "<<: ", "if: ",
        "with:", "---\n", "%", "? ", "\\", "\\u12", "\\ud800", "\t", "\r", "\x85", "\u2028", "\ufeff", "0", "1e3", "é", "😀", "@", "`", "...\n"]  # fmt: skip


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(BITS), max_size=30).map("".join)))
@example("--- |1+\n a")
@example('a: "\\UFFFFFFFF"')
@example("? - ? - ?\n: - :")
@example("- &a\n- *a\n- !")
@pytest.mark.parametrize("parser", PARSERS)
def test_any_text_is_documents_or_findings(parser: Any, text: str) -> None:
    documents, found = read(text, parser)
    for document in documents:
        document.data()
    assert all(item.code in CODES and 0 <= item.span.start <= item.span.end <= len(text) for item in found)


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_bytes_are_documents_or_findings(content: bytes) -> None:
    source, found = decode("t.yaml", content)
    assert all(item.code in CODES for item in found + read_yaml(source)[1])


@settings(max_examples=200)
@given(st.lists(st.sampled_from(BITS), max_size=25).map("".join))
def test_both_parsers_read_the_same_data(text: str) -> None:
    fast, fast_found = read(text)
    slow, slow_found = read(text, PythonParser)
    if not fast_found and not slow_found:
        assert [document.data() for document in fast] == [document.data() for document in slow]


def test_a_node_keeps_style_and_text() -> None:
    [document], _ = read("a: 'x'\nb: 0x10\n")
    assert isinstance(document.root, Mapping)
    quoted, number = (entry.value for entry in document.root.entries.values())
    assert isinstance(quoted, Scalar)
    assert isinstance(number, Scalar)
    assert (quoted.style, quoted.value) == ("'", "x")
    assert (number.style, number.value, number.text) == ("", 16, "0x10")
