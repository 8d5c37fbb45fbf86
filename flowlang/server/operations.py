"""What a route says of itself: the parameters, bodies and answers that its operation in the OpenAPI document has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header.

    Args:
        name: As it is sent.
        schema: JSON Schema of what it may be.
        sentence: What it is for.
        where: `query` or `header`.
        required: Whether it must be there.
    """

    name: str
    schema: Mapping[str, Any]
    sentence: str
    where: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A body that is taken.

    Args:
        shape: The type that it has to fit, as msgspec reads it; several of them; or a JSON Schema.
        required: Whether there must be one.
        types: Media types that it may be declared as.
        others: Media types with a shape of their own → that, as a JSON Schema.
    """

    shape: Any
    required: bool = True
    types: tuple[str, ...] = ("application/json",)
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no refusal.

    Args:
        sentence: What it means.
        shape: The type of its body, as msgspec writes it; several of them; or a JSON Schema; None: it has none.
        headers: Name → what it says.
        others: Media types besides JSON → their shape, as a JSON Schema.
    """

    sentence: str
    shape: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """A route for those who read the document.

    Args:
        summary: One sentence.
        answers: By status.
        refusals: Statuses of problems beyond those that every route, and every one with a key or a body, may answer.
        parameters: Of query and headers; those of the path are known.
        body: That it takes; None: none.
    """

    summary: str
    answers: Mapping[int, Answer]
    refusals: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
