"""What people write who come from other tools, and what they mean: keys of GitHub Actions, Kestra, Inngest and others.

Only hints are here: that a key is unknown, the models say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_STATE: Final = "there are no states: steps run in the order in which they are written; choose with `switch`"
_TASK: Final = "a step calls a function of yours: `uses: group.name`, a `@handler` in `handlers/`"
_RUNNER: Final = "steps run in your own workers; leave it out"

#: Name of a model → key → what is meant.
KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "Pipeline": {
        "on": "`triggers: [{event: name}]` says what starts a pipeline; a schedule is `{cron: …}`",
        "schedule": 'a schedule is a trigger: `triggers: [{cron: "0 3 * * *"}]`',
        "cron": 'a schedule is a trigger: `triggers: [{cron: "0 3 * * *"}]`',
        "event": "`triggers: [{event: name}]` says what starts a pipeline",
        "jobs": "a pipeline is one list of `steps`; what runs at the same time stands in `parallel`",
        "tasks": "the work is a list of `steps`",
        "name": "its name is `pipeline: name`, its purpose `description: text`",
        "id": "its name is `pipeline: name`",
        "namespace": "a project is a folder with a `flowlang.yaml`; leave it out",
        "env": "values are `vars`, and there `${{ env.NAME }}` can be read",
        "variables": "values are `vars`",
        "inputs": "`input` is the JSON Schema of a call's data",
        "outputs": "`output` is the run's result",
        "timeout-minutes": "a duration has a unit: `timeout: 30m`",
        "TimeoutSeconds": "a duration has a unit: `timeout: 30s`",
        "retries": "`retry: {attempts: 5}` is the default of its steps",
        "errors": "`on_failure` is a list of steps that run when the run has failed",
        "onFailure": "`on_failure` is a list of steps that run when the run has failed",
        "StartAt": _STATE,
        "States": _STATE,
        "permissions": "who may call it says `allow`",
    },
    "Step": {
        "name": "`id: name` is what expressions call it",
        "run": _TASK,
        "type": _TASK,
        "action": _TASK,
        "task": _TASK,
        "script": _TASK,
        "handler": _TASK,
        "step.run": _TASK,
        "Type": _TASK,
        "Resource": _TASK,
        "args": "arguments of a handler stand below `with`",
        "params": "arguments of a handler stand below `with`",
        "parameters": "arguments of a handler stand below `with`",
        "Parameters": "arguments of a handler stand below `with`",
        "inputs": "arguments of a handler stand below `with`",
        "env": "arguments of a handler stand below `with`; it reads secrets as `ctx.secrets`",
        "data": "the data of an event or of another pipeline stands below `with`",
        "continue-on-error": "`tolerate: true` lets the run go on when the step fails",
        "allowFailure": "`tolerate: true` lets the run go on when the step fails",
        "timeout-minutes": "a duration has a unit: `timeout: 30m`",
        "TimeoutSeconds": "a duration has a unit: `timeout: 30s`",
        "retries": "`retry: {attempts: 5}` says how often it is tried",
        "attempts": "`retry: {attempts: 5}` says how often it is tried",
        "Retry": "`retry: {attempts: 5}` says how often it is tried",
        "Catch": "`catch` is a list of `{errors, steps}`",
        "errors": "`catch: {steps: […]}` handles what the retries did not cure",
        "on_error": "`catch: {steps: […]}` handles what the retries did not cure",
        "on_failure": "of a step it is `catch`; `on_failure` is of the whole pipeline",
        "depends_on": "steps of a list run in order; branches of a `parallel` wait for others by `needs: [id]`",
        "dependsOn": "steps of a list run in order; branches of a `parallel` wait for others by `needs: [id]`",
        "runs-on": _RUNNER,
        "container": _RUNNER,
        "strategy": "`foreach: {in: list, as: item}` runs a step once for each item",
        "matrix": "`foreach: {in: list, as: item}` runs a step once for each item",
        "with_items": "`foreach: {in: list, as: item}` runs a step once for each item",
        "loop": "`foreach: {in: list}` runs a step once for each item; `repeat` runs it until something is true",
        "when": "`if: condition` says when it runs",
        "condition": "`if: condition` says when it runs",
        "else": "in a `switch`, the step without `if` is the else",
        "outputs": "its output is what the handler returns",
        "Next": _STATE,
        "End": _STATE,
        "ResultPath": "a step's result is `steps.ID.output`",
        "step.sleep": "`sleep: 5m` waits in the store",
        "step.waitForEvent": "`wait_for: {event: name, match: …}` waits for an event",
        "wait": "`sleep: 5m` waits for a time, `wait_for: {event: name, match: …}` for an event",
        "delay": "`sleep: 5m` waits in the store",
        "step.invoke": "`invoke: pipeline` runs another pipeline",
        "step.sendEvent": "`emit: name` sends an event",
    },
}


def meant_by(model: str, key: str) -> str | None:
    """What somebody means by a key that the language does not have.

    Args:
        model: Name of the model of the map.
        key: The key.
    """
    return KEYS.get(model, {}).get(key)
