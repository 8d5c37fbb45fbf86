"""What `doctor` looks at, and other commands at their start (`starting`): facts in, judgements with advice out.

Each check is a pure function. Gathering the facts is left to the commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from flowlang.cli.shapes import plural
from flowlang.engine.limits import is_near
from flowlang.service.headroom import HIGH_WATER_PERCENT
from flowlang.settings import Settings, safe_url

if TYPE_CHECKING:
    from flowlang.bootstrap import Health
    from flowlang.engine.ports import ApiKeyRow, Stats

#: A clock that differs more is worth a warning; more than the second makes signatures of webhooks fail. Milliseconds.
_SKEW_MS: Final = 1_000
_BAD_SKEW_MS: Final = 240_000

#: A row that is ready and that nobody took for so long is worth a warning, in milliseconds.
_STALE_MS: Final = 30_000

#: An API key that expires so soon is worth a warning, in milliseconds.
_ENDING_MS: Final = 7 * 86_400_000

_OLDEST_SERVER: Final = 7

#: The first releases without the holes in Lua that were found in 2025 and 2026 (CVE-2025-49844 and others): of each
#: branch that got a fix, and of all that come after the last of them.
_FIXED: Final = {
    "redis": {(7, 2): 11, (7, 4): 6, (8, 0): 4, (8, 2): 2, (8, 6): 3},
    "valkey": {(7, 2): 11, (8, 0): 6, (8, 1): 4},
}

#: So much of the server's memory used is worth a warning, percent.
_FILLING_PERCENT: Final = 75
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `doctor`.

    Args:
        name: What was looked at.
        status: `ok`, `warn` (works, and not as promised) or `fail` (does not work).
        message: What was found.
        advice: What to do; empty when it is ok.
    """

    name: str
    status: Literal["ok", "warn", "fail"]
    message: str
    advice: str = ""


def server_checks(health: Health, settings: Settings) -> Iterator[Check]:
    """Judge the servers by the promises that rest on them."""
    store = health.store
    yield _version(store, settings)
    yield _fixes(store)
    yield _eviction(store)
    yield _memory(store)
    yield _persistence(store)
    yield _clock(store["clock_difference_ms"])
    yield _test_clock(health.test_clock_ms, settings)
    yield _broker(health, settings)


def _version(store: Any, settings: Settings) -> Check:
    found = f"{store['server'].capitalize()} {store['version']} at {safe_url(settings.redis_url or '')}"
    major = re.match(r"\d+", str(store["version"]))
    if major is None or int(major[0]) < _OLDEST_SERVER:
        return Check("store", "fail", found, f"FlowLang needs Redis {_OLDEST_SERVER} or Valkey: update the server")
    if store.get("role") not in {"master", None}:
        return Check("store", "fail", f"{found} is a replica", "name the primary in FLOWLANG_REDIS_URL")
    if store.get("mode") == "cluster":
        return Check(
            "store", "fail", f"{found} is a cluster", "name a server that is none: the keys are all of one slot"
        )
    return Check("store", "ok", found)


def _fixes(store: Any) -> Check:
    numbers = [int(part) for part in re.findall(r"\d+", str(store["version"]))[:3]]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    branches = _FIXED[store["server"]]
    fixed = patch >= branches[major, minor] if (major, minor) in branches else (major, minor) > max(branches)
    if fixed:
        return Check("fixes", "ok", "the server has the known fixes of its Lua")
    advice = "update the server, unless whoever packaged it has put the fixes in"
    return Check("fixes", "warn", f"{store['version']} is older than fixes of its Lua (CVE-2025-49844)", advice)


def _eviction(store: Any) -> Check:
    policy = store["maxmemory_policy"]
    if policy in {"noeviction", None}:
        return Check("eviction", "ok", "the server throws nothing away when memory is short")
    # Without a limit it throws nothing away yet; but a limit is set in a moment, and nobody would look here again.
    found = f"the server {'may' if store['maxmemory'] else 'would, with a memory limit,'} throw runs away ({policy})"
    return Check("eviction", "fail", found, "set `maxmemory-policy noeviction`, and alarm on memory")


def _memory(store: Any) -> Check:
    used, limit = store["used_memory"], store["maxmemory"]
    if not limit:
        return Check("memory", "ok", f"{used / _MB:.0f} MB used; the server has no limit of its own")
    percent = used * 100 // limit
    found = f"{used / _MB:.0f} of {limit / _MB:.0f} MB used ({percent} %)"
    if percent >= HIGH_WATER_PERCENT:
        advice = "raise `maxmemory` at once; then shorten `retention`, resolve dead letters, or keep less in steps"
        return Check("memory", "fail", f"{found}: events are refused from {HIGH_WATER_PERCENT} % on", advice)
    if percent >= _FILLING_PERCENT:
        advice = f"raise `maxmemory`, or keep less: from {HIGH_WATER_PERCENT} % on events are refused"
        return Check("memory", "warn", found, advice)
    return Check("memory", "ok", found)


def _persistence(store: Any) -> Check:
    if not store["aof_enabled"]:
        advice = "set `appendonly yes`"
        return Check("persistence", "fail", "a restart of the server loses what was accepted", advice)
    if store.get("appendfsync") == "no":
        advice = "set `appendfsync everysec` or `always`"
        return Check("persistence", "warn", "a power cut may lose much of what was accepted", advice)
    every = {"always": "each write", "everysec": "each second"}.get(store.get("appendfsync") or "", "append-only file")
    return Check("persistence", "ok", f"what is accepted is on disk ({every})")


def _clock(difference_ms: int) -> Check:
    found = f"the server's clock differs by {abs(difference_ms) / 1000:.1f} s from this machine's"
    if abs(difference_ms) > _BAD_SKEW_MS:
        return Check("clock", "fail", found, "set the clocks (NTP): signatures of webhooks are refused")
    if abs(difference_ms) > _SKEW_MS:
        return Check("clock", "warn", found, "set the clocks (NTP): times in logs will not agree with those of runs")
    return Check("clock", "ok", found)


def _test_clock(offset_ms: int, settings: Settings) -> Check:
    if not offset_ms:
        return Check("test clock", "ok", "nobody has moved the time")
    found = f"a test has moved the time by {offset_ms / 1000:g} s"
    if settings.is_test:
        return Check("test clock", "ok", found)
    advice = f"this is a store of tests: use another, or set FLOWLANG_ENV=test (it is {settings.environment})"
    return Check("test clock", "warn", found, advice)


def _broker(health: Health, settings: Settings) -> Check:
    where = safe_url(settings.broker or "")
    if health.broker_error is not None:
        advice = "check FLOWLANG_BROKER_URL; without hints, work starts when the sweeper finds it"
        return Check("broker", "fail", f"{where} cannot be reached ({health.broker_error})", advice)
    if health.same_server:
        advice = "give the broker a database of its own in FLOWLANG_BROKER_URL"
        return Check("broker", "warn", f"{where} holds the store as well", advice)
    return Check("broker", "ok", where)


def durable_check(durability: str, why_not: str, replicas: int) -> Check:
    """Say whether the server can do what `durable` asks for.

    Args:
        durability: As it is deployed.
        why_not: Why it cannot, and what would be right; empty when it can.
        replicas: That are connected.
    """
    if why_not:
        return Check("durable", "fail", why_not, "or write `durable: none`, and deploy")
    if durability == "replica" and replicas == 0:
        found = "`durable: replica` waits for a replica, and none is connected: whoever sends gets 503"
        return Check("durable", "fail", found, "connect one, or write another `durable`, and deploy")
    said = {"none": "the server has it", "fsync": "it is on the server's disk", "replica": "a replica has it, too"}
    return Check("durable", "ok", f"a sender is answered when {said[durability]}")


def work_checks(stats: Stats) -> Iterator[Check]:
    """Judge whether somebody does the work that waits."""
    late = {queue: stats.now_ms - since for queue, since in stats.oldest_ready_ms.items()}
    stale = {queue: age for queue, age in late.items() if age > _STALE_MS}
    rows = sum(stats.ready.values())
    threads = sum(worker.threads for worker in stats.workers)
    busy = sum(worker.busy for worker in stats.workers)
    if stats.workers:
        yield Check("workers", "ok", f"{plural(len(stats.workers), 'process')} with {threads} threads, {busy} at work")
    else:
        status: Literal["warn", "fail"] = "fail" if rows else "warn"
        yield Check("workers", status, "no worker was heard of lately", "start one: `flowlang worker`")
    if stats.workers and stats.unserved:
        yield _unserved(stats.unserved)
    if not stale:
        yield Check("work", "ok", f"{rows} ready, {stats.held} held, {stats.timers} waiting for a time")
        return
    worst = ", ".join(f"{queue} since {age // 1000} s" for queue, age in sorted(stale.items()))
    advice = "add workers, and see that one serves these queues and has their handlers"
    yield Check("work", "warn" if stats.workers else "fail", f"{rows} ready and not taken: {worst}", advice)


def _unserved(rows: dict[str, int]) -> Check:
    named = ", ".join(f"{version[:12]} ({count})" for version, count in sorted(rows.items()))
    found = f"no worker can run what is ready of {plural(len(rows), 'version')}: {named}"
    advice = "start a worker of a release that has their handlers (its log names them), or cancel the runs"
    return Check("versions", "fail", found, f"{advice}; see `flowlang versions`")


def dead_check(stats: Stats, limit: int | None = None) -> Check:
    """Say whether somebody should look at dead letters.

    Args:
        stats: Of the store.
        limit: `limits.dead_letters` of what is deployed.
    """
    if stats.dead:
        found = f"{plural(stats.dead, 'dead letter')} wait for a person"
        advice = "see `flowlang dead-letters list`"
        if limit is None or not is_near(stats.dead, limit):
            return Check("dead letters", "warn", found, advice)
        found += f"; `limits.dead_letters` in flowlang.yaml is {limit}"
        status: Literal["warn", "fail"] = "fail" if stats.dead >= limit else "warn"
        return Check("dead letters", status, found, f"retry or discard them, none is dropped: {advice}")
    return Check("dead letters", "ok", "none")


def api_keys_check(keys: Iterable[ApiKeyRow], now_ms: int) -> Check:
    """Say whether somebody will soon be locked out of HTTP.

    Args:
        keys: All API keys.
        now_ms: The store's time.
    """
    usable = [key for key in keys if key.expires_ms is None or key.expires_ms > now_ms]
    lasting = {key.name for key in usable if key.expires_ms is None or key.expires_ms - now_ms > _ENDING_MS}
    ending = sorted({key.name for key in usable} - lasting)
    if not usable:
        return Check(
            "api keys", "ok", "there are none; `flowlang serve` needs one, workers and the command line do not"
        )
    found = f"{plural(len(usable), 'API key')} can be used"
    if ending:
        advice = f"`flowlang api-keys rotate {ending[0]}`, and give the new one to its holder"
        return Check("api keys", "warn", f"{found}; within a week, nobody gets in as {', '.join(ending)}", advice)
    return Check("api keys", "ok", found)


def deployed_check(active: dict[str, str] | None, epoch: int, digest: str | None, local: str | None) -> Check:
    """Compare what is active with the project in this folder.

    Args:
        active: Pipelines of the active manifest; None before the first deploy.
        epoch: The active one.
        digest: Of the active manifest.
        local: Of the project in this folder; None when it cannot be deployed.
    """
    if active is None:
        return Check("deployed", "fail", "nothing is deployed", "run `flowlang deploy`")
    found = f"epoch {epoch} with {plural(len(active), 'pipeline')}"
    if local is None or local == digest:
        return Check("deployed", "ok", found if local is None else f"{found}, as in this folder")
    return Check(
        "deployed", "warn", f"{found}; this folder has another version", "run `flowlang deploy` to activate it"
    )
