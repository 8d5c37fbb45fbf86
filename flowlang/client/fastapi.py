"""FlowLang in FastAPI, or any other ASGI framework: a client that lives as long as the application, as a dependency."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from flowlang.client.asynchronous import AsyncClient
from flowlang.errors import ConfigError


class FlowLang:
    """Gives routes an `AsyncClient`.

    `FastAPI(lifespan=flow.lifespan)` opens and closes it, and `client: Annotated[AsyncClient, Depends(flow)]` is it. An
    application with a lifespan of its own enters this one there: `async with flow.lifespan(app): yield`.

    Args:
        url: As of `AsyncClient`.
        client: Further arguments of `AsyncClient`.
    """

    def __init__(self, url: str, **client: Any) -> None:
        self._url = url
        self._arguments = client
        self._client: AsyncClient | None = None

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Open the client while the application runs.

        Raises:
            ConfigError: when the URL cannot be used.
        """
        del app
        async with AsyncClient(self._url, **self._arguments) as client:
            self._client = client
            try:
                yield
            finally:
                self._client = None

    def __call__(self) -> AsyncClient:
        """The client, for a route. Raises: ConfigError, while the application does not run."""
        if self._client is None:
            raise ConfigError("the client is not open: make the application with `FastAPI(lifespan=flow.lifespan)`")
        return self._client
