"""The table of routes: a path leads to what it spells, byte for byte, or nowhere."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowlang.engine.ports import Grants
from flowlang.server.app import own_routes
from flowlang.server.gate import _authorise, raw_path
from flowlang.server.operations import Operation
from flowlang.server.problems import HttpProblem, Reply
from flowlang.server.routes import Need, Request, Route, Routes
from flowlang.service import Caller

NOBODY: Any = None
OURS = own_routes(NOBODY, NOBODY, NOBODY, waiting=NOBODY, limits=NOBODY, draining=lambda: False)
PATHS = sorted({route.path for route in OURS.all})

#: Pieces that paths are made of, and that people make other paths of.
pieces = st.sampled_from(
    [b"/", b"//", b"/.", b"/..", b"%2F", b"%2f", b"%2e%2e", b";", b";x", b"?", b"#", b"\\", b" ", b"%00", b"\x00", b"\xc3\xa9"]
    + [part.encode() for path in PATHS for part in re.findall(r"/|[^/]+", path)]
    + [b"livez", b"readyz", b"hooks", b"r00-x", b"LIVEZ", b"x" * 129]
)  # fmt: skip
paths = st.lists(pieces, max_size=8).map(b"".join) | st.binary(max_size=40)


def filled(route: Route, params: dict[str, str]) -> bytes:
    return re.sub(r"\{(\w+)\}", lambda name: params[name[1]], route.path).encode()


@given(paths)
@example(b"/runs/livez")
@example(b"/livez")
def test_a_path_that_is_found_is_the_routes_own_with_the_values_that_it_names(path: bytes) -> None:
    found = OURS.find(path)
    if found is None:
        return
    for method, route in found.methods.items():
        assert route.method == method
        assert filled(route, dict(found.params)) == path
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value) for value in found.params.values())


@pytest.mark.parametrize("path", PATHS)
def test_every_route_is_found_by_its_path(path: str) -> None:
    values = {name: f"{name}-1" for name in re.findall(r"\{(\w+)\}", path)}
    found = OURS.find(re.sub(r"\{(\w+)\}", r"\1-1", path).encode())
    assert found is not None
    assert dict(found.params) == values
    assert {route.path for route in found.methods.values()} == {path}


@given(paths)
def test_what_is_public_is_public_by_its_route_alone(path: bytes) -> None:
    found = OURS.find(path)
    public = [] if found is None else [route for route in found.methods.values() if route.need is Need.PUBLIC]
    assert bool(public) == (
        path in {b"/livez", b"/readyz"} or re.fullmatch(rb"/hooks/[A-Za-z0-9_-]{1,128}", path) is not None
    )


@given(
    st.sampled_from(list(Need)),
    st.builds(
        Grants,
        send=st.sampled_from([(), ("a",)]),
        call=st.sampled_from([(), ("a",)]),
        read=st.sampled_from([(), ("a",)]),
        control=st.sampled_from([(), ("a",)]),
        admin=st.booleans(),
    ),
)
def test_a_key_passes_the_gate_where_it_grants_something_of_what_the_route_needs(need: Need, grants: Grants) -> None:
    route = route_of("GET", "/x", need)
    expected = need is Need.KEY or (need is not Need.PUBLIC and grants.admin)
    expected |= need.value in {"send", "call", "read", "control"} and bool(getattr(grants, need.value, ()))
    caller = Caller(frozenset({"k"}), grants, "k")
    with contextlib.nullcontext() if expected else pytest.raises(HttpProblem, match="grants no") as refused:
        _authorise(route, caller)
    assert expected or (refused is not None and (refused.value.status, refused.value.code) == (403, "key.scope"))


def route_of(method: str, path: str, need: Need = Need.READ) -> Route:
    async def answer(_: Request) -> Reply:
        return Reply(200)

    return Route(method, path, need, answer, Operation("x", {}))


def test_two_routes_cannot_be_one() -> None:
    routes = Routes([route_of("GET", "/runs/{run}")])
    routes.add(route_of("POST", "/runs/{run}"))
    with pytest.raises(ValueError, match=r"GET /runs/\{run\} is there already"):
        routes.add(route_of("GET", "/runs/{run}"))
    with pytest.raises(ValueError, match="another route calls the segment 'run'"):
        routes.add(route_of("GET", "/runs/{event}/x"))


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"raw_path": b"/runs%2Fx", "path": "/runs/x"}, b"/runs%2Fx"),
        ({"raw_path": b"/runs?limit=1", "path": "/runs"}, b"/runs"),
        ({"path": "/runs"}, b"/runs"),
        ({"raw_path": None, "path": "/runs\u00e9"}, b"/runs\xc3\xa9"),
    ],
    ids=["as it came", "without a query", "not told", "not told, not ASCII"],
)
def test_the_path_is_the_one_that_came(scope: dict[str, Any], path: bytes) -> None:
    assert raw_path(scope) == path
