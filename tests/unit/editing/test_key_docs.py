"""Every key of the language has its sentence, and no sentence is about a key that is not there."""

from __future__ import annotations

from collections.abc import Iterator

from flowlang.editing.key_docs import KEY_DOCS, key_doc
from flowlang.model import Pipeline
from flowlang.model.base import Part
from flowlang.model.pipeline_tests import OneVerb
from flowlang.model.project_file import _Shared


def parts(part: type[Part]) -> Iterator[type[Part]]:
    for child in part.__subclasses__():
        yield child
        yield from parts(child)


def test_every_key_of_the_models_has_a_sentence() -> None:
    language = [part for part in parts(Part) if part.__module__.startswith("flowlang.model.")]
    written = {part: set(part.keys()) for part in language if part not in {OneVerb, _Shared}}
    assert {part: set(docs) for part, docs in KEY_DOCS.items()} == written


def test_sentences_end_with_a_full_stop_and_are_found_by_key() -> None:
    assert all(sentence.endswith(".") for docs in KEY_DOCS.values() for sentence in docs.values())
    assert key_doc(Pipeline, "expires") == "Longest wait before its start; then it is cancelled."
    assert key_doc(Pipeline, "expiers") is None
