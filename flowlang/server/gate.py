"""Who may talk to this server at all: the Host and Origin checks that keep web pages away from it.

A page that a developer happens to open can make the browser send requests to localhost, and by rebinding a name even
read the answers. So only names that are ours are answered, and a write that a page of another origin makes is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from flowlang.server.problems import HttpProblem

LOOPBACK = ("localhost", "127.0.0.1", "::1")
READS = ("GET", "HEAD")


class Gate:
    """Checks names.

    Args:
        hosts: Names that this server is called by, without ports; None takes any, for a server behind a proxy that
            checks them.
    """

    def __init__(self, hosts: Iterable[str] | None) -> None:
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)

    def check(self, method: str, headers: Mapping[str, str]) -> None:
        """Check a request.

        Args:
            method: Of the request.
            headers: Lower-case names.

        Raises:
            HttpProblem: 421 for a name that is not ours, 403 for a write from another origin.
        """
        host = headers.get("host", "")
        if self._hosts is not None and _name(f"//{host}") not in self._hosts:
            raise HttpProblem(421, "host.unknown", "this server is not called by that name; see the setting for hosts")
        origin = headers.get("origin")
        if origin is not None and method not in READS and urlsplit_netloc(origin) != host.lower():
            raise HttpProblem(403, "origin.refused", "pages of other origins cannot write here")


def loopback_hosts(bound_to: str, configured: Iterable[str] = ()) -> tuple[str, ...] | None:
    """The names to answer to.

    Args:
        bound_to: Address that the server listens on.
        configured: Names that the operator gave.

    Returns:
        Loopback's names and the configured ones on loopback; else the configured ones, or None when there are none.
    """
    names = tuple(configured)
    if bound_to in LOOPBACK:
        return (*LOOPBACK, *names)
    return names or None


def urlsplit_netloc(url: str) -> str:
    """Host and port of an origin; empty for one that has none, such as `null`."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
