"""The law of types from schemas: what is valid, and has had its numbers typed, is of the type."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowlang import jsondata
from flowlang.engine.schemas import EventValidator, fill_defaults
from flowlang.expr.schema_types import type_of_schema
from flowlang.expr.types import Type, is_dyn
from tests.unit.expr.inhabits import inhabits
from tests.unit.expr.random_schemas import Instances, document, records

SUITE = Path(__file__).parent / "json_schema_test_suite"
LAW = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=int(__import__("os").environ.get("LAWN", "200")),
)


def cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(SUITE.glob("*.json")):
        for case in json.loads(path.read_text()):
            yield f"{path.stem}: {case['description']}", case


CASES = dict(cases())


def ingested(value: Any) -> bool:
    """Whether a value gets in at all: the suite has integers beyond 64 bits."""
    try:
        jsondata.check(value)
    except jsondata.JsonError:
        return False
    return True


def test_valid_instances_of_the_suite_are_of_the_type() -> None:
    counts = Counter[str]()
    refused = []
    for name, case in CASES.items():
        validator, made = EventValidator(case["schema"]), type_of_schema(case["schema"])
        for instance in filter(ingested, case["valid"]):
            checked = validator.check(instance)
            if not checked.ok:
                refused.append((name, [failure.message for failure in checked.failures]))
                continue
            counts["dyn" if is_dyn(made) else "told"] += 1
            assert inhabits(checked.data, made), (name, case["schema"], checked.data)
    assert refused == [
        # JSON Schema knows no bounds of integers; expressions do.
        ("optional-float-overflow: all integers are multiples of 0.5, if overflow is handled", ["is an integer beyond 64 bits"]),
        # We read every schema as 2020-12, whatever dialect it makes up.
        ("vocabulary: schema that uses custom metaschema with with no validation vocabulary", ["the value is less than the minimum of 10"]),
    ]  # fmt: skip
    assert counts == {"told": 129, "dyn": 667}


KINDS = {"object": (dict,), "array": (list,), "integer": (int, float), "number": (int, float), "string": (str,)}


def test_every_instance_of_the_suite_that_any_of_its_schemas_takes_is_of_the_type() -> None:
    """The suite's schemas seldom say `type`, without which little can be told; so it is added to each in turn."""
    pool = [json.loads(text) for text in dict.fromkeys(json.dumps(one) for case in CASES.values() for one in (*case["valid"], *case["invalid"]))]  # fmt: skip
    pool = [instance for instance in pool if ingested(instance)]
    counts = Counter[str]()
    for name, case in CASES.items():
        schema = case["schema"]
        variants = [(schema, pool)]
        if isinstance(schema, dict) and "type" not in schema:
            for kind, classes in KINDS.items():
                variants.append(({**schema, "type": kind}, [one for one in pool if type(one) in classes]))
        for variant, instances in variants:
            validator, made = EventValidator(variant), type_of_schema(variant)
            if is_dyn(made):
                counts["dyn"] += 1
                continue
            counts["told"] += 1
            for checked in map(validator.check, instances):
                if checked.ok:
                    counts["instances"] += 1
                    assert inhabits(checked.data, made), (name, variant, checked.data)
    assert counts["told"] > 1_300
    assert counts["instances"] > 50_000


def of_the_type(rng: Random, *, defaults_filled: bool) -> Counter[str]:
    """Hold the law against one random schema and some values."""
    schema = document(rng) if rng.random() < 0.5 else records(rng)
    made = type_of_schema(schema, defaults_filled=defaults_filled)
    validator, instances = EventValidator(schema), Instances(rng, schema)
    counts = Counter[str]()
    for _ in range(6):
        instance = instances.one()
        checked = validator.check(fill_defaults(schema, instance) if defaults_filled else instance)
        if checked.ok:
            counts["dyn" if is_dyn(made) else "told"] += 1
            assert inhabits(checked.data, made), (schema, instance, checked.data)
    return counts


@settings(LAW, max_examples=50)
@given(st.randoms(use_true_random=False), st.booleans())
def test_valid_instances_of_random_schemas_are_of_the_type(rng: Random, filled: bool) -> None:
    assume(of_the_type(rng, defaults_filled=filled))


@pytest.mark.parametrize("filled", [False, True])
def test_valid_instances_of_many_schemas_are_of_the_type(filled: bool) -> None:
    """The same as above without Hypothesis, which is quicker by far: a failure names its schema and value."""
    counts = sum((of_the_type(Random(seed), defaults_filled=filled) for seed in range(1_500)), Counter[str]())
    assert counts["told"] > 3_000, counts


KEYWORDS = (
    "type", "properties", "required", "items", "prefixItems", "additionalProperties", "patternProperties", "enum",
    "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "$id", "$anchor", "$schema", "if", "then", "else", "not",
    "dependentSchemas", "dependentRequired", "minimum", "exclusiveMaximum", "default", "title", "$dynamicRef", "a",
)  # fmt: skip
WORDS = st.sampled_from(
    ["object", "array", "integer", "number", "string", "null", "#", "#/$defs/a", "#/items", "#/anyOf/0", "#a", "a", "//[", "%", "#/properties/a/x"]
) | st.text(max_size=4)  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(st.sampled_from(KEYWORDS), inner), max_size=5).map(dict)
        | st.lists(st.tuples(WORDS, inner), max_size=3).map(dict)
    ),
    max_leaves=40,
)


@LAW
@given(ANY_JSON)
def test_any_json_value_as_a_schema_gives_a_type(schema: Any) -> None:
    assert isinstance(type_of_schema(schema), Type)
    assert isinstance(type_of_schema({"$defs": {"a": schema}, "$ref": "#/$defs/a"}, defaults_filled=True), Type)


def nested(keyword: str, depth: int) -> Any:
    schema: Any = {"type": "integer"}
    for _ in range(depth):
        inner = {"a": schema} if keyword in {"properties", "dependentSchemas"} else [schema]
        schema = {keyword: schema if keyword in {"items", "if", "not", "additionalProperties"} else inner}
    return schema


@pytest.mark.parametrize(
    "keyword", ["properties", "items", "additionalProperties", "allOf", "anyOf", "prefixItems", "if", "not", "dependentSchemas", "enum"]
)  # fmt: skip
def test_deep_schemas_give_a_type(keyword: str) -> None:
    assert isinstance(type_of_schema(nested(keyword, 2_000)), Type)
    assert isinstance(type_of_schema({"type": "object", "properties": {"a": nested(keyword, 2_000)}}), Type)


def test_long_chains_and_wide_choices_end_soon() -> None:
    chain: dict[str, Any] = {f"n{i}": {"$ref": f"#/$defs/n{i + 1}"} for i in range(2_000)}
    assert isinstance(type_of_schema({"$ref": "#/$defs/n0", "$defs": {**chain, "n2000": {"type": "string"}}}), Type)
    doubling: dict[str, Any] = {f"n{i}": {"allOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(60)}
    assert isinstance(type_of_schema({"$ref": "#/$defs/n0", "$defs": {**doubling, "n60": {"type": "string"}}}), Type)
    choosing: dict[str, Any] = {f"n{i}": {"anyOf": [{"$ref": f"#/$defs/n{i + 1}"}] * 2} for i in range(60)}
    assert is_dyn(type_of_schema({"$ref": "#/$defs/n0", "$defs": {**choosing, "n60": {"type": "string"}}}))
    product = {
        "type": "object",
        "allOf": [{"anyOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(40)],
    }
    assert is_dyn(type_of_schema(product))
    fields = {
        f"f{i}": {"anyOf": [{"$ref": "#"}, {"type": "null"}, {"type": "object", "properties": {"g": {"$ref": "#"}}}]}
        for i in range(40)
    }
    assert isinstance(type_of_schema({"type": "object", "properties": fields}), Type)
