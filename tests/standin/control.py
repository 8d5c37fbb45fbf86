"""The control endpoints below `/_control`: script faults, read the ledger, seed, look inside, start afresh.

POST /_control/faults   {"faults": [{"route": "mux.create_asset", "status": 429, "retry_after": 1}]}
GET  /_control/faults   those still to come
GET  /_control/ledger   all calls; ?route=NAME for one route
POST /_control/seed     {"stripe": {"sessions": [{"id": "cs_1"}]}, "academy": {"lessons": 20}}
GET  /_control/state    what the services have
POST /_control/reset    fresh start
GET  /_control/health   answers when the server does
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.standin.faults import Fault
from tests.standin.web import Reply, Request, Route, ServiceError, find

if TYPE_CHECKING:
    from tests.standin.server import Standin

PREFIX = "/_control/"


def answer(standin: Standin, request: Request) -> Reply:
    """Answer a control request.

    Raises:
        ServiceError: 404 for no such endpoint, 400 for a body that is wrong.
    """
    found = find(_routes(standin), request.method, request.path)
    if found is None:
        raise ServiceError(404, {"error": f"there is no {request.method} {request.path}"})
    try:
        return found[0].answer(request)
    except (ValueError, TypeError, KeyError) as error:
        raise ServiceError(400, {"error": f"{type(error).__name__}: {error}"}) from error


def _routes(standin: Standin) -> list[Route]:
    def add_faults(request: Request) -> Reply:
        listed = request.body.get("faults") if isinstance(request.body, dict) else None
        if not isinstance(listed, list):
            raise ServiceError(400, {"error": 'send {"faults": […]}'})
        standin.fail(*[Fault.from_json(item) for item in listed])
        return Reply(200, {"faults": standin.faults.pending()})

    def seed(request: Request) -> Reply:
        if not isinstance(request.body, dict):
            raise ServiceError(400, {"error": "send a map from services to objects"})
        standin.seed(request.body)
        return Reply(200, {})

    def reset(_: Request) -> Reply:
        standin.reset()
        return Reply(200, {})

    def ledger(request: Request) -> Reply:
        return Reply(200, {"calls": [call.to_json() for call in standin.calls(request.one("route"))]})

    def state(_: Request) -> Reply:
        return Reply(200, {name: service.state() for name, service in standin.services.items()})

    return [
        Route("faults", "POST", "/_control/faults", add_faults),
        Route("pending", "GET", "/_control/faults", lambda _: Reply(200, {"faults": standin.faults.pending()})),
        Route("ledger", "GET", "/_control/ledger", ledger),
        Route("seed", "POST", "/_control/seed", seed),
        Route("state", "GET", "/_control/state", state),
        Route("reset", "POST", "/_control/reset", reset),
        Route("health", "GET", "/_control/health", lambda _: Reply(200, {"ok": True})),
    ]
