"""The only place that spells a key, for Python and for the scripts (`lua_table`).

All keys of a partition share the hash tag `{p00}`, so that one script may touch any of them. A key has an expiry, or is
in `PERMANENT` with the reason, or belongs to a run that has not ended or is kept by a dead letter, or to a family of
runs, which the sweep collects from the root's `family`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: Keys that exist once a partition.
SINGLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "clock": "clock",  # string: offset of the test clock, ms
        "salt": "salt",  # string: the store's secret for hashes of users' keys
        "active": "active",  # hash: epoch, digest, manifest
        "plans": "plans",  # hash: digest → plan
        "plan_times": "plans:at",  # hash: digest → when it was first stored, ms
        "versions": "versions",  # hash: version␟status → how many kept runs
        "crons": "crons",  # hash: trigger → last tick, ms
        "queues": "queues",  # set of queue names
        "running": "running",  # hash: queue → rows that are held
        "leases": "leases",  # sorted set: run␟scope by end of the lease
        "timers": "timers",  # sorted set: run␟scope␟timer by due time
        "delayed": "delayed",  # sorted set: event by due time
        "delayed_rows": "delayed:rows",  # hash: event → all that is needed to route it
        "mails": "mails",  # sorted set: event␟key␟key… by the end of its time in the mailboxes
        "expiry": "expiry",  # sorted set: run␟pipeline of ended runs, by expiry
        "dead": "dead",  # sorted set: id by time
        "dead_rows": "dead:rows",  # hash: id → dead letter
        "asides": "asides",  # set of queue␟version: sets of ready rows beside a queue; see FAMILY["ready"]
        "workers": "workers",  # hash: worker → threads:busy:seen:queues:refuses:defers, lists with commas
        "hints": "hints",  # hash: queue → outstanding:rung
        "tickets": "tickets",  # counter: the last one that was drawn at a gate
        "windows": "windows",  # hash: key → when the window opened, ms
        "runs": "runs",  # sorted set: run by creation
        "api_keys": "apikeys",  # hash: id → API key, JSON; see `ports.ApiKeyRow`
        "api_keys_used": "apikeys:used",  # hash: id → when it was used, ms, to the minute
        "keyrings": "keyrings",  # sorted set: process␟marks of its keys, the one that closes first, by when it was seen
    }
)

#: Keys with a name at the end.
FAMILY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ready": "ready:",  # + queue, or queue␟version beside it; sorted set: run␟scope by ready time less priority
        "by_pipeline": "runs:p:",  # + pipeline; sorted set: run by creation
        "by_status": "runs:s:",  # + status; the same
        "event": "event:",  # + id; hash
        "dedupe": "dedupe:",  # + keyed hash; string expiry:event
        "once": "once:",  # + keyed hash; string expiry:run
        "wait": "wait:",  # + keyed hash; sorted set: run␟scope␟wait, all with score 0
        "cache": "cache:",  # + keyed hash; string expiry:output
        "mailbox": "mail:",  # + keyed hash; sorted set: event by acceptance
        "line": "line:",  # + keyed hash; sorted set: ticket␟run␟scope that waits at a gate, by time less priority
        "places": "places:",  # + keyed hash; sorted set: ticket␟run␟scope that has a place, by ticket
        "untold": "untold:",  # + keyed hash; sorted set: ticket␟run␟scope that a newer one may cancel, by ticket
        "pace": "pace:",  # + keyed hash; string: when all that has passed is used up, ms
        "flush": "flush:",  # + worker; string of the last sequence number (16 digits) and its reply
        "mark": "mark:",  # + how safe; string: the last write that was to be made so
        "rate": "rate:",  # + keyed hash; string: when all that was granted is used up, us
        "asked": "asked:",  # + name; string: whether somebody has asked, see `Store.once`
        "refusals": "refusals:",  # + webhook; hash: reason␟count, first or last (ms) → number
        "run": "run:",  # + id; hash, see RUN
    }
)

#: Suffixes of a run's other keys; the hash of `FAMILY["run"]` has what lists show.
RUN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scopes": ":s",  # hash: scope → row
        "inputs": ":i",  # hash: child → input
        "records": ":o",  # hash: instance → record
        "journal": ":j",  # list
        "groups": ":g",  # hash: group → row
        "waits": ":w",  # hash: scope␟wait → its keys, joined by SEP
        "taken": ":t",  # set: share␟event
        "undos": ":u",  # list
        "followers": ":l",  # sorted set: run␟scope␟instance that wait for its end, all with score 0
        "children": ":c",  # set: runs that it invoked and that have not ended
        "family": ":f",  # sorted set, of a root: all runs below it by creation
    }
)

#: Keys without an expiry, by name in SINGLE or FAMILY, and why each cannot grow without bound.
PERMANENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "clock": "written by tests only",
        "salt": "one for all hashes of the store",
        "active": "one manifest",
        "plans": "a run finishes with the plan it began with; a deploy drops those that no kept run needs",
        "plan_times": "one field a stored plan",
        "versions": "one field a version and status of kept runs",
        "crons": "one field a cron trigger of the active manifest",
        "queues": "one member a queue name in use",
        "running": "one field a queue with rows that are held",
        "leases": "one member a held scope",
        "timers": "one member a timer of a scope that has not ended",
        "delayed": "one member an event that is not due yet, or due and not yet routed",
        "delayed_rows": "as delayed",
        "mails": "one member an event in mailboxes; collected by the sweep and by later events",
        "wait": "one member a wait of a scope that has not ended",
        "mailbox": "as mails",
        "expiry": "one member an ended run; collected by the sweep",
        "dead": "kept for a person until resolved",
        "dead_rows": "kept for a person until resolved",
        "asides": "one member a queue and version that some worker leaves to others; emptied ones go with the sweep",
        "workers": "workers that were not seen for a minute are removed by the sweep",
        "hints": "one field a queue name in use",
        "tickets": "one number",
        "windows": "one field an open window",
        "line": "one member a waiting scope of a run that has not ended",
        "places": "one member a scope of a run that has not ended",
        "untold": "one member a scope of a run that has not ended",
        "runs": "one member a kept run; collected by the sweep",
        "api_keys": "one field a key that somebody has made; those that expired long ago go with the next change",
        "api_keys_used": "as api_keys",
        "keyrings": "one member a process; those that are not seen any more go when another one says its own",
        "ready": "one member a ready row",
        "by_pipeline": "one member a kept run; collected by the sweep",
        "by_status": "one member a kept run; collected by the sweep",
    }
)


class Keys:
    """Keys of one partition.

    Args:
        namespace: First part of every key, so that several stores can share a database.
        partition: 0 to 99.
    """

    def __init__(self, namespace: str = "flowlang", partition: int = 0) -> None:
        self.base = f"{namespace}:{{p{partition:02d}}}:"

    def single(self, name: str) -> str:
        """A key of `SINGLE`."""
        return self.base + SINGLE[name]

    def family(self, name: str, member: str) -> str:
        """A key of `FAMILY`."""
        return self.base + FAMILY[name] + member

    def of_run(self, run: str, part: str) -> str:
        """A key of `RUN`."""
        return self.base + FAMILY["run"] + run + RUN[part]

    def all_of_run(self, run: str) -> list[str]:
        """Every key that a run may have."""
        return [self.family("run", run), *(self.of_run(run, part) for part in RUN)]


def lua_table() -> str:
    """The same names for the scripts: `K.leases` is a key, `K.ready .. queue` too, `K.run .. id .. RUN.scopes`."""
    keys = ", ".join(f"{name} = BASE .. '{text}'" for name, text in ({**SINGLE, **FAMILY}).items())
    parts = ", ".join(f"{name} = '{text}'" for name, text in RUN.items())
    return f"local function keys_of(BASE) return {{{keys}}} end\nlocal RUN = {{{parts}}}\n"
