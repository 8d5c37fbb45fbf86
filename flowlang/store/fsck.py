"""Reads a server's store for a check, in pages, while others write to it. What it means is `engine.fsck`'s.

Nothing is locked and no call is long. A row is read together with all that is said of it elsewhere; what looks wrong
is read again, and counts only when it stays wrong.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from flowlang.engine.fsck import Entry, Finding, LineFacts, Report, judge_counts, judge_line, judge_pair
from flowlang.engine.fsck.entries import owner_of
from flowlang.engine.fsck.facts import ENDED, LIVE
from flowlang.engine.reference.tables import SEP
from flowlang.errors import StoreError, StoreUnavailableError
from flowlang.store.fsck_rows import read_scope, unpack
from flowlang.store.fsck_snapshot import Snapshots, pages
from flowlang.store.keys import FAMILY, RUN, SINGLE, Keys
from flowlang.store.redis import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S

#: Times that something must look wrong after it did so at first, and the seconds between them.
ROUNDS: Final = 3
PAUSE_S: Final = 0.2

#: Runs and entries that are read at one moment.
_RUNS: Final = 20
_ENTRIES: Final = 100
#: Keys and members that the server looks at for one answer.
_SCAN: Final = 500

#: Indexes whose members are about a run, by their names in `keys`.
_OF_RUNS: Final = frozenset(
    {
        "leases",
        "timers",
        "expiry",
        "runs",
        "by_pipeline",
        "by_status",
        "ready",
        "wait",
        "line",
        "places",
        "untold",
    }
)
#: What a count of hints, and the beginning of what is held under a key, look like.
_HINT: Final = re.compile(rb"\d+:\d+")
_HELD_UNTIL: Final = re.compile(rb"\d+:")
_NUMBER: Final = re.compile(rb"\d+(\.\d+)?(e\+\d+)?")
_SHAPES: Final = {"dedupe": _HELD_UNTIL, "once": _HELD_UNTIL, "cache": _HELD_UNTIL, "pace": _NUMBER}
#: So many bytes of a value show its shape.
_SHAPE: Final = 30

#: Keys that end by themselves.
_ENDING: Final = frozenset({"event", "dedupe", "once", "cache", "pace", "flush", "mark", "asked", "rate", "refusals"})

#: The rows that are held, and how many of each queue are counted, at one moment: the one question that needs an answer
#: to be asked.
_HELD: Final = """
local rows = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local run, scope = string.match(member, '^(.-)\\31(.*)$')
  if run then rows[#rows + 1] = redis.call('HGET', ARGV[1] .. run .. ARGV[2], scope) or '' end
end
return {redis.call('HGETALL', KEYS[2]), rows}
"""

#: What is judged: its kind, and which one.
_Subject = tuple[str, Any]


class Checker:
    """Checks one partition.

    Args:
        client: Of the store, without decoded answers.
        keys: Of the partition.
        now_ms: The server's time.
        pause: Waits so many seconds.
    """

    def __init__(
        self, client: redis.Redis, keys: Keys, *, now_ms: Callable[[], int], pause: Callable[[float], object]
    ) -> None:
        self._client: Any = client
        self._keys = keys
        self._now_ms = now_ms
        self._pause = pause
        self._snapshots = Snapshots(client, keys)
        self._pipe = self._snapshots.pipe
        self._runs = 0
        self._entries = 0

    def check(self) -> Report:
        """Check everything."""
        self._runs = self._entries = 0
        self._snapshots.followed = self._read_followed()
        suspects: dict[_Subject, list[Finding]] = {}
        unread = 0
        for kind, page in self._walk():
            for subject, found in self._judge(kind, page).items():
                if found is None:
                    unread += 1
                elif found:
                    suspects[kind, subject] = found
        runs, entries = self._runs, self._entries
        for _ in range(ROUNDS):
            if not suspects:
                break
            self._pause(PAUSE_S)
            suspects = self._again(suspects)
        findings = sorted({finding for found in suspects.values() for finding in found})
        return Report(tuple(findings), runs, entries, unread)

    def _again(self, suspects: Mapping[_Subject, list[Finding]]) -> dict[_Subject, list[Finding]]:
        """Look again at what looked wrong; left is what does so still."""
        self._snapshots.followed = self._read_followed()
        by_kind: dict[str, list[Any]] = {}
        for kind, subject in suspects:
            by_kind.setdefault(kind, []).append(subject)
        left = {}
        for kind, subjects in by_kind.items():
            for page in pages(subjects, _RUNS):
                for subject, found in self._judge(kind, page).items():
                    before = {_same(finding) for finding in suspects[kind, subject]}
                    still = [finding for finding in found or [] if _same(finding) in before]
                    if still:
                        left[kind, subject] = still
        return left

    def _judge(self, kind: str, page: Sequence[Any]) -> dict[Any, list[Finding] | None]:
        judges: dict[str, Callable[[Sequence[Any]], Mapping[Any, list[Finding] | None]]] = {
            "run": self._judge_runs,
            "entry": self._judge_entries,
            "line": self._judge_lines,
            "pair": self._judge_pairs,
            "mail": self._judge_mail,
            "key": self._judge_keys,
            "source": self._judge_sources,
            "counts": self._judge_counts,
        }
        return dict(judges[kind](page))

    # Walking

    def _walk(self) -> Iterator[tuple[str, list[Any]]]:
        """All that there is to be judged, in pages of one kind."""
        indexes: list[tuple[str, str]] = []
        for names in self._scan(""):
            runs: list[str] = []
            others: list[str] = []
            for name in names:
                kind, rest = self._kind_of(name)
                if kind == "run" and rest:
                    runs.append(rest)
                elif kind in _OF_RUNS or kind in {
                    "delayed",
                    "delayed_rows",
                    "dead",
                    "dead_rows",
                    "mails",
                    "mailbox",
                    "windows",
                }:
                    indexes.append((kind, rest))
                elif kind not in SINGLE:
                    others.append(name)
            for page in pages(runs, _RUNS):
                yield "run", page
            if others:
                yield "key", others
        for kind, key in sorted(set(indexes)):
            yield from self._walk_index(kind, key)
        yield "counts", ["running", "versions", "hints"]

    def _walk_index(self, kind: str, key: str) -> Iterator[tuple[str, list[Any]]]:
        name = self._snapshots.key_of(kind, key)
        if kind == "ready":
            yield "source", [key]
        if kind == "line":
            yield "line", [key]
        scan = self._client.hscan_iter if kind in {"delayed_rows", "dead_rows", "windows"} else self._client.zscan_iter
        members = (member.decode() for member, _ in scan(name, count=_SCAN))
        for page in pages(members, _ENTRIES):
            self._entries += len(page)
            match kind:
                case "windows":
                    yield "line", page
                case "delayed" | "delayed_rows":
                    yield "pair", [("delayed", member) for member in page]
                case "dead" | "dead_rows":
                    yield "pair", [("dead", member) for member in page]
                case "mails":
                    yield "mail", [(one, event) for mail in page for event, *keys in [mail.split(SEP)] for one in keys]
                case "mailbox":
                    yield "mail", [(key, member) for member in page]
                case _:
                    gates = [one.split(SEP)[2] for one in page if kind == "timers" and _is_of_gate(one)]
                    if gates:
                        yield "line", gates
                    yield "entry", [Entry(kind, key, one) for one in page if kind != "timers" or not _is_of_gate(one)]

    def _scan(self, head: str) -> Iterator[list[str]]:
        """Names of keys without the first part that all have."""
        pattern = re.sub(r"([\\*?\[\]])", r"\\\1", self._keys.base) + head + "*"
        cursor = 0
        while True:
            cursor, found = self._client.scan(cursor, match=pattern, count=_SCAN)
            yield [key.decode().removeprefix(self._keys.base) for key in found]
            if cursor == 0:
                return

    def _kind_of(self, name: str) -> tuple[str, str]:
        """The kind of a key and the rest of its name; empty for a run's other keys and for what nobody knows."""
        for kind, text in SINGLE.items():
            if name == text:
                return kind, ""
        for kind, text in sorted(FAMILY.items(), key=lambda one: -len(one[1])):
            if not name.startswith(text):
                continue
            rest = name.removeprefix(text)
            if kind != "run":
                return kind, rest
            return ("run", "") if any(rest.endswith(part) for part in RUN.values()) else ("run", rest)
        return "", ""

    def _read_followed(self) -> dict[tuple[str, str], frozenset[str]]:
        """Who waits for the end of which runs."""
        found: dict[tuple[str, str], set[str]] = {}
        for names in self._scan(FAMILY["run"] + "*" + RUN["followers"]):
            keys = [self._keys.base + name for name in names]
            for name, members in zip(names, self._pipe([("ZRANGE", key, 0, -1) for key in keys]), strict=True):
                run = name.removeprefix(FAMILY["run"]).removesuffix(RUN["followers"])
                for member in members:
                    parent, _, rest = member.decode().partition(SEP)
                    found.setdefault((parent, rest.partition(SEP)[0]), set()).add(run)
        return {place: frozenset(runs) for place, runs in found.items()}

    # Judging

    def _judge_runs(self, runs: Sequence[str]) -> dict[Any, list[Finding] | None]:
        found: dict[Any, list[Finding] | None] = {}
        for run, verdict in self._snapshots.judge_runs(runs).items():
            found[run] = None if verdict is None else verdict[1]
            self._runs += verdict is not None and verdict[0] is not None
        return found

    def _judge_entries(self, entries: Sequence[Entry]) -> Mapping[Any, list[Finding] | None]:
        return self._snapshots.judge_entries(entries, self._now_ms())

    def _judge_lines(self, gates: Sequence[str]) -> Mapping[Any, list[Finding] | None]:
        return {key: self._judge_line(key) for key in gates}

    def _judge_line(self, key: str) -> list[Finding] | None:
        line, places = self._keys.family("line", key), self._keys.family("places", key)
        first = b""
        for _ in range(5):
            name = first.decode()
            run, scope = owner_of(Entry("line", key, name))
            head, taken, pace, window, opened, *rows = self._pipe(
                [
                    ("ZRANGE", line, 0, 0),
                    ("ZCARD", places),
                    ("ZSCORE", self._keys.single("timers"), f"{SEP}pace{SEP}{key}"),
                    ("ZSCORE", self._keys.single("timers"), f"{SEP}window{SEP}{key}"),
                    ("HEXISTS", self._keys.single("windows"), key),
                    *self._snapshots.scope_of(run, scope),
                ],
                atomic=True,
            )
            if (head[0] if head else b"") == first:
                timers = frozenset(kind for kind, due in (("pace", pace), ("window", window)) if due is not None)
                facts = LineFacts(key, name, taken, timers, bool(opened))
                return list(judge_line(facts, self._snapshots.facts_of(run, scope, rows) if name else None))
            first = head[0] if head else b""
        return None

    def _judge_pairs(self, subjects: Sequence[tuple[str, str]]) -> Mapping[Any, list[Finding] | None]:
        commands: list[tuple[Any, ...]] = []
        for name, member in subjects:
            commands.append(("ZSCORE", self._keys.single(name), member))
            commands.append(("HGET", self._keys.single(f"{name}_rows"), member))
            commands.append(("EXISTS", self._keys.family("run", member)))
        answers = self._pipe(commands, atomic=True)
        found: dict[Any, list[Finding] | None] = {}
        for number, (name, member) in enumerate(subjects):
            score, row, run = answers[number * 3 : number * 3 + 3]
            finding = judge_pair(
                f"{name}-lost", member, (SINGLE[name], score is not None), (SINGLE[f"{name}_rows"], row is not None)
            )
            if name == "dead" and row is not None and unpack(row)[1] == b"run" and not run:
                finding = Finding("dead-run", f"dead letter {member}", "its run is gone")
            found[name, member] = [] if finding is None else [finding]
        return found

    def _judge_mail(self, subjects: Sequence[tuple[str, str]]) -> Mapping[Any, list[Finding] | None]:
        """Whether an event is in a mailbox exactly while `mails` will take it out again."""
        found: dict[Any, list[Finding] | None] = {}
        for key, event in subjects:
            listed = self._mails_of(event)
            commands: list[tuple[Any, ...]] = [("ZSCORE", self._keys.family("mailbox", key), event)]
            commands += [("ZSCORE", self._keys.single("mails"), one) for one in listed]
            boxed, *due = self._pipe(commands, atomic=True)
            collects = any(
                score is not None and key in one.split(SEP)[1:] for one, score in zip(listed, due, strict=True)
            )
            where = f"mail:{key}"
            if collects and boxed is None:
                found[key, event] = [Finding("mail-lost", where, f"{event} is in mails and not there")]
            elif boxed is not None and not collects:
                found[key, event] = [Finding("mail-stray", where, f"{event} is there and not in mails")]
            else:
                found[key, event] = []
        return found

    def _mails_of(self, event: str) -> list[str]:
        """What `mails` may have of an event: as its row says, or any when the row has expired."""
        row = self._client.hget(self._keys.family("event", event), "mail")
        if row is not None:
            return [row.decode()]
        mails = self._client.zscan_iter(self._keys.single("mails"), match=event + SEP + "*", count=_SCAN)
        return [member.decode() for member, _ in mails]

    def _judge_keys(self, names: Sequence[str]) -> Mapping[Any, list[Finding] | None]:
        commands: list[tuple[Any, ...]] = []
        for name in names:
            kind, _ = self._kind_of(name)
            owner = self._owner_of(name) if kind == "run" else name
            commands.append(("PTTL", self._keys.base + name))
            commands.append(("EXISTS", self._keys.base + owner))
            shaped = kind in _SHAPES
            commands.append(("GETRANGE", self._keys.base + name, 0, _SHAPE) if shaped else ("EXISTS", self._keys.base))
        answers = self._pipe(commands, atomic=True)
        found: dict[Any, list[Finding] | None] = {}
        for number, name in enumerate(names):
            left_ms, there, value = answers[number * 3 : number * 3 + 3]
            kind, _ = self._kind_of(name)
            shown = name.replace(SEP, "|")
            if left_ms == -2:
                found[name] = []
            elif kind == "run":
                found[name] = [] if there else [Finding("orphan", shown, "the row of its run is gone")]
            elif kind in _ENDING:
                found[name] = [Finding("ttl-none", shown, "it has no expiry")] if left_ms == -1 else []
                if kind in _SHAPES and _SHAPES[kind].match(value) is None:
                    found[name] = [Finding("value-broken", shown, "it does not begin with a number")]
            else:
                found[name] = [Finding("unknown-key", shown, "no release of FlowLang that we know writes it")]
        return found

    def _owner_of(self, name: str) -> str:
        part = next(part for part in RUN.values() if name.endswith(part))
        return name.removesuffix(part)

    def _judge_sources(self, sources: Sequence[str]) -> Mapping[Any, list[Finding] | None]:
        commands: list[tuple[Any, ...]] = []
        for source in sources:
            commands.append(("SISMEMBER", self._keys.single("asides" if SEP in source else "queues"), source))
            commands.append(("EXISTS", self._keys.family("ready", source)))
        answers = self._pipe(commands, atomic=True)
        found: dict[Any, list[Finding] | None] = {}
        for number, source in enumerate(sources):
            listed, there = answers[number * 2 : number * 2 + 2]
            code, name = ("aside-lost", "asides") if SEP in source else ("queue-lost", "queues")
            what = f"it has rows and is not in {name}"
            shown = source.replace(SEP, "|")
            found[source] = [Finding(code, shown, what)] if there and not listed else []
        return found

    def _judge_counts(self, which: Sequence[str]) -> Mapping[Any, list[Finding] | None]:
        found: dict[Any, list[Finding] | None] = {}
        for one in which:
            judge = {"running": self._judge_running, "versions": self._judge_versions, "hints": self._judge_hints}[one]
            found[one] = list(judge())
        return found

    def _judge_hints(self) -> Iterator[Finding]:
        for queue, text in self._client.hscan_iter(self._keys.single("hints"), count=_SCAN):
            if _HINT.fullmatch(text) is None:
                yield Finding("hint-broken", f"queue {queue.decode()}", f"its hints are {text!r}")

    def _judge_running(self) -> Iterator[Finding]:
        single = self._keys.single
        said, rows = self._client.eval(
            _HELD, 2, single("leases"), single("running"), self._keys.family("run", ""), RUN["scopes"]
        )
        held: Counter[str] = Counter()
        for row in rows:
            with contextlib.suppress(ValueError):  # which the judgement of its run finds
                scope = read_scope(row)
                held[scope.queue] += scope.status == "held"
        return judge_counts("running-count", _numbers(said), held)

    def _judge_versions(self) -> Iterator[Finding]:
        """Count by status at one moment; and by version run after run, which stays as it is only in a store at rest."""
        statuses = sorted(LIVE | ENDED)
        commands: list[tuple[Any, ...]] = [("HGETALL", self._keys.single("versions"))]
        commands += [("ZCARD", self._keys.family("by_status", status)) for status in statuses]
        table, *sizes = self._pipe(commands, atomic=True)
        said = _numbers(table)
        sums: Counter[str] = Counter()
        for name, count in said.items():
            sums[name.split(SEP)[1]] += count
        listed = {status: size for status, size in zip(statuses, sizes, strict=True) if size}
        wrong = list(judge_counts("version-count", sums, listed))
        if wrong:
            yield from wrong
        else:
            yield from judge_counts("version-count", said, self._count_versions())

    def _count_versions(self) -> Counter[str]:
        """How many runs of each version and status there are, those included that only the sweep has not met yet."""
        found: Counter[str] = Counter()
        for names in self._scan(FAMILY["run"]):
            runs = [rest for kind, rest in map(self._kind_of, names) if kind == "run" and rest]
            commands = [("HMGET", self._keys.family("run", run), "version", "status") for run in runs]
            heads = (head for head in self._pipe(commands) if None not in head)
            found.update(SEP.join((version.decode(), status.decode())) for version, status in heads)
        now_ms = self._now_ms()
        expiry = self._client.zscan_iter(self._keys.single("expiry"), count=_SCAN)
        for page in pages((member.decode().split(SEP) for member, at_ms in expiry if at_ms <= now_ms), _SCAN):
            there = self._pipe([("EXISTS", self._keys.family("run", run)) for run, *_ in page])
            found.update(SEP.join(parts[2:]) for parts, kept in zip(page, there, strict=True) if not kept)
        return found


def _is_of_gate(timer: str) -> bool:
    return timer.startswith(SEP) and timer.count(SEP) == 2


def _numbers(table: Any) -> dict[str, int]:
    pairs = table.items() if isinstance(table, Mapping) else zip(table[::2], table[1::2], strict=True)
    return {name.decode(): int(count) for name, count in pairs}


def _same(finding: Finding) -> tuple[str, ...]:
    """What of a finding stays as it is while others write; counters must say the same each time."""
    if finding.code.endswith("-count"):
        return (finding.code, finding.where, finding.what)
    return (finding.code, finding.where)


def check_server(url: str, *, namespace: str, now_ms: Callable[[], int], pause: Callable[[float], object]) -> Report:
    """Check the store on a server.

    Args:
        url: Of the server.
        namespace: First part of every key.
        now_ms: The server's time.
        pause: Waits so many seconds.

    Raises:
        StoreUnavailableError: when it does not answer.
        StoreError: when it refuses a question.
    """
    client = redis.Redis.from_url(
        url,
        protocol=2,
        decode_responses=False,
        retry=Retry(NoBackoff(), 0),
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        socket_timeout=ANSWER_TIMEOUT_S,
    )
    try:
        return Checker(client, Keys(namespace), now_ms=now_ms, pause=pause).check()
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
        raise StoreUnavailableError(f"no answer from the store: {error}") from error
    except redis.exceptions.RedisError as error:
        raise StoreError(f"the store refused: {error}") from error
    finally:
        client.close()
