"""The OpenAPI document and the server that serves it agree; `python -m tests.openapi` asks more often."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import jsonschema
import pytest

from tests.access import bearer
from tests.openapi.trial import FAULTS, Trial, served

COUNT = 8


@pytest.fixture
def trial(redis_url: str) -> Iterator[Trial]:
    with served(redis_url) as made:
        yield made


def test_whatever_is_asked_is_answered_as_the_document_says_and_never_by_a_fault(trial: Trial) -> None:
    sent = trial.run(COUNT)
    assert sent > COUNT * len(trial.document["paths"])
    assert {status for _, status in trial.answers} & FAULTS == set()
    operations = {name for name, _ in trial.answers}
    assert operations == {
        f"{method.upper()} {path}" for path, methods in trial.document["paths"].items() for method in methods
    }


def test_the_document_says_of_each_route_which_key_it_needs(trial: Trial) -> None:
    for path, methods in trial.document["paths"].items():
        for method, operation in methods.items():
            is_public = operation["description"] == "Needs no API key."
            assert is_public == (
                f"{method} {path}" in {"get /livez", "get /readyz", "get /hooks/{name}", "post /hooks/{name}"}
            )
            assert (operation.get("security") == []) == (is_public or "{key}" in path)
            assert ("401" in operation["responses"]) or is_public


def test_a_problem_fits_its_schema(trial: Trial) -> None:
    schema = trial.document["components"]["schemas"]["Problem"]
    for method, path in (("GET", "/runs"), ("GET", "/nothing"), ("POST", "/hooks/stripe"), ("POST", "/events")):
        answer = httpx.request(method, f"{trial.url}{path}", headers={"host": "localhost"}, trust_env=False)
        jsonschema.validate(answer.json(), schema)
        assert answer.status_code == answer.json()["status"]
    limit = httpx.get(f"{trial.url}/runs?limit=x", headers=bearer(), trust_env=False)
    jsonschema.validate(limit.json(), schema)
