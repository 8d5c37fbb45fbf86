"""What a turn may ask of the active manifest: may an event be sent, how keys are hashed, what the limits are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flowlang.engine.admission import call_event, check_emission
from flowlang.engine.intake import Delivery
from flowlang.engine.route import InputError, Router
from flowlang.engine.state import ErrorInfo
from flowlang.ids import new_event_id

#: Checks an event's data against its schema: the data as it will be stored, or why it cannot be sent.
CheckEmission = Callable[[str, Any], tuple[Any, ErrorInfo | None]]


@dataclass(frozen=True, slots=True)
class Outside:
    """The manifest as far as a turn sees it.

    Attributes:
        check: Checks an event that a step sends.
        refuses: Why a pipeline does not take a call with some data; None when it does.
        key_hash: Hashes a user's key: what it is for, whose it is, its text.
        limit: A limit of the project by its name, or the default given.
    """

    check: CheckEmission
    refuses: Callable[[str, Any], ErrorInfo | None]
    key_hash: Callable[[str, str, str], str]
    limit: Callable[[str, int], int]


def outside(router: Router) -> Outside:
    """What turns see of a manifest.

    Args:
        router: For the time of the turn; nothing that it makes is stored.
    """
    catalog = router.catalog

    def refuses(pipeline: str, data: Any) -> ErrorInfo | None:
        starter = catalog.starter(pipeline)
        if starter is None:
            return ErrorInfo("permanent", "pipeline.unknown", f"there is no pipeline {pipeline!r}")
        row = new_event_id("a call that is only tried")
        try:
            router.call(starter, call_event(row, pipeline, data, router.now_ms, source=""), Delivery(row))
        except InputError as error:
            return ErrorInfo("permanent", "input.invalid", str(error))
        return None

    return Outside(lambda name, data: check_emission(catalog, name, data), refuses, catalog.key_hash, catalog.limit)
