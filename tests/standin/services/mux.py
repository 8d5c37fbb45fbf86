"""Mux: video assets. A new asset is `preparing` and has a public playback id at once."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from typing import Any

from tests.standin import keys
from tests.standin.web import Reply, Request, Route, ServiceError


class Mux:
    """Mux, empty at the start."""

    name = "mux"

    def __init__(self) -> None:
        self.routes = (
            Route("mux.create_asset", "POST", "/mux/video/v1/assets", self._create),
            Route("mux.asset", "GET", "/mux/video/v1/assets/{id}", self._asset),
        )
        self._assets: dict[str, dict[str, Any]] = {}

    def authorised(self, request: Request) -> bool:
        """Mux takes a token's id and secret as user and password."""
        pair = base64.b64encode(f"{keys.MUX_TOKEN_ID}:{keys.MUX_TOKEN_SECRET}".encode()).decode()
        return request.headers.get("authorization", "") == f"Basic {pair}"

    def clear(self) -> None:
        """Forget all assets."""
        self._assets.clear()

    def seed(self, data: Mapping[str, Any]) -> None:
        """Add or change `assets`, each with an id."""
        for asset in data.get("assets", ()):
            self._assets[asset["id"]] = {**self._assets.get(asset["id"], {}), **asset}

    def state(self) -> dict[str, Any]:
        """Return the assets by id."""
        return copy.deepcopy(self._assets)

    def _create(self, request: Request) -> Reply:
        fields = request.fields(input=list, playback_policy=list)
        urls = [item.get("url", "") for item in fields["input"] if isinstance(item, dict)]
        if not urls or not all(str(url).startswith(("https://", "http://")) for url in urls):
            raise _refused("input: each must have a url that starts with https:// or http://")
        if not set(fields["playback_policy"]) <= {"public", "signed"}:
            raise _refused("playback_policy: each must be public or signed")
        number = len(self._assets) + 1
        asset = {
            "id": f"asset_{number}",
            "status": "preparing",
            "playback_ids": [
                {"id": f"playback_{number}_{policy}", "policy": policy} for policy in fields["playback_policy"]
            ],
            "passthrough": request.body.get("passthrough", ""),
        }
        self._assets[f"asset_{number}"] = asset
        return Reply(201, {"data": asset})

    def _asset(self, request: Request) -> Reply:
        asset = self._assets.get(request.params["id"])
        if asset is None:
            raise ServiceError(404, {"error": {"type": "not_found", "messages": ["no such asset"]}})
        return Reply(200, {"data": asset})


def _refused(message: str) -> ServiceError:
    return ServiceError(400, {"error": {"type": "invalid_parameters", "messages": [message]}})
