"""Meta data of runs with large events are sent once to a process, not with each item."""

from __future__ import annotations

from flowlang.engine import sealed_fields
from flowlang.engine.ops import Claimed
from flowlang.engine.state import Event, RunMeta, encode
from flowlang.store.codec import PlainSealer
from flowlang.worker.metas import LARGE, MOST, Metas

SEALER = PlainSealer()


def row(run: str, scope: str, size: int = LARGE, *, sent: bool = True) -> Claimed:
    meta = SEALER.seal(encode(RunMeta(Event("e", "a/b", "x" * size), 1)), run, sealed_fields.META) if sent else b""
    return Claimed(run=run, scope=scope, fence=1, state=b"", pipeline="p", version="v", meta=meta)


def test_an_item_s_meta_data_are_kept_for_the_next_item() -> None:
    metas = Metas(SEALER)
    assert metas.known() == ()
    first = metas.of(row("r1", "pages[0]"))
    assert first is not None
    assert metas.known() == ("r1",)
    assert metas.of(row("r1", "pages[1]", sent=False)) is first


def test_small_ones_and_those_of_main_scopes_are_not_kept() -> None:
    metas = Metas(SEALER)
    assert metas.of(row("r1", "pages[0]", size=10)) is None
    assert metas.of(row("r2", "")) is None
    assert metas.known() == ()


def test_the_ones_used_last_are_kept_within_bounds_of_number_and_size() -> None:
    metas = Metas(SEALER)
    for number in range(MOST + 1):
        metas.of(row(f"r{number}", "pages[0]"))
        metas.of(row("r0", "pages[1]", sent=False))
    assert set(metas.known()) == {"r0", *(f"r{number}" for number in range(2, MOST + 1))}
    metas.of(row("huge", "pages[0]", size=8_000_000))
    assert metas.known() == ("huge",)


def test_meta_data_that_cannot_be_read_are_left_to_whoever_takes_the_row() -> None:
    metas = Metas(SEALER)
    broken = Claimed(run="r1", scope="g[0]", fence=1, state=b"", pipeline="p", version="v", meta=b"?" * LARGE)
    assert metas.of(broken) is None
    assert metas.known() == ()
