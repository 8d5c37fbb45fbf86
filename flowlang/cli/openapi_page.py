"""Writes `docs/reference/openapi.json`, the document that a server gives to whoever has a key."""

from __future__ import annotations

import json
from typing import Any

from flowlang.server.app import own_routes
from flowlang.server.openapi import document


def openapi_page() -> str:
    """The document of all routes of ours."""
    nobody: Any = None  # serves nothing: routes are only described
    return (
        json.dumps(
            document(own_routes(nobody, nobody, nobody, waiting=nobody, limits=nobody, draining=lambda: False).all),
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )
