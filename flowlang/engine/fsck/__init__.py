"""Whether all indexes of a store say what its rows say: facts in, findings out.

Reading is left to whoever has the rows: `engine.reference.fsck` for the tables of the reference, `store.fsck` for a
server. The rows of runs, scopes and groups are the truth; everything else can be judged by them.
"""

from flowlang.engine.fsck.entries import judge_entry
from flowlang.engine.fsck.facts import Asked, Entry, GroupFacts, Index, RunFacts, RunHead, ScopeFacts, SlotFacts
from flowlang.engine.fsck.findings import MEANINGS, Finding, Meaning, Report
from flowlang.engine.fsck.lines import LineFacts, judge_line
from flowlang.engine.fsck.runs import judge_run
from flowlang.engine.fsck.totals import judge_counts, judge_pair

__all__ = [
    "MEANINGS",
    "Asked",
    "Entry",
    "Finding",
    "GroupFacts",
    "Index",
    "LineFacts",
    "Meaning",
    "Report",
    "RunFacts",
    "RunHead",
    "ScopeFacts",
    "SlotFacts",
    "judge_counts",
    "judge_entry",
    "judge_line",
    "judge_pair",
    "judge_run",
]
