"""What a store must hold, said once more and more simply: runs of small programs, their inboxes, leases and joins.

A program is a row of parts. `step` is one unit of work that may fail and be tried again after a timer, `group` is a
fan-out of such units with its join, `wait` is a wait for an event with a time-out. What a holder decides follows from
the facts that it was given; what comes of it is written into the model when the store says that it took it, and the
store's answers are held to the model: who may claim what, with which facts and fence, and whose commit is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flowlang.engine.ops import (
    MAIN,
    SUSPECT,
    Accept,
    Claimed,
    Commit,
    DeadLetter,
    EventRow,
    Finish,
    Group,
    Join,
    RunSeed,
    Timer,
    Wait,
)

DAY_MS = 86_400_000
LEASE_MS = 10_000
RETRY_MS = 1_000
PATIENCE_MS = 60_000  #: of a wait
ATTEMPTS = 3
VERSION = "v1"

Fact = tuple[Any, ...]


@dataclass(slots=True)
class ModelGroup:
    """A fan-out: how many of its children have started, are alive, have ended and failed."""

    ident: str
    total: int
    parallel: int
    limit: int
    next: int = 0
    alive: int = 0
    done: int = 0
    failed: int = 0
    closed: bool = False
    fired: bool = False


@dataclass(slots=True)
class ModelScope:
    """A scope's row."""

    state: str
    status: str = "ready"
    fence: int = 0
    rescues: int = 0
    alone: bool = False  #: as its holder has said
    until_ms: int = 0  #: end of the lease
    renewed_until_ms: int = 0  #: the same as its last claim or commit left it; a commit looks at this one
    inbox: list[Fact] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)
    group: str | None = None


@dataclass(slots=True)
class ModelRun:
    """A run with all that was ever committed for it."""

    ident: str
    program: tuple[str, ...]
    created_ms: int
    scopes: dict[str, ModelScope]
    groups: dict[str, ModelGroup] = field(default_factory=dict)
    records: dict[str, bytes] = field(default_factory=dict)
    journal: list[bytes] = field(default_factory=list)
    status: str = "pending"
    told: int = 0  #: outcome events

    @property
    def live(self) -> bool:
        return self.status in {"pending", "running"}


@dataclass(slots=True)
class Token:
    """What a holder knows: the row that it was given, and the facts that it has seen since."""

    run: str
    scope: str
    fence: int
    state: str
    facts: list[Fact]


class ModelError(AssertionError):
    """The store does not do what the model says."""


class Model:
    """All runs of one history.

    Args:
        name: Its queue, and the beginning of all its names.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs: dict[str, ModelRun] = {}
        self.events: list[tuple[int, str, str]] = []  #: acceptance, id, key
        self.tokens: list[Token] = []
        self.late: list[Token] = []  #: of holders that lost what they held, or gave it back
        self.bodies = 0

    # What is sent ---------------------------------------------------------------------------------------------------

    def new_run(self, program: tuple[str, ...]) -> Accept:
        """An event that makes a run."""
        ident = f"{self.name}-r{len(self.runs)}"
        seed = RunSeed(ident, "p", VERSION, b"", b"0:0:1", queue=self.name, retention_ms=DAY_MS)
        return Accept(1, EventRow(f"e-{ident}", "shop/order", "shop", b"", dedupe=f"d-{ident}"), (seed,))

    def new_event(self, key: str) -> Accept:
        """An event that waits may be for."""
        ident = f"{self.name}-e{len(self.events)}"
        return Accept(1, EventRow(ident, "shop/paid", "shop", b"", keys=(self.name + key,), mail_ms=DAY_MS))

    def decide(self, token: Token, *, ok: bool) -> Commit:
        """What an interpreter would decide.

        Args:
            token: Of the holder.
            ok: Whether the work at hand succeeds, if there is any.
        """
        return self._decide_main(token, ok=ok) if token.scope == MAIN else self._decide_child(token, ok=ok)

    def _body(self, what: str) -> bytes:
        """Bytes that no other commit has."""
        self.bodies += 1
        return f"{what} {self.bodies}".encode()

    def _commit(self, token: Token, status: Any, state: str, **fields: Any) -> Commit:
        return Commit(token.run, token.scope, token.fence, status, state.encode(), consumed=len(token.facts), **fields)

    def _decide_main(self, token: Token, *, ok: bool) -> Commit:
        at, phase, attempt = (int(part) for part in token.state.split(":"))
        program = self.runs[token.run].program
        if ("cancel",) in token.facts:
            return self._finish(token, "cancelled")
        if at == len(program):
            return self._finish(token, "succeeded")
        part, onwards = program[at], f"{at + 1}:0:1"
        if part == "step":
            return self._work(token, f"s{at}", ok=ok, attempt=attempt, states=(onwards, f"{at}:0:{attempt + 1}"))
        if part.startswith("group"):
            if not phase:
                group = Group(f"g{at}", f"g{at}[", "]", int(part[5]), 2, int(part[6]), cancel_rest=True, state=b"1")
                return self._commit(token, "waiting", f"{at}:1:1", groups=(group,), journal=(self._body("fan-out"),))
            if any(fact[0] == "joined" for fact in token.facts):
                return self._commit(token, "held", onwards, journal=(self._body("joined"),))
            return self._commit(token, "waiting", token.state)
        if not phase:
            wait = Wait("w", (self.name + part[4],), self.runs[token.run].created_ms)
            timers = (Timer("timeout", PATIENCE_MS),)
            return self._commit(token, "waiting", f"{at}:1:1", waits=(wait,), timers=timers)
        if any(fact[0] == "event" or fact == ("timer", "timeout") for fact in token.facts):
            over: dict[str, Any] = {"unwaits": ("w",), "cleared": ("timeout",), "journal": (self._body("waited"),)}
            return self._commit(token, "held", onwards, **over)
        return self._commit(token, "waiting", token.state)

    def _decide_child(self, token: Token, *, ok: bool) -> Commit:
        group = token.scope.partition("[")[0]
        if ("cancel",) in token.facts:
            return self._commit(
                token, "ended", "", join=Join(group, cancelled=True), journal=(self._body("cancelled"),)
            )
        attempt = int(token.state)
        if ok:
            done = {token.scope: self._body("item")}
            return self._commit(token, "ended", "", join=Join(group), records=done, journal=(self._body("item"),))
        if attempt == ATTEMPTS:
            join = Join(group, weight=1, error=b"broken")
            return self._commit(token, "ended", "", join=join, journal=(self._body("broken"),))
        return self._commit(token, "waiting", str(attempt + 1), timers=(Timer("retry", RETRY_MS),))

    def _work(self, token: Token, step: str, *, ok: bool, attempt: int, states: tuple[str, str]) -> Commit:
        onwards, again = states
        if ok:
            return self._commit(token, "held", onwards, records={step: self._body(step)}, journal=(self._body(step),))
        if attempt == ATTEMPTS:
            return self._finish(token, "failed")
        return self._commit(token, "waiting", again, timers=(Timer("retry", RETRY_MS),))

    def _finish(self, token: Token, status: Any) -> Commit:
        letter = DeadLetter(token.run, "run", "p", b"why") if status == "failed" else None
        out = EventRow(f"{token.run}-out", f"pipeline/p.{status}", "flowlang", b"")
        heard = RunSeed(f"{token.run}-out", "heard", VERSION, b"", b"", queue="nobody", retention_ms=DAY_MS)
        return self._commit(
            token,
            "ended",
            "",
            finish=Finish(status, status.encode(), letter),
            accepts=(Accept(1, out, (heard,)),),
            journal=(self._body(status),),
        )

    # What comes of it -----------------------------------------------------------------------------------------------

    def accepted(self, op: Accept, program: tuple[str, ...], now_ms: int) -> None:
        """A run was made."""
        ident = op.runs[0].id
        main = ModelScope("0:0:1", inbox=[("start",)])
        self.runs[ident] = ModelRun(ident, program, now_ms, {MAIN: main})

    def announced(self, op: Accept, now_ms: int) -> int:
        """An event was taken; to how many waits it was given."""
        (key,) = op.event.keys
        self.events.append((now_ms, op.event.id, key))
        offered = 0
        for run in self.runs.values():
            for name, scope in run.scopes.items() if run.live else ():
                for wait, wanted in scope.waits.items():
                    if wanted == key:
                        self._deliver(run, name, ("event", wait, op.event.id))
                        offered += 1
        return offered

    def cancelled(self, ident: str) -> bool:
        """A run was told to cancel; whether it was alive."""
        run = self.runs[ident]
        self._deliver(run, MAIN, ("cancel",))
        return run.live

    def fire(self, now_ms: int) -> None:
        """Timers that are due have fired, as in a claim or a sweep."""
        due = sorted(
            (at_ms, run.ident, name, timer)
            for run in self.runs.values()
            for name, scope in run.scopes.items()
            for timer, at_ms in scope.timers.items()
            if at_ms <= now_ms
        )
        for _, ident, name, timer in due:
            run = self.runs[ident]
            del run.scopes[name].timers[timer]
            self._deliver(run, name, ("timer", timer))

    def rescue(self, now_ms: int) -> None:
        """Leases that have ended were taken back, as in a sweep."""
        for run in self.runs.values():
            for scope in run.scopes.values():
                if scope.status == "held" and scope.until_ms <= now_ms:
                    scope.status = "ready" if run.live else "ended"
                    scope.rescues += scope.rescues < SUSPECT or scope.alone
        self._sort_tokens()

    def claimable(self) -> set[tuple[str, str]]:
        """The rows that a claim may give."""
        return {
            (run.ident, name)
            for run in self.runs.values()
            if run.live
            for name, scope in run.scopes.items()
            if scope.status == "ready"
        }

    def claimed(self, row: Claimed, until_ms: int) -> None:
        """A row was given; it must be one that was ready, with the next fence and with all its facts in order."""
        if (row.run, row.scope) not in self.claimable():
            raise ModelError(f"{row.run} {row.scope!r} was not ready")
        run = self.runs[row.run]
        scope = run.scopes[row.scope]
        said = (row.fence, row.rescues, row.state.decode(), [fact_of(fact) for fact in row.facts])
        expected = (scope.fence + 1, scope.rescues, scope.state, scope.inbox)
        if said != expected:
            raise ModelError(f"{row.run} {row.scope!r} was given as {said}, not as {expected}")
        scope.fence, scope.status, scope.alone = row.fence, "held", False
        scope.until_ms = scope.renewed_until_ms = until_ms
        run.status = "running"
        self.tokens.append(Token(row.run, row.scope, row.fence, scope.state, list(scope.inbox)))

    def is_holder(self, token: Token) -> bool:
        """Whether a commit under this token is taken."""
        run = self.runs[token.run]
        scope = run.scopes.get(token.scope)
        return run.live and scope is not None and scope.status == "held" and scope.fence == token.fence

    def committed(self, token: Token, op: Commit, now_ms: int) -> None:
        """A commit was taken."""
        run = self.runs[op.run]
        scope = run.scopes[op.scope]
        scope.inbox = scope.inbox[op.consumed :]
        scope.state, scope.rescues = op.state.decode(), 0
        for name, body in op.records.items():
            if name in run.records:
                raise ModelError(f"{run.ident}: {name} was committed twice")
            run.records[name] = body
        run.journal += op.journal
        for timer in op.cleared:
            scope.timers.pop(timer, None)
        scope.timers |= {timer.id: now_ms + timer.delay_ms for timer in op.timers}
        for wait in op.unwaits:
            scope.waits.pop(wait, None)
        for asked in op.waits:
            scope.waits[asked.id] = asked.keys[0]
            since_ms = asked.since_ms or 0
            back = sorted((at, event) for at, event, key in self.events if key == asked.keys[0] and at >= since_ms)
            scope.inbox += [("event", asked.id, event) for _, event in back]
        for group in op.groups:
            made = ModelGroup(group.id, group.total, group.max_parallel, group.limit)
            run.groups[group.id] = made
            self._start(run, made)
            self._settle(run, made)
        if op.status == "ended":
            run.scopes[op.scope] = ModelScope("", "ended", scope.fence)
        if op.join is not None:
            self._join(run, op.join)
        if op.finish is not None:
            run.status = op.finish.status
            run.told += 1
        if op.status == "held":
            if scope.renewed_until_ms - now_ms < LEASE_MS / 2:
                scope.until_ms = scope.renewed_until_ms = now_ms + LEASE_MS
            token.state, token.facts = scope.state, list(scope.inbox)
        elif op.status == "waiting":
            scope.status = "ready" if scope.inbox else "waiting"
        elif op.status == "ready":
            scope.status = "ready"
        self._sort_tokens()

    def released(self, token: Token) -> None:
        """A scope was handed back."""
        self.runs[token.run].scopes[token.scope].status = "ready"
        self._sort_tokens()

    def _sort_tokens(self) -> None:
        """Put aside the tokens that count no more."""
        self.late = [*self.late, *(token for token in self.tokens if not self.is_holder(token))][-6:]
        self.tokens = [token for token in self.tokens if self.is_holder(token)]

    def _deliver(self, run: ModelRun, name: str, fact: Fact) -> None:
        scope = run.scopes[name]
        if not run.live or scope.status == "ended":
            return
        scope.inbox.append(fact)
        if scope.status == "waiting":
            scope.status = "ready"

    def _start(self, run: ModelRun, group: ModelGroup) -> None:
        while not group.closed and group.alive < group.parallel and group.next < group.total:
            run.scopes[f"{group.ident}[{group.next}]"] = ModelScope("1", group=group.ident)
            group.next += 1
            group.alive += 1

    def _join(self, run: ModelRun, join: Join) -> None:
        group = run.groups[join.group]
        group.alive -= 1
        group.done += 1
        group.failed += join.weight == 1
        if group.failed > group.limit and not group.closed:
            group.closed = True
            for index in range(group.next):
                self._deliver(run, f"{group.ident}[{index}]", ("cancel",))
        self._start(run, group)
        self._settle(run, group)

    def _settle(self, run: ModelRun, group: ModelGroup) -> None:
        if group.alive or group.fired or not (group.closed or group.next == group.total):
            return
        group.fired = True
        self._deliver(run, MAIN, ("joined", group.ident, group.done, group.failed, group.closed))

    # At the end -----------------------------------------------------------------------------------------------------

    def wrong(self, store: Any) -> Iterator[str]:
        """What the store holds otherwise than the model.

        Args:
            store: An `engine.ports.Store`.
        """
        for run in self.runs.values():
            rows = store.run(run.ident)
            if rows is None:
                yield f"{run.ident} is gone"
                continue
            if rows.row.status != run.status:
                yield f"{run.ident} is {rows.row.status}, not {run.status}"
            if rows.records != run.records:
                yield f"{run.ident} has records {rows.records}, not {run.records}"
            if list(rows.journal) != run.journal:
                yield f"{run.ident} has a journal {rows.journal}, not {run.journal}"
            heard = store.run(f"{run.ident}-out") is not None
            if heard != (run.told == 1):
                yield f"{run.ident} has told of its end {run.told} times, and somebody has heard: {heard}"


def fact_of(fact: dict[str, Any]) -> Fact:
    """A fact of a store as the model has it."""
    match fact["kind"]:
        case "timer":
            return ("timer", fact["id"])
        case "event":
            return ("event", fact["wait"], fact["event"])
        case "joined":
            return ("joined", fact["group"], fact["done"], fact["failed"], fact["closed"])
        case kind:
            return (kind,)
