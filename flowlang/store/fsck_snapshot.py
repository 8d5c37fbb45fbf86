"""Runs and entries of a server's store as they are at one moment: rows and all that a judgement asks, in one MULTI.

Which indexes a judgement asks depends on the rows, so it is made again until all that it asked was read together with
them. What changes faster than that stays without a judgement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import redis

from flowlang.engine.fsck import Entry, Finding, RunFacts, RunHead, judge_entry, judge_run
from flowlang.engine.fsck.entries import owner_of
from flowlang.engine.reference.tables import SEP
from flowlang.store.fsck_rows import read_group, read_scope, read_slot
from flowlang.store.keys import RUN, SINGLE, Keys

#: Times that a row is read again because a judgement asked for more.
_TRIES = 6

#: A run with more scopes is read in pages instead of at one moment, so that nobody waits for us.
LARGE_RUN = 2_000

#: Indexes that lists of runs read.
_LISTS = frozenset({"runs", "by_pipeline", "by_status"})

#: Indexes without scores.
_PLAIN = frozenset({"plans", "children"})

_FIELDS = (
    "status",
    "pipeline",
    "version",
    "created_ms",
    "ended_ms",
    "parent",
    "root",
    "under",
    "admitting",
    "slot",
)


class Question(NamedTuple):
    """What a judgement asks beside its rows: a score, another run's head, or who follows it."""

    ask: str
    kind: str
    key: str = ""
    member: str = ""


class Snapshot:
    """`engine.fsck.Index` on answers that were read together; notes what was asked and not read.

    Args:
        answers: What was read.
        followed: (run, scope) → runs that it may wait for.
    """

    def __init__(self, answers: Mapping[Question, Any], followed: Mapping[tuple[str, str], frozenset[str]]) -> None:
        self._answers = answers
        self._followed = followed
        self.missing: dict[Question, None] = {}
        self.children: frozenset[str] = frozenset()

    def score(self, kind: str, key: str, member: str) -> int | None:
        """A member's score."""
        found = self._answer(Question("score", kind, key, member))
        if kind in _PLAIN:
            return 0 if found else None
        return None if found is None else int(found)

    def head(self, run: str) -> RunHead | None:
        """Another run."""
        found = self._answer(Question("head", run))
        if found is None or found[0] is None:
            return None
        status, parent, root = found
        return RunHead(
            status.decode(), None if parent is None else parent.decode(), run if root is None else root.decode()
        )

    def awaited(self, run: str, scope: str) -> bool:
        """Whether a run that has not ended will tell this scope of its end."""
        begin = f"{run}{SEP}{scope}{SEP}".encode()
        for other in sorted(self.children | self._followed.get((run, scope), frozenset())):
            followers = self._answer(Question("followers", other)) or ()
            if any(one.startswith(begin) for one in followers):
                head = self.head(other)
                if head is not None and head.live:
                    return True
        return False

    def _answer(self, question: Question) -> Any:
        if question not in self._answers:
            self.missing[question] = None
        return self._answers.get(question)


class Snapshots:
    """Reads and judges runs and entries.

    Args:
        client: Of the store.
        keys: Of the partition.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self.followed: Mapping[tuple[str, str], frozenset[str]] = {}

    def judge_runs(self, runs: Sequence[str]) -> dict[str, tuple[RunFacts | None, list[Finding]] | None]:
        """Judge runs.

        Returns:
            Run → its rows, which are None when it is gone, and what is wrong with it; None as a whole when it changes
            too fast.
        """
        sizes = self.pipe([("HLEN", self._keys.of_run(run, "scopes")) for run in runs])
        large = {run for run, size in zip(runs, sizes, strict=True) if size > LARGE_RUN}
        found = self._until_answered([run for run in runs if run not in large], self._run_commands, self._judge_run)
        for run in large:
            found[run] = self._judge_large(run)
        return found

    def judge_entries(self, entries: Sequence[Entry], now_ms: int) -> dict[Entry, list[Finding]]:
        """Judge members of indexes; those that are there no more are all right.

        Args:
            entries: The members.
            now_ms: The server's time, not later than this call.
        """
        commands: list[tuple[Any, ...]] = []
        for entry in entries:
            run, scope = owner_of(entry)
            commands.append(("ZSCORE", self.key_of(entry.kind, entry.key), entry.member))
            commands.append(("HMGET", self._keys.family("run", run), *_FIELDS))
            commands.append(("HGET", self._keys.of_run(run, "scopes"), scope))
            wait = entry.member.split(SEP)[-1]
            commands.append(("HGET", self._keys.of_run(run, "waits"), scope + SEP + wait))
            commands.append(("ZSCORE", self._keys.single("expiry"), entry.member))
        answers = iter(self.pipe(commands, atomic=True))
        found: dict[Entry, list[Finding]] = {}
        overdue: set[str] | None = None
        for entry in entries:
            score, fields, scope_row, keys, due = (next(answers) for _ in range(5))
            if score is None:
                found[entry] = []
                continue
            run, scope = owner_of(entry)
            wait = entry.member.split(SEP)[-1]
            scopes = {} if scope_row is None else {scope: scope_row}
            rows = _Rows(fields, scopes, waits={} if keys is None else {(scope, wait): keys})
            try:
                facts = rows.facts(run)
            except (ValueError, KeyError, TypeError):  # which `judge_runs` finds
                found[entry] = []
                continue
            expired = due is not None and int(due) <= now_ms
            if facts is None and entry.kind in _LISTS:
                overdue = self._overdue(now_ms) if overdue is None else overdue
                expired = run in overdue
            finding = judge_entry(entry, facts, expired=expired)
            found[entry] = [] if finding is None else [finding]
        return found

    def scope_of(self, run: str, scope: str) -> list[tuple[Any, ...]]:
        """The commands that read a run with one of its scopes, for `facts_of`."""
        return [
            ("HMGET", self._keys.family("run", run), *_FIELDS),
            ("HGET", self._keys.of_run(run, "scopes"), scope),
        ]

    def facts_of(self, run: str, scope: str, answers: Sequence[Any]) -> RunFacts | None:
        """A run with one of its scopes, from the answers to `scope_of`."""
        fields, row = answers
        return _Rows(fields, {} if row is None else {scope: row}).facts(run)

    def key_of(self, kind: str, key: str) -> str:
        """The key of an index."""
        if kind in RUN:
            return self._keys.of_run(key, kind)
        return self._keys.single(kind) if kind in SINGLE else self._keys.family(kind, key)

    def pipe(self, commands: Sequence[tuple[Any, ...]], *, atomic: bool = False) -> list[Any]:
        """Send commands together.

        Args:
            commands: Each a name with its arguments.
            atomic: Nothing comes between them.

        Returns:
            Their answers.
        """
        if not commands:
            return []
        pipe = self._client.pipeline(transaction=atomic)
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = pipe.execute()
        return answers

    def _overdue(self, now_ms: int) -> set[str]:
        """Runs that the next sweeps take out of all lists; the server may have dropped their rows already."""
        found = self._client.zrangebyscore(self._keys.single("expiry"), "-inf", now_ms)
        return {member.decode().split(SEP, maxsplit=1)[0] for member in found}

    def _until_answered(
        self,
        runs: Sequence[str],
        commands_of: Callable[[str], list[tuple[Any, ...]]],
        judge: Callable[[str, Sequence[Any], Mapping[Question, Any]], tuple[Any, Iterable[Question]]],
    ) -> dict[str, Any]:
        asked: dict[str, list[Question]] = {run: [] for run in runs}
        found: dict[str, Any] = dict.fromkeys(runs)
        for _ in range(_TRIES):
            if not asked:
                break
            commands, sizes = [], {}
            for run, questions in asked.items():
                mine = commands_of(run) + [self._command(question) for question in questions]
                sizes[run] = len(mine)
                commands += mine
            answers = self.pipe(commands, atomic=True)
            again, at = {}, 0
            for run, questions in asked.items():
                mine = answers[at : at + sizes[run]]
                at += sizes[run]
                rows = mine[: len(mine) - len(questions)]
                known = dict(zip(questions, mine[len(rows) :], strict=True))
                verdict, missing = judge(run, rows, known)
                if missing:
                    again[run] = [*questions, *missing]
                else:
                    found[run] = verdict
            asked = again
        return found

    def _command(self, question: Question) -> tuple[Any, ...]:
        ask, kind, key, member = question
        if ask == "head":
            return ("HMGET", self._keys.family("run", kind), "status", "parent", "root")
        if ask == "followers":
            return ("ZRANGE", self._keys.of_run(kind, "followers"), 0, -1)
        if kind == "plans":
            return ("HEXISTS", self._keys.single("plans"), member)
        if kind == "children":
            return ("SISMEMBER", self._keys.of_run(key, "children"), member)
        return ("ZSCORE", self.key_of(kind, key), member)

    def _run_commands(self, run: str) -> list[tuple[Any, ...]]:
        of_run = self._keys.of_run
        return [
            ("HMGET", self._keys.family("run", run), *_FIELDS),
            ("HGETALL", of_run(run, "scopes")),
            ("HGETALL", of_run(run, "groups")),
            ("HGETALL", of_run(run, "waits")),
            ("SMEMBERS", of_run(run, "children")),
            ("ZRANGE", of_run(run, "followers"), 0, -1),
            ("ZRANGE", of_run(run, "family"), 0, -1),
            *(("PTTL", key) for key in self._keys.all_of_run(run)),
        ]

    def _judge_run(
        self, run: str, rows: Sequence[Any], known: Mapping[Question, Any]
    ) -> tuple[tuple[RunFacts | None, list[Finding]], Iterable[Question]]:
        fields, scopes, groups, waits, children, followers, family, *left = rows
        whole = _Rows(
            fields,
            _decoded(scopes),
            _decoded(groups),
            {_pair(name): keys for name, keys in _decoded(waits).items()},
            frozenset(one.decode() for one in children),
            frozenset(one.decode() for one in followers),
            frozenset(one.decode() for one in family),
            {part: None if ms == -1 else ms for part, ms in zip(("", *RUN), left, strict=True) if ms != -2},
        )
        try:
            facts = whole.facts(run)
        except (ValueError, KeyError, TypeError) as error:
            return (None, [Finding("run-broken", f"run {run}", f"a row cannot be read: {error}")]), ()
        if facts is None:
            return (None, []), ()
        snapshot = Snapshot(known, self.followed)
        snapshot.children = facts.children
        findings = list(judge_run(facts, snapshot))
        return (facts, findings), snapshot.missing

    def _judge_large(self, run: str) -> tuple[RunFacts | None, list[Finding]] | None:
        """Judge a run of very many scopes page by page; what changes meanwhile looks wrong, until it is read again."""
        rows: list[Any] = self.pipe(self._run_commands(run)[:1])
        parts = [self._keys.of_run(run, part) for part in ("scopes", "groups", "waits")]
        rows += [dict(self._client.hscan_iter(part, count=500)) for part in parts]
        rows += self.pipe(self._run_commands(run)[4:])
        known: dict[Question, Any] = {}
        for _ in range(_TRIES):
            verdict, missing = self._judge_run(run, rows, known)
            questions = list(missing)
            if not questions:
                return verdict
            for page in pages(questions, 500):
                known.update(zip(page, self.pipe([self._command(one) for one in page]), strict=True))
        return None


class _Rows(NamedTuple):
    """A run's rows as the server has them."""

    fields: Sequence[bytes | None]
    scopes: Mapping[str, bytes]
    groups: Mapping[str, bytes] = {}
    waits: Mapping[tuple[str, str], bytes] = {}
    children: frozenset[str] = frozenset()
    followers: frozenset[str] = frozenset()
    family: frozenset[str] = frozenset()
    left_ms: Mapping[str, int | None] | None = None

    def facts(self, run: str) -> RunFacts | None:
        status, pipeline, version, created_ms, ended_ms, parent, root, under, admitting, slot = self.fields
        if status is None:
            return None
        return RunFacts(
            id=run,
            pipeline=(pipeline or b"").decode(),
            version=(version or b"").decode(),
            status=status.decode(),
            created_ms=int(created_ms or 0),
            ended=ended_ms is not None,
            root=run if root is None else root.decode(),
            parent=None if parent is None else parent.decode(),
            under=None if under is None else int(under),
            admitting=admitting is not None,
            slot=None if slot is None else read_slot(slot),
            scopes={name: read_scope(text) for name, text in self.scopes.items()},
            groups={name: read_group(text) for name, text in self.groups.items()},
            waits={name: tuple(keys.decode().split(SEP)) for name, keys in self.waits.items()},
            children=self.children,
            followers=self.followers,
            family=self.family,
            left_ms=self.left_ms,
        )


def pages(many: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """Cut something into lists of so many."""
    page = []
    for one in many:
        page.append(one)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def _decoded(table: Mapping[bytes, bytes] | Sequence[bytes]) -> dict[str, bytes]:
    """A hash as `HGETALL` gives it, whatever the client makes of it."""
    pairs = table.items() if isinstance(table, Mapping) else zip(table[::2], table[1::2], strict=True)
    return {name.decode(): value for name, value in pairs}


def _pair(name: str) -> tuple[str, str]:
    scope, wait = name.split(SEP)
    return scope, wait
