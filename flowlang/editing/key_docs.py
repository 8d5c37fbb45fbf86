"""A sentence for each key of the language: what hovering, completion and the JSON Schemas say of it.

The reference pages say more; a test holds this table to the keys of the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from flowlang.model.base import Part
from flowlang.model.flow_control import (
    Batch,
    Concurrency,
    Debounce,
    Idempotency,
    RateLimit,
    StepConcurrency,
    Throttle,
)
from flowlang.model.pipeline import CancelOn, Pipeline
from flowlang.model.pipeline_tests import (
    Answer,
    Expected,
    ExpectedCalls,
    ExpectedError,
    ExpectedEvent,
    ExpectedRun,
    ExpectedRuns,
    ExpectedStep,
    ExpectedUndo,
    Fault,
    Given,
    PipelineTest,
    When,
)
from flowlang.model.policy import RetryPolicy
from flowlang.model.project_file import (
    Defaults,
    Environment,
    Limits,
    Lint,
    Observe,
    Otlp,
    Posthog,
    ProjectFile,
    Queue,
    Secrets,
    Slack,
    Webhook,
)
from flowlang.model.step import (
    Cache,
    CatchArm,
    Emit,
    Fail,
    Foreach,
    Invoke,
    Pause,
    Repeat,
    Step,
    Tolerate,
    Undo,
    WaitFor,
)
from flowlang.model.trigger import CronTrigger, EventTrigger

_JITTER: Final = "How much of a delay is random: `equal` (half of it), `full` or `none`."
_PER_KEY: Final = "Counted for each value of this expression by itself; without it, once for all."
_SHARED: Final[Mapping[str, str]] = {
    "webhooks": "Sources of signed events, by the name that is the first segment of their events.",
    "queues": "Which work is taken first, by queue.",
    "retries": "Retry policies that pipelines use by name.",
    "errors": "Classes of exceptions of the project's own libraries: `acme.Unavailable: resource`.",
    "vars": "Values that every pipeline reads as `vars.NAME`.",
    "defaults": "What pipelines have that do not write it themselves.",
    "secrets": "Where secrets are looked up.",
    "observe": "Who is told of runs.",
    "limits": "Bounds of events, outputs, runs and endings.",
}
_GIVEN: Final[Mapping[str, str]] = {
    "event": "Send an event of this name.",
    "data": "The event's data, checked against its schema.",
    "data_file": "A JSON file with the event's data, relative to the test's file.",
    "id": "The event's id; the same one again is ignored.",
    "call": "Call the pipeline with this input.",
    "call_file": "Call the pipeline with the content of this JSON file.",
    "tick": "A tick of a schedule: `next`, or a timestamp.",
}
_RUN: Final[Mapping[str, str]] = {
    "status": "How the run ended.",
    "output": "The run's output.",
    "error": "The run's error.",
    "steps": "How step instances ended: a status, or a map.",
    "undone": "The steps whose undo was made, in this order, and no others.",
}
_RUNS: Final[Mapping[str, str]] = {
    "count": "How many runs were made.",
    "each": "Each run, in the order in which they were made.",
}

#: Map of the language → key → what it is for.
KEY_DOCS: Final[Mapping[type[Part], Mapping[str, str]]] = {
    Pipeline: {
        "flowlang": "Version of the language; it is 1.",
        "pipeline": "The pipeline's name: lower-case letters, digits and `-`.",
        "description": "Its purpose, for people.",
        "input": "JSON Schema of a call's data, or the path of one; else the schema of the only trigger's event.",
        "triggers": "The events and schedules that start it; without them it is only called.",
        "vars": "Values computed once when a trigger has matched, in written order; read as `vars.NAME`.",
        "steps": "The work: steps that run one after another.",
        "output": "The run's result, carried by its outcome event.",
        "on_failure": "Steps that run when the run has failed, after retries and undos.",
        "compensate": "Whether undos run on failure and cancel.",
        "cancel_on": "Events that cancel the run, from its creation on.",
        "timeout": "Longest time of the whole run from its start; then it fails with `run.timeout`.",
        "expires": "Longest wait before its start; then it is cancelled.",
        "retry": "The default retry policy of its steps.",
        "concurrency": "How many runs are active at once.",
        "throttle": "At most so many starts a period; the rest wait.",
        "rate_limit": "At most so many starts a period; the rest are skipped.",
        "debounce": "Only the last event starts a run, after so much quiet.",
        "batch": "One run for many events, which it reads as `events`.",
        "idempotency": "The same key gives the same run.",
        "priority": "Seconds of advance before other work, from -600 to 600; an expression.",
        "queue": "The queue in which its work waits.",
        "allow": "Names of API keys or key groups that may call, cancel and replay it.",
        "retention": "How long an ended run is kept.",
        "labels": "Values that are kept with the run, for searching.",
    },
    EventTrigger: {
        "event": "The event, or a list of events; `*` stands for the whole last segment.",
        "if": "Only events for which this is true; sees the event as it came.",
        "data": "What the pipeline gets as `event.data`.",
    },
    CronTrigger: {
        "cron": "Five fields: minute, hour, day of month, month, day of week; or a list of such texts.",
        "timezone": "IANA name of the schedule's time zone.",
        "jitter": "Each run starts up to so much later than its tick.",
        "missed": "Of ticks that were due while no worker ran: `last` fires the last one, `skip` none, `all` each.",
        "if": "Only ticks for which this is true.",
        "data": "What the pipeline gets as `event.data`.",
    },
    CancelOn: {
        "event": "The event that cancels, or a list of events.",
        "match": "Which of these events: compares a field of `incoming` with something known, or `true`.",
    },
    Step: {
        "id": "The step's name: lower-case letters, digits and `_`. Its result is `steps.ID`.",
        "uses": "Call a handler, with the arguments in `with`.",
        "invoke": "Run another pipeline, with the data in `with`; its output is the step's.",
        "emit": "Send an event once, with the data in `with`.",
        "wait_for": "Wait for events.",
        "sleep": "Wait for a duration or until a timestamp, in the store and not in a worker.",
        "set": "Compute values; the step's output is the map.",
        "steps": "Steps that run in order.",
        "parallel": "Steps that run at the same time; the first failure cancels the rest.",
        "race": "Steps that run at the same time; the first to succeed cancels the rest.",
        "switch": "The first step whose `if` is true runs; one without `if` is the else.",
        "stop": "End the innermost item, round, branch or body, or the run, as succeeded; the value is its output.",
        "fail": "Fail here, like a handler that raised; `${{ error }}` throws an error on.",
        "with": "Arguments of the handler, data of the event or of the invoked pipeline.",
        "output": "Replaces the output of a container.",
        "needs": "Ids of branches above that must have ended before this one starts.",
        "if": "Run only where this is true; else the step is skipped.",
        "foreach": "Run once for each item of a list.",
        "repeat": "Run again until something is true.",
        "collect": "The loop's output, made of `results`.",
        "tolerate": "Failures that do not stop the run: `true`, classes and codes, or a map.",
        "cache": "Reuse the output across runs.",
        "catch": "Handle what the retries did not cure; sees `error`.",
        "finally": "Steps that run in any case, also on cancel.",
        "queue": "The queue in which its attempts wait for a worker.",
        "concurrency": "How many attempts run at once, over all runs.",
        "throttle": "At most so many attempts a period, over all runs; the rest wait.",
        "retry": "When a failed attempt is tried again; on a container, the default of the steps inside.",
        "timeout": "Longest time of one attempt, of the wait, or of the whole container.",
        "undo": "What takes the step back when the run does not succeed.",
    },
    Invoke: {
        "pipeline": "The pipeline to run.",
        "wait": "Whether to wait for its end; if not, the output is `{id}`.",
    },
    Emit: {
        "event": "The event's name.",
        "id": "The event's id; by default it follows from the run and the step.",
        "delay": "How much later it is sent.",
    },
    WaitFor: {
        "event": "The event, or a list of events.",
        "match": "Which of these events: compares a field of `incoming` with something known, or `true`.",
        "since": "`run`: events since the one that started the run; `step`: only later ones than the step's start.",
        "count": "How many events to wait for; above 1 the output is a list.",
    },
    Fail: {
        "class": "`permanent`, `transient`, `resource`, `bug` or `timeout`.",
        "code": "The error's code, such as `order.empty`.",
        "message": "The error's message.",
    },
    Foreach: {
        "in": "The list; an expression.",
        "as": "What expressions call the item.",
        "max_parallel": "How many items run at the same time.",
        "chunk": "Run per list of so many items instead of per item.",
    },
    Repeat: {
        "until": "The loop ends when this is true after a round.",
        "limit": "At most so many rounds.",
        "for": "No longer than this.",
        "every": "Pause between rounds: a duration, or one that grows.",
        "start": "What `last` is in the first round.",
    },
    Pause: {
        "initial": "The first pause.",
        "factor": "Each pause is so many times the one before.",
        "max": "The longest pause.",
        "jitter": _JITTER,
    },
    Tolerate: {
        "failed": "How many items may fail: a count, or a share such as `10%`.",
        "errors": "Only errors of these classes and codes.",
    },
    Cache: {"key": "The same key gives the same output.", "ttl": "How long an output is reused."},
    CatchArm: {
        "errors": "Classes, codes, prefixes such as `stripe.*`, or `all`.",
        "steps": "What to do then.",
        "output": "The step's output in that case.",
    },
    Undo: {
        "uses": "The handler that takes it back.",
        "invoke": "The pipeline that takes it back.",
        "with": "Arguments, computed when the step has succeeded.",
        "retry": "When a failed undo is tried again.",
        "timeout": "Longest time of one attempt.",
        "unknown": "Undo also after an attempt whose outcome is unknown.",
    },
    RetryPolicy: {
        "errors": "Classes, codes and prefixes such as `stripe.*`; by default all but `permanent` and `timeout`.",
        "attempts": "How many attempts, the first included.",
        "initial": "Delay before the second attempt.",
        "factor": "Each delay is so many times the one before; 1 is constant.",
        "max": "The longest delay.",
        "jitter": _JITTER,
        "for": "No attempt starts later than this after the first.",
    },
    Concurrency: {
        "limit": "How many runs are active at once.",
        "key": _PER_KEY,
        "scope": "`pipeline`, or `project`: shared by all that write the same key text with `scope: project`.",
        "on_limit": "What happens to one too many: `wait`, `skip` or `cancel_oldest`.",
        "hold": "`active`: a run gives its place back while it waits; `run`: it keeps it throughout.",
    },
    StepConcurrency: {
        "limit": "How many attempts run at once.",
        "key": _PER_KEY,
        "scope": "`pipeline`, or `project`: shared by all that write the same key text with `scope: project`.",
    },
    Throttle: {
        "limit": "How many starts a period.",
        "period": "The period.",
        "burst": "How many may start at once.",
        "key": _PER_KEY,
    },
    RateLimit: {"limit": "How many starts a period.", "period": "The period.", "key": _PER_KEY},
    Debounce: {
        "period": "How much quiet must follow an event.",
        "max": "The longest wait, however many events come.",
        "key": _PER_KEY,
    },
    Batch: {
        "size": "How many events at most.",
        "period": "How long to wait for them.",
        "key": _PER_KEY,
    },
    Idempotency: {"key": "The same key gives the same run.", "ttl": "How long a key is remembered."},
    ProjectFile: {
        "flowlang": "Version of the language; it is 1.",
        "project": "The project's name.",
        **_SHARED,
        "environments": "Overlays by the value of `FLOWLANG_ENV`: what is written there replaces what stands above.",
        "lint": "Which warnings and infos `flowlang validate` shows.",
    },
    Environment: {
        **_SHARED,
        "lease": "How long a worker holds a step without a sign of life.",
        "retention": "How long ended runs are kept.",
        "durable": "When an event counts as taken: `none`, `fsync` or `replica`.",
    },
    Webhook: {
        "provider": "Whose signatures they are.",
        "secret": "The signing secret, or several while one is replaced: `${{ secrets.NAME }}`.",
        "event": "The event's name; it begins with the webhook's own.",
        "id": "The delivery's id, by which repeated ones are ignored.",
        "data": "The event's data.",
        "dedupe": "How long ids are remembered.",
    },
    Queue: {
        "order": "Queues with a lower number are served first.",
        "share": "The share of each worker's threads that it is sure of, such as `25%`.",
        "limit": "How many of its steps run at once.",
    },
    Defaults: {
        "retry": "The retry policy of steps.",
        "timeout": "Longest time of a run.",
        "retention": "How long ended runs are kept.",
        "allow": "Who may call, cancel and replay.",
        "labels": "Labels of every run.",
    },
    Secrets: {"from": "`env` is the variable NAME, `files` the file that the variable NAME_FILE names."},
    Limits: {
        "event": "Size of an event.",
        "webhook_body": "Size of a webhook's body.",
        "step_output": "Size of a step's output.",
        "run": "All bytes that a run stores.",
        "steps": "Step instances of a run outside loops.",
        "foreach": "Items of one loop.",
        "lookback": "How far back waits look.",
        "cleanup": "How long an ending may take.",
        "dead_letters": "Dead letters that are reported before there are more.",
        "attempts": "Attempts of one step instance.",
    },
    Observe: {
        "slack": "Who is told of dead letters in Slack.",
        "otlp": "Where spans of runs go.",
        "posthog": "Where outcomes of runs go.",
    },
    Slack: {
        "webhook": "An incoming webhook: `${{ secrets.NAME }}`.",
        "channel": "The channel, with a token.",
        "token": "The token: `${{ secrets.NAME }}`.",
        "when": "`dead_letter`, `bug` or both.",
    },
    Otlp: {"url": "The collector's URL.", "headers": "Headers of its requests."},
    Posthog: {"url": "The instance's URL.", "key": "The project's key: `${{ secrets.NAME }}`."},
    Lint: {
        "select": "Codes or prefixes of codes that are shown; `ALL`.",
        "ignore": "Codes or prefixes of codes that are not.",
        "per_file": "Codes that are not shown in files that match a pattern.",
    },
    PipelineTest: {
        "test": "What it shows; unique in its file.",
        "pipeline": "The pipeline that is tested.",
        "description": "More about it.",
        "skip": "Why it is not run.",
        "also": "Other pipelines that take part.",
        "now": "When the virtual clock begins.",
        "env": "What pipelines read as `env`.",
        "secrets": "What pipelines and real handlers read as secrets.",
        "vars": "Replaces vars of the pipeline or project.",
        "given": "What starts runs.",
        "handlers": "What handlers answer, or `real`.",
        "faults": "Crashes of the worker.",
        "when": "What happens later.",
        "then": "What must come of it.",
    },
    Given: _GIVEN,
    When: {
        **_GIVEN,
        "after": "Let so much time go by, with all that is due in it.",
        "cancel": "Cancel the runs of the pipeline that are going on: `true`, or a reason.",
        "then": "Compare now, as at the end.",
    },
    Answer: {
        "return": "The handler's result.",
        "return_file": "A JSON file with the handler's result.",
        "fail": "Fail with this class.",
        "code": "The error's code.",
        "message": "The error's message.",
        "retry_after": "How long the service asked to wait.",
        "snooze": "Come back later, without using an attempt.",
        "real": "Call the project's own handler.",
        "with": "Only for calls with such arguments.",
        "times": "For so many attempts, or `any`.",
    },
    Fault: {
        "crash": "Where the worker is lost.",
        "step": "Around which step instance's attempt.",
        "attempt": "Around which attempt; any by default.",
        "times": "How often.",
    },
    ExpectedError: {
        "class": "Its class.",
        "code": "Its code.",
        "message": "A part of its message.",
        "step": "The step that failed first.",
        "attempts": "How many attempts that step made.",
    },
    ExpectedStep: {
        "status": "How it ended; `absent`: it never came to that.",
        "attempts": "Recorded attempts.",
        "output": "Its output; of a loop, the list.",
        "error": "Its error.",
    },
    ExpectedCalls: {
        "count": "How many calls, of those with such arguments.",
        "with": "Arguments of some of them.",
        "each": "Arguments of each of them, in order.",
    },
    ExpectedEvent: {"event": "The event's name.", "data": "Its data.", "id": "Its id."},
    ExpectedUndo: {"step": "What was taken back.", "status": "How the undo ended."},
    ExpectedRun: _RUN,
    ExpectedRuns: _RUNS,
    Expected: {
        **_RUN,
        "calls": "Calls that were made, by handler: a number, a list of arguments, or a map.",
        "order": "These calls, one behind the other; others may lie between.",
        "emitted": "The events that steps have sent: these, in this order, and no others.",
        "runs": "The runs that were made.",
        "dead_letters": "How many dead letters there are.",
        "check": "Expressions that must be true.",
    },
}


def key_doc(part: type[Part], key: str) -> str | None:
    """The sentence of a key.

    Args:
        part: The map that has it.
        key: As it is written.
    """
    return KEY_DOCS.get(part, {}).get(key)
