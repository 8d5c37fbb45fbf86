"""What a check of the store can find, what each finding means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something in the store that contradicts the rows of runs.

    Attributes:
        code: One of `MEANINGS`.
        where: The run, scope, queue or key.
        what: What was found there.
    """

    code: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has looked at and found.

    Attributes:
        findings: In order.
        runs: That were read.
        entries: Members of indexes that were read.
        unread: Runs that changed too fast for a judgement.
    """

    findings: tuple[Finding, ...]
    runs: int
    entries: int
    unread: int


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a finding means.

    Attributes:
        means: What follows from it for runs.
        do: What to do.
    """

    means: str
    do: str


_CANCEL: Final = "cancel the run (`flowlang cancel`) and send its event again, or replay it"
_HARMLESS: Final = "nothing: whoever meets it drops it; report it, since it should not come about"
_REPORT: Final = "report it with the output of `flowlang fsck --json` and the versions of FlowLang and the server"
_DELETE: Final = "delete the key when you know what wrote it"

#: Code → what it means. Codes keep their meaning.
MEANINGS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        "stuck": Meaning("Nothing will ever wake this scope, so its run does not end.", _CANCEL),
        "ready-lost": Meaning("The scope has work, and no worker will find it.", _CANCEL),
        "ready-stray": Meaning("A worker that takes this row finds nothing to do.", _HARMLESS),
        "ready-twice": Meaning("Two workers may take the same work; the second one's commit is refused.", _REPORT),
        "lease-lost": Meaning("If the holder dies, nobody takes its work over.", _CANCEL),
        "lease-stray": Meaning("The sweep will make work ready that nobody holds.", _REPORT),
        "timer-lost": Meaning("The time that the scope waits for will not come.", _CANCEL),
        "timer-stray": Meaning("A timer fires for nobody.", _HARMLESS),
        "wait-lost": Meaning("An event that the scope waits for will not find it.", _CANCEL),
        "wait-stray": Meaning(
            "An event that carries this key finds a wait that is not there, and cannot be accepted.",
            "delete the member from the key that is named, then report it",
        ),
        "line-lost": Meaning("The scope waits at a gate whose line does not know it.", _CANCEL),
        "line-stray": Meaning("Somebody who is gone stands in the line of a gate.", _HARMLESS),
        "line-idle": Meaning("The first of a line could pass, and nobody lets it.", _CANCEL),
        "place-lost": Meaning("More may pass the gate than its limit says.", _REPORT),
        "place-stray": Meaning(
            "A place of a gate is taken for ever, so that fewer may pass than its limit says.",
            "delete the member from the key that is named; the next one to come or go lets the line in",
        ),
        "untold-stray": Meaning("A gate may cancel a run that is gone in place of one that is not.", _HARMLESS),
        "gate-unasked": Meaning("The scope was to ask for a gate, and did not.", _CANCEL),
        "slot-state": Meaning("The run's place and what the run says of it differ.", _CANCEL),
        "gate-timer-lost": Meaning("The gate will not open by itself; the next one who comes may open it.", _CANCEL),
        "gate-timer-stray": Meaning("A timer fires for a gate at which nobody waits.", _HARMLESS),
        "window-stray": Meaning("The next window of this key closes earlier than it should.", _HARMLESS),
        "group-count": Meaning("The group's join comes too early or never.", _CANCEL),
        "join-lost": Meaning("All children have ended, and their parent was not told.", _CANCEL),
        "children-lost": Meaning("A child could start, and nobody starts it.", _CANCEL),
        "list-lost": Meaning("Lists of runs do not show this run.", _REPORT),
        "list-stray": Meaning("Lists of runs read a row that is not there, or has another status.", _HARMLESS),
        "expiry-lost": Meaning("The rows of this ended run stay for ever.", "delete the run's keys, then report it"),
        "expiry-stray": Meaning(
            "Rows that are still needed are thrown away when their time comes.",
            "delete the member from `expiry` before its time, then report it",
        ),
        "ttl-lost": Meaning("The rows of this ended run stay when nobody sweeps.", _REPORT),
        "ttl-early": Meaning(
            "The server throws rows away that are still needed.", "PERSIST the key that is named, then report it"
        ),
        "ttl-none": Meaning("This key should end by itself, and does not.", _DELETE),
        "family": Meaning("The rows of a family of runs are freed too early or never.", _REPORT),
        "child-lost": Meaning("The end of the parent will not cancel this run.", "cancel it with its parent"),
        "child-stray": Meaning("The parent has a child that is not its own, or has ended.", _HARMLESS),
        "follower-stray": Meaning("Somebody waits for the end of a run that has ended.", _CANCEL),
        "dead-lost": Meaning("A dead letter has no content, or is not on the list.", _REPORT),
        "dead-run": Meaning("The run of a dead letter is gone: it cannot be replayed.", "discard the dead letter"),
        "delayed-lost": Meaning("A delayed event has no content, or will never be due.", _REPORT),
        "mail-lost": Meaning("A wait that looks back does not see this event.", _REPORT),
        "mail-stray": Meaning("An event stays in a mailbox for ever.", _DELETE),
        "queue-lost": Meaning("The sweep does not ring for rows of this queue.", _REPORT),
        "aside-lost": Meaning("No worker looks where these rows are.", _REPORT),
        "running-count": Meaning(
            "The number of rows at work is wrong, and with it the `limit` of the queue.",
            "when no worker runs, delete the hash `running`",
        ),
        "version-count": Meaning("A deploy may drop a plan that a run needs, or keep one that none needs.", _REPORT),
        "plan-lost": Meaning("The run's plan is gone: no worker can go on with it.", _CANCEL),
        "run-broken": Meaning("The run's own row says what cannot be.", _CANCEL),
        "hint-broken": Meaning(
            "Nothing can be claimed: the count of a queue's hints cannot be read.", "delete the hash `hints`"
        ),
        "value-broken": Meaning("Whoever asks for this key gets an error.", _DELETE),
        "orphan": Meaning("A key belongs to a run that is gone, and stays for ever.", _DELETE),
        "unknown-key": Meaning("Another release or another program has written a key among ours.", _DELETE),
    }
)
