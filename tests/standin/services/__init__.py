"""The services, one file each; `Service` is what the server needs to know of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tests.standin.web import Request, Route


class Service(Protocol):
    """One service behind its own path prefix, `/NAME`."""

    name: str

    @property
    def routes(self) -> Sequence[Route]:
        """The places that it answers."""

    def authorised(self, request: Request) -> bool:
        """Say whether the request has the service's key."""

    def seed(self, data: Mapping[str, Any]) -> None:
        """Add objects to what the service has."""

    def clear(self) -> None:
        """Go back to the objects of a fresh start."""

    def state(self) -> dict[str, Any]:
        """Return what the service has, for tests to look at."""


def bearer(request: Request, token: str) -> bool:
    """Say whether the request carries this bearer token."""
    return request.headers.get("authorization", "") == f"Bearer {token}"
