"""FlowLang in Flask: an extension that gives each application one client by its configuration.

The keys are `FLOWLANG_URL` and, for a server that asks for one, `FLOWLANG_API_KEY`.
"""

from __future__ import annotations

import threading
from typing import Final

from flask import Flask, current_app

from flowlang.client.sync import Client
from flowlang.errors import ConfigError

_NAME: Final = "flowlang"


class FlowLang:
    """The extension: `flow = FlowLang(app)`, or `flow.init_app(app)` later; then `flow.client` in a request.

    Args:
        app: The application, when it is there already.
    """

    def __init__(self, app: Flask | None = None) -> None:
        self._lock = threading.Lock()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Prepare an application. Raises: ConfigError, when its configuration has no URL."""
        if not app.config.get("FLOWLANG_URL"):
            raise ConfigError("set FLOWLANG_URL to the URL of a `flowlang serve`, such as http://127.0.0.1:8787")
        app.extensions[_NAME] = None

    @property
    def client(self) -> Client:
        """The client of the current application; made when it is first asked for, which is after any fork.

        Raises:
            ConfigError: when the application was not prepared, or its configuration cannot be used.
        """
        if _NAME not in current_app.extensions:
            raise ConfigError("this application has no FlowLang: call `flow.init_app(app)` when it is made")
        with self._lock:
            made: Client | None = current_app.extensions[_NAME]
            if made is None:
                config = current_app.config
                made = Client(config["FLOWLANG_URL"], api_key=config.get("FLOWLANG_API_KEY"))
                current_app.extensions[_NAME] = made
            return made

    def close(self, app: Flask) -> None:
        """Close the client of an application; it is made anew when it is asked for again."""
        with self._lock:
            made: Client | None = app.extensions.get(_NAME)
            if made is not None:
                made.close()
                app.extensions[_NAME] = None
