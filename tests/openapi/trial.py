"""Makes up requests from the document, fitting ones and others, and holds the answers to it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flowlang.server.app import create_app
from flowlang.server.run import HttpServer
from flowlang.service import IncomingEvent, Service
from flowlang.store.codec import PlainSealer
from flowlang.store.redis import RedisStore
from tests.access import DEV_TOKEN, bearer, developing, made
from tests.unit.service.world import PLANS, manifest

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

SECRETS: Final = {"STRIPE_SECRET": "whsec_test", "CRM_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}

#: Answers of a server that does what it should: it is ours if it cannot be reached, and nobody stops it.
FAULTS: Final = frozenset(range(500, 600))


@dataclass
class Trial:
    """Requests to one server, and what was answered.

    Args:
        url: Of the server.
        document: The OpenAPI document, as it serves it.
        keys: API keys to send; None: none.
        known: Name of a part of a path → values that lead to something.
    """

    url: str
    document: dict[str, Any]
    keys: list[str | None]
    known: dict[str, list[str]]
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def run(self, count: int, number: int = 1) -> int:
        """Send requests for each operation: fitting and unfitting ones, `count` of each.

        Args:
            count: How many.
            number: Seed.

        Returns:
            How many were sent.

        Raises:
            Exception: of schemathesis, with the request that was answered otherwise than the document says.
        """
        schema = schemathesis.openapi.from_dict(self.document)
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            for mode in GenerationMode:
                nothing_to_break = (Unsatisfiable,) if mode is GenerationMode.NEGATIVE else ()
                with contextlib.suppress(*nothing_to_break):
                    self._try(operation.as_strategy(generation_mode=mode), count, number)
        return self.answers.total()

    def _try(self, cases: st.SearchStrategy[Case[Any]], count: int, number: int) -> None:
        places = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in self.known.items()})

        @seed(number)
        @settings(
            max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )  # fmt: skip
        @given(cases, st.sampled_from(self.keys), st.booleans(), places)
        def send(case: Case[Any], key: str | None, is_known: bool, values: dict[str, str]) -> None:
            if is_known:
                parameters = dict(case.path_parameters or {})
                case.path_parameters = parameters | {name: values[name] for name in parameters if name in values}
            if is_known and case.path in {"/events", "/e/{key}"}:
                case.body = _sent_by_somebody(case.body)
            if case.query.get("wait"):
                case.query["wait"] = 0  # nobody ends the runs
            headers = {} if key is None else bearer(key)
            response = case.call(base_url=self.url, headers=headers)
            self.answers[f"{case.method} {case.path}", response.status_code] += 1
            case.validate_response(response, checks=CHECKS)

        send()


def _sent_by_somebody(body: Any) -> Any:
    """The same events under a name that there is."""
    if isinstance(body, list):
        return [_sent_by_somebody(each) for each in body]
    return {**body, "name": "shop/other"} if isinstance(body, dict) else body


@contextlib.contextmanager
def served(redis_url: str) -> Iterator[Trial]:
    """A deployed project on a real server, with keys of all kinds."""
    with contextlib.closing(RedisStore(redis_url)) as store:
        service = Service(store, PlainSealer(), salt=store.salt())
        service.deploy(manifest(*PLANS), PLANS)
        app = create_app(service, secrets=SECRETS, keys=developing(store))
        server = HttpServer(app, port=0)
        server.start()
        runs = [service.call("report", {}).id for _ in range(3)]
        rows = [store.run(run) for run in runs]
        (letter,) = (answer.event for answer in service.ingest([IncomingEvent("shop/ratio", {"a": 1, "b": 0})]))
        known = {
            "run": runs,
            "letter": [letter],
            "event": [row.row.event for row in rows if row is not None],
            "pipeline": ["report", "by-hand"],
            "name": ["stripe", "crm"],
            "key": [DEV_TOKEN],
        }
        keys = [DEV_TOKEN, DEV_TOKEN, None, made(store, "shop", send=("shop/*",), read=("report",)), "flk_no_key"]
        try:
            document = httpx.get(f"{server.url}/openapi.json", headers=bearer(), trust_env=False).json()
            yield Trial(server.url, document, keys, known)
        finally:
            server.stop()


Report = Callable[[str], object]


def report(trial: Trial, say: Report) -> None:
    """Say what was answered how often."""
    for operation in sorted({name for name, _ in trial.answers}):
        statuses = {status: count for (name, status), count in sorted(trial.answers.items()) if name == operation}
        say(f"{operation:<40} {'  '.join(f'{status}: {count}' for status, count in statuses.items())}")
