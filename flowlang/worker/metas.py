"""Meta data of runs with large events, kept between the claims of their items: all of a run's items have the same."""

from __future__ import annotations

from flowlang.engine import sealed_fields
from flowlang.engine.ops import MAIN, Claimed
from flowlang.engine.ports import Sealer
from flowlang.engine.state import RunMeta, decode_meta
from flowlang.errors import FlowError

#: Smaller ones are sent each time, bytes.
LARGE = 2_000
#: Most of them, and most bytes of them all as they are stored.
MOST, MOST_BYTES = 32, 8_000_000


class Metas:
    """The meta data that this process has. Belongs to the thread of the flusher.

    Args:
        sealer: Opens payloads.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._kept: dict[str, tuple[RunMeta, int]] = {}  #: by run, the one used last at the end
        self._bytes = 0

    def known(self) -> tuple[str, ...]:
        """The runs whose meta data need not be sent with rows below their main one."""
        return tuple(self._kept)

    def of(self, row: Claimed) -> RunMeta | None:
        """The meta data of a claimed row, decoded; None when the row has them itself and they are not kept."""
        if row.scope == MAIN:
            return None  # it may change them
        found = self._kept.pop(row.run, None)
        if found is None:
            if len(row.meta) < LARGE:
                return None
            try:
                found = decode_meta(self._sealer.open(row.meta, sealed_fields.META, row.run)), len(row.meta)
            except FlowError:
                return None  # whoever takes the row will find the same
            self._bytes += found[1]
        self._kept[row.run] = found
        while len(self._kept) > MOST or (self._bytes > MOST_BYTES and len(self._kept) > 1):
            _, size = self._kept.pop(next(iter(self._kept)))
            self._bytes -= size
        return found[0]
