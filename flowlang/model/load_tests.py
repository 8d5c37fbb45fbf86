"""From a test file to its tests: documents, lists, and what is shared in a file.

A document is a test, or a list of tests (in which anchors can be shared), or `shared: {…}`: keys that all tests behind
it in the file have which do not write them. Values are literal: a `${{` outside of `check` is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowlang.diagnostics import Diagnostic, Label, has_errors, sorted_diagnostics
from flowlang.expr.regions import template_regions
from flowlang.model.base import found, listed
from flowlang.model.pipeline_tests import MERGED_KEYS, SHARED_KEYS, PipelineTest
from flowlang.model.shape import read_shape
from flowlang.model.yaml_nodes import Entry, Mapping, Node, Scalar, Sequence, YamlDocument
from flowlang.model.yaml_source import read_yaml
from flowlang.source import SourceText

_HINT = "a test begins with `test: what it shows` and `pipeline: name`"


@dataclass(frozen=True, slots=True)
class TestDocument:
    """A test of a test file.

    Args:
        name: What it is called; empty when that could not be read.
        model: The test; None when it has errors, all of which have been reported.
        document: Its tree with places, shared keys taken in.
        source: The file.
    """

    __test__ = False  # pytest would take it for a test of its own

    name: str
    model: PipelineTest | None
    document: YamlDocument
    source: SourceText


def load_tests(source: SourceText) -> tuple[list[TestDocument], list[Diagnostic]]:
    """Read the tests of a file.

    Args:
        source: The file.

    Returns:
        The tests in order, and all findings, sorted by place.
    """
    documents, diagnostics = read_yaml(source)
    whole = not diagnostics
    shared: Mapping | None = None
    loaded: list[TestDocument] = []
    first: dict[str, YamlDocument] = {}
    for node in _nodes(documents):
        document = YamlDocument(source, node)
        if not isinstance(node, Mapping):
            message = f"a pipeline test is a map; found {found(document.data())}"
            diagnostics.append(Diagnostic("FL103", message, document.span_at(()), hint=_HINT))
            continue
        if "shared" in node.entries:
            shared, more = _shared(document, node)
            diagnostics += more
            continue
        wrong = has_errors(item for item in diagnostics if node.start <= item.span.start <= node.end)
        test, more = _load_test(YamlDocument(source, _with_shared(node, shared)), already_wrong=wrong)
        loaded.append(test)
        diagnostics += more
        if test.name and first.setdefault(test.name, test.document) is not test.document:
            labels = (Label(first[test.name].span_at(("test",)), "the first one"),)
            message = "two tests of this file have the same name: reports could not tell them apart"
            diagnostics.append(Diagnostic("FL128", message, test.document.span_at(("test",)), labels=labels))
    if not loaded and whole and not diagnostics:
        diagnostics = [Diagnostic("FL100", "the file has no test", source.span(0, 0), hint=_HINT)]
    return loaded, sorted_diagnostics(diagnostics)


def _nodes(documents: list[YamlDocument]) -> Iterator[Node]:
    for document in documents:
        if isinstance(document.root, Sequence):
            yield from document.root.items
        else:
            yield document.root


def _load_test(document: YamlDocument, *, already_wrong: bool) -> tuple[TestDocument, list[Diagnostic]]:
    model, diagnostics = read_shape(document, PipelineTest)
    diagnostics += _templates(document)
    data = document.data()
    name = data.get("test")
    usable = model is not None and not already_wrong and not has_errors(diagnostics)
    test = TestDocument(name if isinstance(name, str) else "", model if usable else None, document, document.source)
    return test, diagnostics


def _shared(document: YamlDocument, node: Mapping) -> tuple[Mapping | None, list[Diagnostic]]:
    """What a `shared` document shares; its values are checked in the tests that take them."""
    diagnostics = []
    for key, entry in node.entries.items():
        if key != "shared":
            place = document.source.span(entry.key.start, entry.key.end)
            message = f"`{key}` stands beside `shared`, which is a document of its own"
            diagnostics.append(Diagnostic("FL101", message, place, hint="put it below `shared`, or behind a `---`"))
    value = node.entries["shared"].value
    if not isinstance(value, Mapping):
        message = f"`shared` takes a map; found {found(document.data()['shared'])}"
        return None, [*diagnostics, Diagnostic("FL103", message, document.span_at(("shared",)))]
    for key, entry in value.entries.items():
        if key not in SHARED_KEYS:
            place = document.source.span(entry.key.start, entry.key.end)
            hint = f"it takes {listed(SHARED_KEYS)}"
            diagnostics.append(Diagnostic("FL101", f"`{key}` cannot be shared", place, hint=hint))
    return value, diagnostics


def _with_shared(test: Mapping, shared: Mapping | None) -> Mapping:
    """A test with the keys of `shared` that it does not write; maps of names take in what they do not have."""
    if shared is None:
        return test
    entries = dict(test.entries)
    for key, entry in shared.entries.items():
        if key not in SHARED_KEYS:
            continue  # reported where it is written
        own = entries.get(key)
        if own is None:
            entries[key] = entry
        elif key in MERGED_KEYS and isinstance(own.value, Mapping) and isinstance(entry.value, Mapping):
            both = {**entry.value.entries, **own.value.entries}
            entries[key] = Entry(own.key, Mapping(both, own.value.start, own.value.end, own.value.flow))
    return Mapping(entries, test.start, test.end, test.flow)


def _templates(document: YamlDocument) -> list[Diagnostic]:
    """Values that look like templates: nobody would compute them."""
    diagnostics = []
    for scalar in _literals(document.root):
        if "${{" in scalar.text and template_regions(scalar.text)[0] and not scalar.broken:
            place = document.source.span(scalar.start, scalar.end)
            message = "a value of a test is literal, and `${{ }}` would stay as it is"
            hint = "write the value; `check` takes expressions about what came of it"
            diagnostics.append(Diagnostic("FL134", message, place, hint=hint))
    return diagnostics


def _literals(node: Node) -> Iterator[Scalar]:
    """The scalars of a tree, but for those of `check`."""
    if isinstance(node, Scalar):
        yield node
        return
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _literals(item)
        return
    for key, entry in node.entries.items():
        if key != "check":
            yield from _literals(entry.value)
