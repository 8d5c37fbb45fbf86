"""What a turn may ask of the active manifest: may an event be sent, how keys are hashed, what the limits are."""

from __future__ import annotations

from typing import Any

from flowlang.engine.admission import call_event, check_emission
from flowlang.engine.catalog import Catalog
from flowlang.engine.intake import Delivery
from flowlang.engine.ports import Sealer
from flowlang.engine.route import InputError, Router
from flowlang.engine.state import ErrorInfo
from flowlang.ids import new_event_id


class Outside:
    """What a turn sees of a manifest.

    Args:
        catalog: The active one.
        sealer: For calls that are only tried: nothing that it seals here is stored.
        now_ms: The time of the turn.

    Attributes:
        key_hash: Hashes a user's key: what it is for, whose it is, its text.
        limit: A limit of the project by its name, or the default given.
    """

    __slots__ = ("_catalog", "_now_ms", "_sealer", "key_hash", "limit")

    def __init__(self, catalog: Catalog, sealer: Sealer, now_ms: int) -> None:
        self._catalog = catalog
        self._sealer = sealer
        self._now_ms = now_ms
        self.key_hash = catalog.key_hash
        self.limit = catalog.limit

    def check(self, name: str, data: Any) -> tuple[Any, ErrorInfo | None]:
        """Check an event that a step sends: its data as they will be stored, or why it cannot be sent."""
        return check_emission(self._catalog, name, data)

    def refuses(self, pipeline: str, data: Any) -> ErrorInfo | None:
        """Say why a pipeline does not take a call with some data; None when it does."""
        starter = self._catalog.starter(pipeline)
        if starter is None:
            return ErrorInfo("permanent", "pipeline.unknown", f"there is no pipeline {pipeline!r}")
        row = new_event_id("a call that is only tried")
        router = Router(self._catalog, self._sealer, self._now_ms)
        try:
            router.call(starter, call_event(row, pipeline, data, self._now_ms, source=""), Delivery(row))
        except InputError as error:
            return ErrorInfo("permanent", "input.invalid", str(error))
        return None
