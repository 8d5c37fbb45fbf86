"""The receivers of `observe`: traces by OTLP, events of PostHog, an incoming webhook of Slack. They keep what they took."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from tests.standin import keys
from tests.standin.web import Reply, Request, Route, ServiceError


class Telemetry:
    """Takes traces, events and messages."""

    name = "telemetry"

    def __init__(self) -> None:
        self.routes = (
            Route("telemetry.traces", "POST", "/telemetry/v1/traces", self._traces),
            Route("telemetry.batch", "POST", "/telemetry/batch/", self._batch),
            Route("telemetry.hook", "POST", "/telemetry/hook/{secret}", self._hook),
        )
        self._taken: dict[str, list[Any]] = {}
        self.clear()

    def authorised(self, request: Request) -> bool:
        """The collector has a key in a header, PostHog one in the body, and the webhook one in its address."""
        if request.path.startswith("/telemetry/hook/"):
            return request.path.endswith(f"/{keys.TELEMETRY_KEY}")
        given = request.headers.get("x-api-key") or (request.body or {}).get("api_key")
        return given == keys.TELEMETRY_KEY

    def clear(self) -> None:
        """Forget everything."""
        self._taken = {"spans": [], "events": [], "texts": []}

    def seed(self, data: Mapping[str, Any]) -> None:
        """Add to what was taken."""
        for name, items in data.items():
            self._taken[name] += items

    def state(self) -> dict[str, Any]:
        """What was taken."""
        return copy.deepcopy(self._taken)

    def _traces(self, request: Request) -> Reply:
        for resource in request.fields(resourceSpans=list)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self._taken["spans"] += scope["spans"]
        return Reply(200, {})

    def _batch(self, request: Request) -> Reply:
        self._taken["events"] += request.fields(batch=list)["batch"]
        return Reply(200, {"status": 1})

    def _hook(self, request: Request) -> Reply:
        text = request.fields(text=str)["text"]
        if not text:
            raise ServiceError(400, {"error": "no_text"})
        self._taken["texts"].append(text)
        return Reply(200, {"ok": True})
