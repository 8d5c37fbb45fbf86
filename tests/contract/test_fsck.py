"""`flowlang fsck`: nothing to find in a store that only we have written to, and exactly that which somebody breaks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from flowlang.engine.fsck import MEANINGS, Finding, Report
from flowlang.engine.ops import (
    MAIN,
    Accept,
    CacheEntry,
    Claimed,
    ClaimRequest,
    Commit,
    DeadLetter,
    Delayed,
    Deploy,
    OnceKey,
    Op,
    Pace,
    Parent,
    Slot,
    Take,
    Timer,
    Wait,
    Window,
)
from flowlang.engine.reference.fsck import check
from flowlang.engine.reference.tables import SEP
from flowlang.store.fsck import Checker
from flowlang.store.keys import Keys
from flowlang.store.memory import MemoryStore
from flowlang.store.redis import RedisStore
from tests.contract.conftest import moved_clock
from tests.contract.rig import DAY_MS, Rig, accept, commit, end_child, event_of, finish, group_of, seed_of
from tests.contract.test_equivalence import EXAMPLES
from tests.contract.test_equivalence import Machine as Operations
from tests.contract.test_gate_equivalence import Machine as Gates
from tests.contract.test_retention import Story

PLANS = Deploy("m1", b"manifest", {"v1": b"plan", "v2": b"plan"})
KEYS = Keys()


def checked(store: RedisStore, pause: Callable[[float], object] = lambda _: None) -> Report:
    """Check a server's store."""
    return Checker(store._client, store.keys, now_ms=store.now_ms, pause=pause).check()


def findings(rig: Rig) -> list[Finding]:
    """Check whichever store it is."""
    if isinstance(rig.store, MemoryStore):
        return check(rig.store._partition._tables)
    assert isinstance(rig.store, RedisStore)
    return list(checked(rig.store).findings)


#: What few runs have beside their rows, by the commit that gives it to them; it must expire with them.
RARITIES: list[dict[str, Any]] = [
    {"waits": (Wait("w", ("k",), 0),)},
    {"takes": (Take("w", "s", "e"),)},
    {"undos": (b"u",)},
    {"groups": (group_of(1, inputs=(b"in",)),)},
]


@pytest.mark.parametrize("rarity", RARITIES, ids=lambda rarity: next(iter(rarity)))
def test_whatever_a_run_has_expires_with_it(rig: Rig, rarity: dict[str, Any]) -> None:
    row = rig.start_run(records={"a": b"1"}, timers=(Timer("t", DAY_MS),))
    rig.one(commit(row, "held", consumed=1, journal=(b"j",), **rarity))
    rig.one(finish(row))

    assert findings(rig) == []


class CheckedStory(Story):
    """The story of all that a store can do, with a check after each flush."""

    checks = 0

    def accept(self, event: str, *runs: Any, **more: Any) -> Accept:
        made = super().accept(event, *runs, **more)
        return Accept(1, made.event, made.runs, made.dead, delayed=made.delayed)

    def send(self, *ops: Op) -> None:
        super().send(*ops)
        self.checks += 1
        assert findings(self.rig) == []


def test_a_store_that_only_operations_have_written_to_has_no_findings(rig: Rig) -> None:
    rig.one(PLANS)
    story = CheckedStory(rig, "x")
    story.tell()
    assert story.checks > 12
    story.expire()
    assert findings(rig) == []


def test_what_other_scopes_of_an_ended_run_had_of_gates_is_gone_from_their_rows(rig: Rig) -> None:
    rig.one(PLANS)
    rig.one(accept("e1", seed_of("r1"), epoch=1))
    main = rig.claim_one()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(2),)))
    asked: dict[str, Any] = {"gate_id": "step", "gates": (Slot("k", 1),)}
    rig.flush(*(commit(child, "waiting", **asked) for child in rig.claim(2)))

    rig.one(finish(main))

    assert findings(rig) == []


class Compared(Operations):
    """Any operations, also those that no engine would send; what is wrong then is the same to both backends."""

    compared = 0

    def compare_views(self) -> None:
        """What the views say is compared elsewhere."""

    def teardown(self) -> None:
        Compared.compared += 1
        assert list(checked(self.store).findings) == check(self.reference._tables)
        super().teardown()


class ComparedGates(Gates):
    """The same for gates."""

    def teardown(self) -> None:
        Compared.compared += 1
        assert list(checked(self.store).findings) == check(self.reference._tables)
        super().teardown()


@pytest.mark.parametrize("machine", [Compared, ComparedGates])
def test_both_backends_are_judged_alike(machine: type[Operations | Gates], redis_url: str) -> None:
    machine.url = redis_url
    before = Compared.compared
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES // 2, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert Compared.compared > before


# Broken stores ------------------------------------------------------------------------------------------------------


class Standing:
    """A store in which something of everything stands still.

    Args:
        store: On a server.
    """

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.rig = Rig(store, moved_clock(store))
        self.client: Any = store._client
        self.rig.one(PLANS)
        self.waiting()
        self.children()
        self.gates()
        self.ended()
        self.kept()
        self.beside()
        self.rig.one(self.made("ready"))
        assert checked(store).findings == ()

    def made(self, run: str, *, event: dict[str, Any] | None = None, **seed: Any) -> Accept:
        return accept(f"e-{run}", seed_of(run, queue=f"q-{run}", **seed), epoch=1, **(event or {}))

    def started(self, run: str, **seed: Any) -> Claimed:
        self.rig.one(self.made(run, **seed))
        return self.rig.claim_one(queues=(f"q-{run}",), lease_ms=9 * DAY_MS)

    def waiting(self) -> None:
        self.started("held")
        self.rig.one(commit(self.started("timer"), "waiting", consumed=1, timers=(Timer("t", DAY_MS),)))
        self.rig.one(commit(self.started("wait"), "waiting", consumed=1, waits=(Wait("w", ("k1", "k2")),)))

    def children(self) -> None:
        main = self.started("group")
        self.rig.one(commit(main, "waiting", consumed=1, groups=(group_of(3, max_parallel=2),)))
        first, second = self.rig.claim(2, queues=("q-group",), lease_ms=9 * DAY_MS)
        assert (first.scope, second.scope) == ("g[0]", "g[1]")
        main = self.started("parent")
        child = self.made("child", parent=Parent("parent", MAIN, "call"))
        self.rig.one(commit(main, "waiting", consumed=1, accepts=(child,)))
        row = self.rig.claim_one(queues=("q-child",))
        self.rig.one(commit(row, "waiting", consumed=1, timers=(Timer("t", DAY_MS),)))

    def gates(self) -> None:
        for run in ("place", "line"):
            self.rig.one(self.made(run, gates=(Slot("s", 1),)))
        for run in ("active", "after"):
            self.rig.one(self.made(run, gates=(Slot("a", 1, "cancel_oldest", active=True),)))
        for run in ("paced", "pacing"):
            self.rig.one(self.made(run, gates=(Pace("p", 1, DAY_MS),)))
        self.rig.one(self.made("window", gates=(Window("w", DAY_MS),)))

    def ended(self) -> None:
        self.rig.one(finish(self.started("ended")))
        letter = DeadLetter("dead", "run", "orders", b"why")
        self.rig.one(finish(self.started("dead"), "failed", dead=letter))

    def kept(self) -> None:
        self.rig.one(self.made("mail", event={"keys": ("k9",), "mail_ms": DAY_MS, "dedupe": "d"}, once=OnceKey("o", 1)))
        row = self.started("late")
        delayed, cached = (Delayed("later", b"x", DAY_MS),), (CacheEntry("c", b"x", DAY_MS),)
        self.rig.one(commit(row, "held", consumed=1, delayed=delayed, cached=cached))

    def beside(self) -> None:
        self.rig.one(self.made("beside", version="v2"))
        refusing = ClaimRequest("w", ("q-beside",), 1, 1_000, 8, 0, refuses=("v2",))
        assert self.rig.flush(claim=refusing).claimed == ()

    def key(self, name: str) -> str:
        return KEYS.base + name

    def do(self, command: str, name: str, *arguments: str | int) -> None:
        """Change something by hand; what it should change was there."""
        changed = self.client.execute_command(command, self.key(name), *arguments)
        assert changed or command == "HSET"

    def codes(self) -> dict[str, set[str]]:
        """Codes of findings, with the places where they were found."""
        found: dict[str, set[str]] = {}
        for finding in checked(self.store).findings:
            assert finding.code in MEANINGS
            found.setdefault(finding.code, set()).add(finding.where)
        return found


@pytest.fixture
def standing(redis_url: str) -> Iterator[Standing]:
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as store:
        yield Standing(store)


def member(*parts: str) -> str:
    return SEP.join(parts)


#: What is done by hand: command, key, arguments → codes and places of the findings that follow.
BREAKS: list[tuple[tuple[Any, ...], dict[str, str]]] = [
    (("ZREM", "ready:q-ready", member("ready", "")), {"ready-lost": "run ready, scope main"}),
    (("ZADD", "ready:q-ready", 1, member("held", "")), {"ready-stray": "ready:q-ready"}),
    (("ZADD", "ready:q-ready", 1, "odd"), {"ready-stray": "ready:q-ready"}),
    (("ZADD", "timers", 9e15, "odd"), {"timer-stray": "timers"}),
    (("ZADD", "timers", 9e15, member("", "odd")), {"timer-stray": "timers"}),
    (("ZADD", "line:s", 9e15, "odd"), {"line-stray": "line:s"}),
    (("HSET", "run:held:s", "", "x"), {"run-broken": "run held", "running-count": "q-held"}),
    (("ZADD", "ready:q-ready", 1, member("gone", "")), {"ready-stray": "ready:q-ready"}),
    (("ZADD", "ready:q-beside", 1, member("beside", "")), {"ready-twice": "run beside, scope main"}),
    (("ZREM", f"ready:q-beside{SEP}v2", member("beside", "")), {"ready-lost": "run beside, scope main"}),
    (("SREM", "asides", f"q-beside{SEP}v2"), {"aside-lost": "q-beside|v2"}),
    (("SREM", "queues", "q-ready"), {"queue-lost": "q-ready"}),
    (
        ("ZREM", "leases", member("held", "")),
        {"lease-lost": "run held, scope main", "running-count": "q-held"},
    ),
    (("ZADD", "leases", 9e15, member("ready", "")), {"lease-stray": "leases"}),
    (("HINCRBY", "running", "q-held", 1), {"running-count": "q-held"}),
    (("ZREM", "timers", member("timer", "", "t")), {"timer-lost": "run timer, scope main"}),
    (("ZADD", "timers", 9e15, member("timer", "", "u")), {"timer-stray": "timers"}),
    (("ZREM", "wait:k1", member("wait", "", "w")), {"wait-lost": "run wait, scope main"}),
    (("ZADD", "wait:k3", 0, member("wait", "", "w")), {"wait-stray": "wait:k3"}),
    (("ZADD", "wait:k1", 0, member("gone", "", "w")), {"wait-stray": "wait:k1"}),
    (
        ("HDEL", "run:wait:w", member("", "w")),
        {"wait-lost": "run wait, scope main", "wait-stray": "wait:k1 wait:k2"},
    ),
    (
        ("DEL", "line:s"),
        {"line-lost": "run line, scope main"},
    ),
    (("ZADD", "line:s", 9e15, member("1" * 16, "gone", "")), {"line-stray": "line:s"}),
    (("DEL", "places:s"), {"place-lost": "run place, scope main", "line-idle": "line:s"}),
    (("ZADD", "places:s", 1, member("1" * 16, "gone", "")), {"place-stray": "places:s"}),
    (("DEL", "places:a"), {"slot-state": "run active", "line-idle": "line:a"}),
    (("ZADD", "untold:a", 1, member("1" * 16, "gone", "")), {"untold-stray": "untold:a"}),
    (("ZREM", "timers", member("", "pace", "p")), {"gate-timer-lost": "line:p"}),
    (("ZADD", "timers", 9e15, member("", "pace", "none")), {"gate-timer-stray": "line:none"}),
    (("ZREM", "timers", member("", "window", "w")), {"gate-timer-lost": "line:w"}),
    (("HDEL", "windows", "w"), {"gate-timer-lost": "line:w"}),
    (("HSET", "windows", "none", 1), {"window-stray": "line:none"}),
    (("ZREM", "runs", "timer"), {"list-lost": "run timer"}),
    (("ZADD", "runs", 1, "gone"), {"list-stray": "runs"}),
    (("ZREM", "runs:p:orders", "timer"), {"list-lost": "run timer"}),
    (("ZADD", "runs:p:other", 1, "timer"), {"list-stray": "by_pipeline:other"}),
    (
        ("ZREM", "runs:s:succeeded", "ended"),
        {"list-lost": "run ended", "version-count": "succeeded"},
    ),
    (
        ("ZADD", "runs:s:failed", 1, "ended"),
        {"list-stray": "by_status:failed", "version-count": "failed"},
    ),
    (("HINCRBY", "versions", member("v2", "pending"), 1), {"version-count": "pending"}),
    (("HDEL", "plans", "v2"), {"plan-lost": "run beside"}),
    (
        ("ZREM", "expiry", member("ended", "orders", "v1", "succeeded")),
        {"expiry-lost": "run ended"},
    ),
    (("ZADD", "expiry", 9e15, member("dead", "orders", "v1", "failed")), {"expiry-stray": "run dead"}),
    (("ZADD", "expiry", 9e15, member("timer", "orders", "v1", "running")), {"expiry-stray": "run timer"}),
    (("ZADD", "expiry", 9e15, member("gone", "orders", "v1", "failed")), {"expiry-stray": "expiry"}),
    (("PERSIST", "run:ended:s"), {"ttl-lost": "run ended"}),
    (("PEXPIRE", "run:timer", 1_000_000), {"ttl-early": "run timer"}),
    (("PERSIST", "event:e-ready"), {"ttl-none": "event:e-ready"}),
    (("PERSIST", "dedupe:d"), {"ttl-none": "dedupe:d"}),
    (("PERSIST", "once:o"), {"ttl-none": "once:o"}),
    (("PERSIST", "cache:c"), {"ttl-none": "cache:c"}),
    (("PERSIST", "pace:p"), {"ttl-none": "pace:p"}),
    (("PERSIST", "flush:w"), {"ttl-none": "flush:w"}),
    (("HSET", "hints", "q-ready", "many"), {"hint-broken": "queue q-ready"}),
    (("SETRANGE", "dedupe:d", 0, "x"), {"value-broken": "dedupe:d"}),
    (("SETRANGE", "once:o", 0, "x"), {"value-broken": "once:o"}),
    (("SETRANGE", "cache:c", 0, "x"), {"value-broken": "cache:c"}),
    (("SETRANGE", "pace:p", 0, "x"), {"value-broken": "pace:p"}),
    (("SREM", "run:parent:c", "child"), {"child-lost": "run child"}),
    (("SADD", "run:parent:c", "timer"), {"child-stray": "run parent"}),
    (("ZREM", "run:parent:f", "child"), {"family": "run child run parent"}),
    (("HINCRBY", "run:parent", "under", 1), {"family": "run parent"}),
    (("DEL", "run:child:l"), {"stuck": "run parent, scope main"}),
    (("ZADD", "run:ended:l", 0, member("parent", "", "x")), {"follower-stray": "run ended", "ttl-lost": "run ended"}),
    (("HDEL", "dead:rows", "dead"), {"dead-lost": "dead"}),
    (("ZREM", "dead", "dead"), {"dead-lost": "dead", "expiry-lost": "run dead"}),
    (("HDEL", "delayed:rows", "later"), {"delayed-lost": "later"}),
    (("ZREM", "delayed", "later"), {"delayed-lost": "later"}),
    (("DEL", "mail:k9"), {"mail-lost": "mail:k9"}),
    (("ZADD", "mail:k8", 1, "e-mail"), {"mail-stray": "mail:k8"}),
    (("ZADD", "mail:k8", 1, "gone"), {"mail-stray": "mail:k8"}),
    (("HSET", "run:held", "status", "odd"), {"run-broken": "run held"}),
    (("HSET", "run:gone:s", "", "x"), {"orphan": "run:gone:s"}),
    (("SET", "new", "x"), {"unknown-key": "new"}),
    (("HDEL", "run:group:s", "g[1]"), {"group-count": "run group, group g"}),
]

#: What follows from a break in other places, too: codes that a test of the first need not name.
ALSO = {
    "HSET run:held": {"list-stray", "list-lost", "version-count"},
    "HDEL run:group:s": {"lease-stray", "running-count"},
}


def named(one: Any) -> str:
    """What is done, or the codes that are expected."""
    return " ".join(map(str, one)).replace(SEP, "|") if isinstance(one, tuple) else "+".join(one)


@pytest.mark.parametrize(("how", "expected"), BREAKS, ids=named)
def test_what_is_broken_by_hand_is_found_and_nothing_else(
    standing: Standing, how: tuple[Any, ...], expected: dict[str, str]
) -> None:
    standing.do(*how)

    found = standing.codes()

    for code in ALSO.get(f"{how[0]} {how[1]}", ()):
        found.pop(code, None)
    assert {code: " ".join(sorted(places)) for code, places in found.items()} == expected


def test_a_scope_that_nothing_will_wake_is_stuck(standing: Standing) -> None:
    """As a bug of the interpreter would leave it: it waits, and asked for nothing."""
    row = standing.started("alone")
    standing.rig.one(commit(row, "waiting", consumed=1))

    assert standing.codes() == {"stuck": {"run alone, scope main"}}


def test_a_child_that_ended_without_its_join_is_found(standing: Standing) -> None:
    main = standing.started("joining")
    standing.rig.one(commit(main, "waiting", consumed=1, groups=(group_of(1),)))
    (child,) = standing.rig.claim(1, queues=("q-joining",))
    standing.rig.one(Commit(child.run, child.scope, child.fence, "ended", b""))

    assert standing.codes()["group-count"] == {"run joining, group g"}


def test_what_is_put_right_while_it_is_read_again_is_no_finding(standing: Standing) -> None:
    """The store is written to all the time: what looks wrong once may have been read in between."""
    place = member("ready", "")
    standing.do("ZREM", "ready:q-ready", place)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            standing.do("ZADD", "ready:q-ready", 1, place)

    assert checked(standing.store, pause).findings == ()
    assert len(pauses) == 3


def test_a_run_of_very_many_scopes_is_read_in_pages(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowlang.store.fsck_snapshot.LARGE_RUN", 2)
    assert checked(standing.store).findings == ()
    standing.do("ZREM", "leases", member("group", "g[0]"))

    assert standing.codes()["lease-lost"] == {"run group, scope g[0]"}


def test_what_the_server_has_dropped_and_no_sweep_has_met_is_no_finding(redis_url: str) -> None:
    """The rows of an ended run have an expiry of their own; its places in lists go with the next sweep."""
    with contextlib.closing(RedisStore(redis_url, test_clock=True)) as store:
        rig = Rig(store, moved_clock(store))
        rig.one(PLANS)
        rig.one(Accept(1, event_of("e1"), (seed_of("r1", retention_ms=1_000),)))
        rig.one(finish(rig.claim_one()))
        rig.advance(1_000)
        client = redis.Redis.from_url(redis_url)
        assert client.delete(*KEYS.all_of_run("r1")) > 0
        client.close()

        assert checked(store).findings == ()
        rig.sweep()
        assert checked(store).findings == ()
        assert store.runs() == []


def test_the_end_of_a_child_is_joined(standing: Standing) -> None:
    first, second = (Claimed("group", f"g[{number}]", 1, b"", "orders", "v1", b"", group="g") for number in (0, 1))
    standing.rig.flush(end_child(first), end_child(second))

    assert standing.codes() == {}
