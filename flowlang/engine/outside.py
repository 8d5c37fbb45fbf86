"""What a turn may ask of the active manifest: may an event be sent, how keys are hashed, what the limits are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowlang.engine.admission import check_emission
from flowlang.engine.catalog import Catalog
from flowlang.engine.state import ErrorInfo

#: Checks an event's data against its schema: the data as it will be stored, or why it cannot be sent.
CheckEmission = Callable[[str, Any], tuple[Any, ErrorInfo | None]]


@dataclass(frozen=True, slots=True)
class Outside:
    """The manifest as far as a turn sees it.

    Attributes:
        check: Checks an event that a step sends.
        key_hash: Hashes a user's key: what it is for, whose it is, its text.
        limit: A limit of the project by its name, or the default given.
    """

    check: CheckEmission
    key_hash: Callable[[str, str, str], str]
    limit: Callable[[str, int], int]


def outside(catalog: Catalog) -> Outside:
    """What turns see of a manifest."""
    return Outside(lambda name, data: check_emission(catalog, name, data), catalog.key_hash, catalog.limit)
