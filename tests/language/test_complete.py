"""The table has an example of every key of a pipeline: a key that comes to the language fails here until it has one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from flowlang.diagnostics import Severity
from flowlang.model import flow_control, pipeline, policy, step, trigger
from flowlang.model.base import Part
from flowlang.model.verbs import TAKEN_BY, VERBS
from tests.language.table import PROJECT, STORIES

#: Where the maps of a pipeline are described.
MODULES = frozenset(module.__name__ for module in (flow_control, pipeline, policy, step, trigger))


def parts(kind: type[Part] = Part) -> Iterator[type[Part]]:
    """All maps that a pipeline is made of."""
    for each in kind.__subclasses__():
        if each.__module__ in MODULES:
            yield each
        yield from parts(each)


def written(value: Any) -> Iterator[tuple[type[Part], str, Any]]:
    """The keys that are written in a pipeline, with their values: (map, key, value)."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from written(item)
    elif isinstance(value, Part):
        for name in value.model_fields_set - {"path"}:
            inner = getattr(value, name)
            yield type(value), type(value).model_fields[name].alias or name, inner
            yield from written(inner)


WRITTEN = [each for document in PROJECT.pipelines for each in written(document.model)]


def alternatives(annotation: Any) -> Iterator[str]:
    """The words that a key can have, where it has a choice of words."""
    if get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    for inner in get_args(annotation):
        if not isinstance(inner, str):
            yield from alternatives(inner)


def test_the_project_is_valid() -> None:
    found = [item for item in PROJECT.diagnostics if item.severity is Severity.ERROR]
    assert [f"{item.span.path}:{item.span.line}: {item.message}" for item in found] == []


def test_each_pipeline_is_part_of_one_story() -> None:
    told = Counter(name for story in STORIES for name in story.pipelines)
    assert told == dict.fromkeys(PROJECT.plans, 1)


def test_each_key_has_an_example() -> None:
    expected = {(part.__name__, key) for part in parts() for key in part.keys()}  # noqa: SIM118 - no mapping
    assert expected - {(part.__name__, key) for part, key, _ in WRITTEN} == set()


#: Words that nothing but their own tests can tell from others: kinds of chance, and classes that a `fail` may have.
SAID_ELSEWHERE = frozenset({("Pause", "jitter"), ("Fail", "class")})


def test_each_word_of_a_choice_has_an_example_or_is_the_default() -> None:
    expected = {
        (part.__name__, field.alias or name, word)
        for part in parts()
        for name, field in part.model_fields.items()
        for word in alternatives(field.annotation)
        if word != field.default and (part.__name__, field.alias or name) not in SAID_ELSEWHERE
    }
    assert expected - {(part.__name__, key, value) for part, key, value in WRITTEN if isinstance(value, str)} == set()


def test_the_tables_of_verbs_and_modifiers_name_keys_of_steps() -> None:
    assert set(VERBS) | set(TAKEN_BY) == set(step.Step.keys())
