"""CEL's own conformance cases, from `../shared/cel` beside the repository; the count of each file is exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.cases import judge, load

FOLDER = Path(__file__).parents[3] / "shared" / "cel"

#: How many cases each file has; all of them must pass.
PASSED = {
    "basic": 25,
    "bindings_ext": 3,
    "block_ext": 13,
    "comparisons": 168,
    "conversions": 46,
    "encoders_ext": 2,
    "fields": 28,
    "fp_math": 15,
    "integer_math": 26,
    "lists": 18,
    "logic": 15,
    "macros": 19,
    "macros2": 28,
    "math_ext": 105,
    "namespace": 9,
    "network_ext": 32,
    "optionals": 31,
    "parse": 98,
    "plumbing": 2,
    "string": 21,
    "string_ext": 109,
    "timestamps": 40,
    "type_deduction": 16,
}


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"CEL's conformance cases are not here: there is no {FOLDER}")
@pytest.mark.parametrize("file", sorted(PASSED))
def test_cels_own_cases_pass(file: str) -> None:
    cases = load(FOLDER / f"{file}.json")
    failures = {f"{case['section']}/{case['name']}": reason for case in cases if (reason := judge(case)) is not None}
    assert len(cases) - len(failures) == PASSED[file], failures


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"CEL's conformance cases are not here: there is no {FOLDER}")
def test_every_file_of_cels_cases_is_counted() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(PASSED)
