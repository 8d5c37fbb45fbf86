"""What `worker`, `serve`, `deploy` and `dev` look at before they start: a server that loses runs is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from flowlang.cli.checks import Check, server_checks
from flowlang.cli.wiring import health
from flowlang.errors import ConfigError
from flowlang.settings import Settings

#: Checks that must not fail: such a server cannot hold runs, or throws them away when its memory is short.
FATAL: Final = frozenset({"store", "eviction"})


def check_servers(settings: Settings, warn: Callable[[str], object]) -> None:
    """Look at the servers before anything starts.

    Args:
        settings: Name them.
        warn: Is told, in a line each, what breaks a promise without making work impossible.

    Raises:
        ConfigError: when the store's server cannot be used, with what would be right.
        StoreUnavailableError: when it does not answer.
    """
    for check in passed(server_checks(health(settings), settings)):
        if check.status != "ok":
            warn(f"{check.message}; {check.advice}")


def passed(checks: Iterable[Check]) -> list[Check]:
    """The checks, when none of them forbids a start. Raises: ConfigError."""
    found = list(checks)
    for check in found:
        if check.status == "fail" and check.name in FATAL:
            raise ConfigError(f"{check.message}: {check.advice}")
    return found
