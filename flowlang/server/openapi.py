"""The OpenAPI document, made of the table of routes: what is served is in it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

import flowlang
from flowlang.server.operations import Answer, Parameter
from flowlang.server.problems import JSON_TYPE, PROBLEM_TYPE
from flowlang.server.routes import Need, Route

VERSION: Final = "3.1.0"
_REF: Final = "#/components/schemas/{name}"
_PROBLEM: Final = "#/components/responses/Problem"

#: Statuses that any route may answer by a problem: another origin's page, a rate, a wrong name, our fault, the store's.
_ALWAYS: Final = (403, 421, 429, 500, 503)
#: Besides: of a route that needs a key; of one that reads a body; of one that reads parameters.
_WITH_KEY: Final = (401,)
_WITH_BODY: Final = (400, 408, 413, 415)

_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "description": "A refusal, as RFC 9457 says.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable name of the reason, for programs."},
        "detail": {"type": "string", "description": "What is wrong and what would be right, for people."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
                "required": ["path", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "code"],
}


#: What may come with a problem, where it makes sense.
_PROBLEM_HEADERS: Final = {
    "retry-after": "Seconds until the same may be sent again; with 429 and 503.",
    "www-authenticate": "What is wrong with the key; with 401 and 403.",
    "ratelimit-policy": 'The rate that was exceeded, such as `"key";q=100;w=1`; with 429.',
    "ratelimit": "What is left of it, and in how many seconds there will be some; with 429.",
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of routes.

    Args:
        routes: As they are served.
    """
    all_routes = sorted(routes, key=lambda route: (route.path, route.method))
    shapes = [shape for route in all_routes for shape in _shapes(route)]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    known = dict(zip(map(id, shapes), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in all_routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, known)
    return {
        "openapi": VERSION,
        "info": {
            "title": "FlowLang",
            "version": flowlang.__version__,
            "description": "Events in, runs out. A method that a path does not take is answered 405, without a body.",
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM_SCHEMA},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key, `flk_…`."}},
            "responses": {
                "Problem": {
                    "description": "It is refused.",
                    "headers": {
                        name: {"description": sentence, "schema": {"type": "string"}}
                        for name, sentence in _PROBLEM_HEADERS.items()
                    },
                    "content": {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
                }
            },
        },
    }


def _shapes(route: Route) -> list[Any]:
    about = route.about
    said = [answer.shape for answer in about.answers.values()] + ([] if about.body is None else [about.body.shape])
    return [shape for each in said for shape in _several(each) if not isinstance(shape, Mapping)]


def _several(shape: Any) -> tuple[Any, ...]:
    if shape is None:
        return ()
    return shape if isinstance(shape, tuple) else (shape,)


def _operation(route: Route, known: Mapping[int, Any]) -> dict[str, Any]:
    about = route.about

    def schema(shape: Any) -> Any:
        found = [each if isinstance(each, Mapping) else known[id(each)] for each in _several(shape)]
        return found[0] if len(found) == 1 else {"anyOf": found}

    answers = {str(status): _answer(answer, schema(answer.shape)) for status, answer in about.answers.items()}
    statuses = {*_ALWAYS, *about.refusals}
    statuses |= set() if route.need is Need.PUBLIC else set(_WITH_KEY)
    statuses |= set() if about.body is None else set(_WITH_BODY)
    statuses |= {404} if _named(route.path) else set()  # such a segment may be anything, and then there is no such path
    problems = {str(status): _BODILESS if status == 405 else {"$ref": _PROBLEM} for status in sorted(statuses)}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "-", route.name.lower()).strip("-"),
        "summary": about.summary,
        "description": _need(route),
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": _SEGMENT} for name in _named(route.path)),
            *map(_parameter, about.parameters),
        ],
        "responses": {**answers, **problems},
    }
    if about.body is not None:
        content = {kind: {"schema": schema(about.body.shape)} for kind in about.body.types}
        content |= {kind: {"schema": shape} for kind, shape in about.body.others.items()}
        operation["requestBody"] = {"required": about.body.required, "content": content}
    if route.need is Need.PUBLIC or route.key_param is not None:
        operation["security"] = []
    return operation


#: The refusal of a method, which a path may take for one name and not for another.
_BODILESS: Final = {
    "description": "It does not take this method.",
    "headers": {"allow": {"description": "those that it takes", "schema": {"type": "string"}}},
}

#: What a part of a path may be; see `routes`.
_SEGMENT: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}


def _named(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _need(route: Route) -> str:
    match route.need:
        case Need.PUBLIC:
            return "Needs no API key."
        case Need.KEY:
            return "Needs an API key."
        case _:
            return f"Needs an API key that grants `{route.need}`."


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.sentence,
        "schema": dict(parameter.schema),
        **({"required": True} if parameter.required else {}),
    }


def _answer(answer: Answer, schema: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"description": answer.sentence}
    if answer.shape is not None:
        content = {JSON_TYPE: {"schema": schema}} | {kind: {"schema": shape} for kind, shape in answer.others.items()}
        said["content"] = content
    if answer.headers:
        said["headers"] = {
            name: {"description": sentence, "schema": {"type": "string"}} for name, sentence in answer.headers.items()
        }
    return said
