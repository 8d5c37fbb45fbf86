"""An event reaches all that wait for it, each once: by the index when it comes later, from a mailbox when it came before."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.engine.ops import Accepted, ClaimRequest, Committed, Lost, Take, Wait
from tests.contract.rig import DAY_MS, LEASE_MS, Rig, accept, commit, end_child, finish, group_of, seed_of

MAIL: dict[str, Any] = {"keys": ("k",), "mail_ms": DAY_MS}


def seen(event: str, at_ms: int, wait: str = "w", body: bytes = b"body") -> dict[str, Any]:
    return {"kind": "event", "wait": wait, "event": event, "at": at_ms, "body": body}


def taken(event: str, *, ok: bool, wait: str = "w") -> dict[str, Any]:
    return {"kind": "taken", "wait": wait, "event": event, "ok": ok}


def waits_of(rig: Rig, run: str = "r00-1") -> dict[str, tuple[str, ...]]:
    rows = rig.store.run(run)
    assert rows is not None
    return rows.waits


def test_an_event_wakes_a_scope_that_waits_for_one_of_its_keys(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, waits=(Wait("w", ("k", "l")),)))
    assert waits_of(rig) == {"|w": ("k", "l")}
    rig.one(accept("e1", keys=("other",)))
    assert rig.claim() == []

    at_ms = rig.flush(accept("e2", keys=("k",), body=b"\xffbody")).now_ms

    assert rig.claim_one().facts == (seen("e2", at_ms, body=b"\xffbody"),)


def test_an_event_with_several_keys_of_a_wait_is_given_to_it_once(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, waits=(Wait("w", ("k", "l", "k")), Wait("v", ("l", "m")))))

    at_ms = rig.flush(accept("e1", keys=("k", "l", "m", "k"))).now_ms

    assert rig.claim_one().facts == (seen("e1", at_ms), seen("e1", at_ms, "v"))


def test_a_wait_stays_until_it_is_taken_back(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, waits=(Wait("w", ("k",)),)))
    rig.flush(accept("e1", keys=("k",)), accept("e2", keys=("k",)))
    main = rig.claim_one()
    assert rig.event_facts(main) == [("w", "e1"), ("w", "e2")]
    rig.one(accept("e3", keys=("k",)))
    main = rig.claim_one()

    rig.one(commit(main, "waiting", consumed=1, unwaits=("w", "none")))

    rig.one(accept("e4", keys=("k",)))
    assert rig.claim() == []
    assert waits_of(rig) == {}


@pytest.mark.parametrize("since", ["before", "at", "after", "none"])
def test_a_wait_looks_back_to_events_from_a_time_on(rig: Rig, since: str) -> None:
    main = rig.start_run()
    rig.advance(5)
    at_ms = rig.flush(accept("e1", **MAIL)).now_ms
    since_ms = {"before": at_ms - 1, "at": at_ms, "after": at_ms + 1, "none": None}[since]

    reply = rig.one(commit(main, "held", consumed=1, waits=(Wait("w", ("k",), since_ms),)))

    assert reply == Committed((seen("e1", at_ms),) if since in {"before", "at"} else ())


def test_what_is_looked_back_to_comes_oldest_first_and_once_however_many_keys_it_has(rig: Rig) -> None:
    main = rig.start_run()
    at: dict[str, int] = {}
    for event, keys in [("e9", ("k",)), ("e5", ("l", "k")), ("e7", ("m",)), ("e1", ("l",))]:
        at[event] = rig.flush(accept(event, keys=keys, mail_ms=DAY_MS)).now_ms
        rig.advance(5)

    reply = rig.one(commit(main, "held", consumed=1, waits=(Wait("w", ("l", "k"), 0),)))

    assert reply == Committed((seen("e9", at["e9"]), seen("e5", at["e5"]), seen("e1", at["e1"])))


def test_events_of_one_millisecond_are_looked_back_to_by_their_ids(rig: Rig) -> None:
    main = rig.start_run()
    at_ms = rig.flush(*(accept(event, **{**MAIL, "keys": (key,)}) for event, key in [("eB", "l"), ("ea", "k"), ("eA", "k")])).now_ms  # fmt: skip

    reply = rig.one(commit(main, "held", consumed=1, waits=(Wait("w", ("k", "l"), 0),)))

    assert reply == Committed((seen("eA", at_ms), seen("eB", at_ms), seen("ea", at_ms)))


@pytest.mark.parametrize("look_back", [True, False])
def test_the_event_that_is_not_meant_is_left_out(rig: Rig, look_back: bool) -> None:
    main = rig.start_run()
    asking = commit(main, "waiting", consumed=1, waits=(Wait("w", ("k",), 0, but="e1"),))
    event = accept("e1", **MAIL)
    rig.flush(*((event, asking) if look_back else (asking, event)))
    assert rig.claim() == []

    rig.one(accept("e2", **MAIL))
    assert rig.event_facts(rig.claim_one()) == [("w", "e2")]


def test_an_event_that_a_commit_sends_reaches_the_wait_of_the_same_commit(rig: Rig) -> None:
    main = rig.start_run()
    at_ms = rig.flush(commit(main, "waiting", consumed=1, waits=(Wait("w", ("k",), 0),), accepts=(accept("e1", **MAIL),))).now_ms  # fmt: skip

    assert rig.claim_one().facts == (seen("e1", at_ms),)


@pytest.mark.parametrize(("after_ms", "there"), [(59_000, True), (60_000, False)])
@pytest.mark.parametrize("swept", [False, True])
def test_a_mailbox_keeps_an_event_as_long_as_it_says(rig: Rig, after_ms: int, there: bool, swept: bool) -> None:
    main = rig.start_run()
    rig.one(accept("e1", keys=("k",), mail_ms=60_000, keep_ms=1))
    assert rig.store.event("e1") is not None
    rig.advance(after_ms)
    if swept:
        rig.sweep()
    row = rig.claim_one() if after_ms >= LEASE_MS and swept else main

    reply = rig.one(commit(row, "held", consumed=1, waits=(Wait("w", ("k",), 0),)))

    assert isinstance(reply, Committed)
    assert [fact["event"] for fact in reply.facts] == (["e1"] if there else [])


def test_an_event_that_is_accepted_again_takes_the_place_of_the_first(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(accept("e1", **MAIL, body=b"old"))
    rig.advance(1_000)
    at_ms = rig.flush(accept("e1", keys=("l",), mail_ms=DAY_MS, body=b"new")).now_ms

    reply = rig.one(commit(main, "held", consumed=1, waits=(Wait("w", ("k",), 0), Wait("v", ("l",), 0))))

    assert reply == Committed((seen("e1", at_ms, "v", b"new"),))


def test_a_wait_that_is_set_again_has_new_keys_and_looks_back_anew(rig: Rig) -> None:
    main = rig.start_run()
    at_ms = rig.flush(accept("e1", keys=("k", "l"), mail_ms=DAY_MS)).now_ms
    first = rig.one(commit(main, "held", consumed=1, waits=(Wait("w", ("k",), 0),)))
    again = rig.one(commit(main, "held", consumed=1, waits=(Wait("w", ("l",), 0),)))

    assert first == again == Committed((seen("e1", at_ms),))
    rig.one(accept("e2", keys=("k",)))
    assert rig.one(commit(main, "held", consumed=1)) == Committed()


def test_the_end_of_a_scope_ends_its_waits(rig: Rig) -> None:
    rig.start_group(2)
    first, second = rig.claim(2)
    rig.flush(*(commit(row, "held", waits=(Wait("w", ("k",)),)) for row in (first, second)))
    rig.one(end_child(first))

    assert waits_of(rig) == {"g[1]|w": ("k",)}
    rig.one(accept("e1", keys=("k",)))
    reply = rig.one(commit(second, "held"))
    assert isinstance(reply, Committed)
    assert [fact["event"] for fact in reply.facts] == ["e1"]


def test_the_end_of_a_run_ends_the_waits_of_all_its_scopes(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(2),), waits=(Wait("w", ("k",)),)))
    rig.flush(*(commit(row, "waiting", waits=(Wait("w", ("k", "l")),)) for row in rig.claim(2)))
    assert len(waits_of(rig)) == 3

    rig.one(finish(main))

    assert waits_of(rig) == {}
    rig.one(accept("e1", keys=("k", "l")))
    assert rig.claim(5) == []


def test_a_scope_made_again_has_none_of_the_waits_that_it_had(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "held", consumed=1, groups=(group_of(1),)))
    rig.one(commit(rig.claim_one(), "waiting", waits=(Wait("w", ("k",)),)))

    rig.one(commit(main, "held", groups=(group_of(1),)))

    assert waits_of(rig) == {}
    rig.one(accept("e1", keys=("k",)))
    assert rig.claim_one().facts == ()


def test_a_refused_event_reaches_nobody(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, waits=(Wait("w", ("k",)),)))
    rig.one(accept("e1", keys=("k",), dedupe="d"))
    rig.flush(accept("e2", keys=("k",), dedupe="d"), accept("e3", keys=("k",), epoch=9))

    assert rig.event_facts(rig.claim_one()) == [("w", "e1")]


def test_a_refused_commit_waits_for_nothing(rig: Rig) -> None:
    main = rig.start_run()
    rig.advance(LEASE_MS)
    rig.sweep()
    rig.claim_one()

    assert rig.one(commit(main, "waiting", waits=(Wait("w", ("k",)),))) == Lost("not the holder")
    assert waits_of(rig) == {}


def test_one_of_the_waits_of_a_run_takes_an_event_once_between_them(rig: Rig) -> None:
    rig.start_group(2)
    first, second = rig.claim(2)

    reply = rig.flush(
        commit(first, "held", takes=(Take("w", "s", "e1"), Take("w", "t", "e1"))),
        commit(second, "waiting", takes=(Take("v", "s", "e1"), Take("v", "s", "e2"))),
        commit(first, "waiting", consumed=2, takes=(Take("w", "s", "e1"),)),
    )

    assert reply.outcomes[0] == Committed((taken("e1", ok=True), taken("e1", ok=True)))
    rows = {row.scope: row.facts for row in rig.claim(5)}
    assert rows == {
        "g[0]": (taken("e1", ok=False),),
        "g[1]": (taken("e1", ok=False, wait="v"), taken("e2", ok=True, wait="v")),
    }


def test_runs_take_events_for_themselves(rig: Rig) -> None:
    rig.one(accept("e1", seed_of("r1"), seed_of("r2")))

    rows = rig.claim(2)
    replies = rig.flush(*(commit(row, "held", consumed=1, takes=(Take("w", "s", "e9"),)) for row in rows)).outcomes

    assert replies == (Committed((taken("e9", ok=True),)),) * 2


def test_the_rounds_of_a_loop_are_read_together(rig: Rig) -> None:
    main = rig.start_run()
    records = {"poll[0]": b"0", "poll[2]": b"2", "poll[3]": b"3", "a:b[0]": b"4"}
    rig.one(commit(main, "ready", consumed=1, records=records, reads=("~poll:3", "~a:b:1", "~none:2", "~poll:0")))

    assert rig.claim_one().reads == {"poll[0]": b"0", "poll[2]": b"2", "a:b[0]": b"4"}


def test_nobody_is_woken_by_an_event_of_other_keys(rig: Rig) -> None:
    rig.one(accept("e0", *(seed_of(f"r{number}") for number in range(50))))
    rows = rig.claim(50)
    rig.flush(
        *(
            commit(row, "waiting", consumed=1, waits=tuple(Wait(f"w{at}", (f"{row.run}-{at}",)) for at in range(20)))
            for row in rows
        )
    )

    reply = rig.flush(accept("e1", keys=("r33-3",)), claim=ClaimRequest("w", ("default",), 50, LEASE_MS, 8, 0))

    assert [(row.run, fact["wait"]) for row in reply.claimed for fact in row.facts] == [("r33", "w3")]


@pytest.mark.parametrize(
    ("wait", "why"), [(Wait("w", ()), "needs at least one key"), (Wait("w", ("a\x1fb",)), "unit separator")]
)
def test_a_wait_that_no_event_could_find_is_refused(rig: Rig, wait: Wait, why: str) -> None:
    main = rig.start_run()

    with pytest.raises(ValueError, match=why):
        rig.one(commit(main, "waiting", waits=(wait,)))


def test_who_sends_an_event_is_told_how_many_waits_it_found(rig: Rig) -> None:
    main = rig.start_run()
    rig.one(commit(main, "waiting", consumed=1, waits=(Wait("w", ("k", "l")), Wait("v", ("l",), but="e2"))))

    answers = rig.flush(accept("e1", keys=("k", "l")), accept("e2", keys=("l",)), accept("e3", keys=("m",))).outcomes

    assert answers == (Accepted("e1", (), 2), Accepted("e2", (), 1), Accepted("e3", (), 0))
