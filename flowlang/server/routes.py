"""The table of routes: each with what a key must grant, and found by exactly what was asked for.

One table serves every protocol. Who may do something is decided for the route that was found, never for the text of a
path, so there is nothing that the guard and the router could read differently: a path is compared segment by segment
as the bytes that came, without decoding, and has no character but those of ids and names.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from flowlang.server.bodies import Receive
from flowlang.server.operations import Operation
from flowlang.server.problems import HttpProblem, Reply
from flowlang.service import Caller


class Need(StrEnum):
    """What a key must grant, for something at least, before a route is served. The use case looks closer."""

    PUBLIC = "public"  #: no key; nothing else is open
    KEY = "key"  #: any key that is valid
    SEND = "send"
    CALL = "call"
    READ = "read"
    CONTROL = "control"
    DELETE = "delete"
    ADMIN = "admin"


class Request(msgspec.Struct, frozen=True):
    """A request that has passed the gate; of its body, nothing has been read.

    Args:
        route: That serves it.
        caller: Who asks; on a public route somebody without a key.
        params: The parts of the path that the route names.
        headers: Lower-case names.
        receive: Of the connection.
        scope: As ASGI gives it.
        spend: Counts so many more against the key's rate, of which the gate has counted one; on a public route, against
            that of the webhook, of which it has counted none. Raises HttpProblem, 429.
    """

    route: Route
    caller: Caller
    params: Mapping[str, str]
    headers: Mapping[str, str]
    receive: Receive
    scope: Mapping[str, Any]
    spend: Callable[[int], Awaitable[None]]

    @property
    def query(self) -> dict[str, str]:
        """Parameters of the query. Raises: HttpProblem, when one is written twice, or in no UTF-8."""
        try:
            pairs = parse_qsl(
                self.scope.get("query_string", b"").decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=32,
            )
        except (UnicodeError, ValueError):
            raise HttpProblem(422, "parameters", "the query cannot be read") from None
        table = dict(pairs)
        if len(table) != len(pairs):
            raise HttpProblem(422, "parameters", "a parameter of the query is written twice")
        return table


Answering = Callable[[Request], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    Args:
        method: In capitals.
        path: Such as `/runs/{run}`; a part in braces is a whole segment.
        need: What a key must grant.
        answer: Serves a request.
        about: What the OpenAPI document says of it.
        key_param: The part of the path that holds the API key, for protocols that send it there; else it is in the
            header `Authorization`.
        given: The header without which there is no such method, for a question of a protocol; lower-case.
    """

    method: str
    path: str
    need: Need
    answer: Answering
    about: Operation
    key_param: str | None = None
    given: str | None = None

    @property
    def name(self) -> str:
        """As people and logs call it: no value of a path, which may be a key, is in it."""
        return f"{self.method} {self.path}"


#: What a segment that a route names may be: ids, names and keys of ours are all of these.
_VALUE: Final = re.compile(rb"[A-Za-z0-9_-]{1,128}")


class Found(msgspec.Struct, frozen=True):
    """The routes of one path, by method."""

    methods: Mapping[str, Route]
    params: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """A place in the tree of segments."""

    children: dict[bytes, _Node] = field(default_factory=dict)
    named: tuple[str, _Node] | None = None
    methods: dict[str, Route] = field(default_factory=dict)


class Routes:
    """All routes. A protocol adds its own with `add`, and by that gets the gate, the limits and the document.

    Args:
        routes: The first ones.
    """

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.all: list[Route] = []
        self._root = _Node()
        for route in routes:
            self.add(route)

    def add(self, route: Route) -> None:
        """Add a route. Raises: ValueError, when another one has its method and path, or names a segment otherwise."""
        node = self._root
        for part in route.path.split("/")[1:]:
            if part.startswith("{"):
                name = part.strip("{}")
                if node.named is None:
                    node.named = (name, _Node())
                if node.named[0] != name:
                    raise ValueError(f"{route.name}: another route calls the segment {node.named[0]!r}")
                node = node.named[1]
            else:
                node = node.children.setdefault(part.encode("ascii"), _Node())
        if route.method in node.methods:
            raise ValueError(f"{route.name} is there already")
        node.methods[route.method] = route
        self.all.append(route)

    def find(self, path: bytes) -> Found | None:
        """The routes of a path, as it came and without its query; None when there is none."""
        first, *parts = path.split(b"/")
        if first or not parts:
            return None
        node, params = self._root, {}
        for part in parts:
            child = node.children.get(part)
            if child is not None:
                node = child
            elif node.named is not None and _VALUE.fullmatch(part) is not None:
                name, node = node.named
                params[name] = part.decode("ascii")
            else:
                return None
        return Found(node.methods, params) if node.methods else None
