"""Replays with the production interpreter on every backend: what is kept is read there as the reference reads it."""

from __future__ import annotations

from flowlang.clock import ManualClock
from flowlang.engine.replay import Wish
from flowlang.engine.turn import Call
from flowlang.plan import Foreach, Pause, Repeat
from flowlang.simulate import SimulatedError, Simulation
from tests.contract.rig import Rig
from tests.unit.engine.building import parallel, plan, sets, steps, uses


class Moved(ManualClock):
    """A clock that moves the time of a backend."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(rig.store.now_ms())
        self._rig = rig

    def advance(self, ms: int) -> None:
        super().advance(ms)
        self._rig.advance(ms)


PARTS = (
    uses("a"),
    uses("each", given={"n": "${{ item }}"}, foreach=Foreach("[1, 2, 3]")),
    steps("poll", uses("b"), repeat=Repeat("index == 2", every=Pause(1_000))),
    parallel("both", steps("x", uses("c"), uses("d")), uses("y")),
    sets("total", n="${{ sum(steps.each.output) }}"),
)


class Handlers:
    """Every handler; `each` fails for the item 2 until it is cured."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing = True

    def __call__(self, call: Call) -> int:
        self.calls.append(call.instance)
        if self.failing and call.arguments.get("n") == 2:
            raise SimulatedError("permanent", "no.two")
        return int(call.arguments.get("n", 0))


def test_a_run_is_replayed_from_an_item_from_a_round_and_from_a_branch(rig: Rig) -> None:
    handlers = Handlers()
    names = ("a", "each", "b", "c", "d", "y")
    project = Simulation([plan(*PARTS)], dict.fromkeys(names, handlers), store=rig.store, clock=Moved(rig))
    run = project.call("p")
    project.run_until_idle()
    assert project.finished(run).status == "failed"
    handlers.failing = False
    rest = ["poll[0].b", "poll[1].b", "poll[2].b", "c", "d", "y"]
    for start, calls in (
        ("each[1]", ["each[1]", *rest]),
        ("poll[1].b", rest[1:]),
        ("d", ["d"]),
        ("total", []),
        (None, ["a", "each[0]", "each[1]", "each[2]", *rest]),
    ):
        handlers.calls.clear()
        run = project.replay(run, Wish(start=start))
        project.run_until_idle()
        done = project.finished(run)
        assert (start, sorted(handlers.calls)) == (start, sorted(calls))
        assert (done.status, done.records["total"].output) == ("succeeded", {"n": 6})
