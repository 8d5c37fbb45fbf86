"""`observe` of `flowlang.yaml`: its templates are checked, and its secrets are named."""

from __future__ import annotations

from collections.abc import Mapping

from flowlang.compiler.expressions import Checker, Place
from flowlang.compiler.findings import Findings
from flowlang.compiler.webhooks import secret_name
from flowlang.model import Path, ProjectFile
from flowlang.model.project_file import Slack
from flowlang.plan import Observe, OtlpReceiver, PosthogReceiver, SlackReceiver

_PLACE = Place(frozenset({"secrets", "env"}))

#: Keys that hold a secret and nothing else.
_SECRETS = (("slack", "webhook"), ("slack", "token"), ("posthog", "key"))


def lower_observe(project: ProjectFile, findings: Findings, environ: Mapping[str, str] | None) -> Observe | None:
    """Check and lower `observe`.

    Args:
        project: `flowlang.yaml`.
        findings: Where to report.
        environ: Variables, when they must be there.

    Returns:
        What is to be deployed; None when nobody is told anything.
    """
    written = project.observe
    checker = Checker(findings, frozenset(), environ)
    for receiver, keys in (("slack", ("webhook", "channel", "token")), ("otlp", ("url",)), ("posthog", ("url", "key"))):
        part = getattr(written, receiver)
        for key in keys:
            if part is not None and part.has(key):
                path: Path = ("observe", receiver, key)
                checker.value(getattr(part, key), path, _PLACE)
                if (receiver, key) in _SECRETS:
                    secret_name(getattr(part, key), path, findings)
    slack, otlp, posthog = written.slack, written.otlp, written.posthog
    if otlp is not None:
        checker.value(otlp.headers, ("observe", "otlp", "headers"), _PLACE)
    if slack is not None and slack.webhook is None and slack.channel is None:
        message = "`slack` has neither `webhook` nor `channel`: there is nowhere to write to"
        hint = "`channel: ops` with the secret SLACK_TOKEN, or `webhook: ${{ secrets.NAME }}`"
        findings.at(("observe", "slack"), "FL102", message, key=True, hint=hint)
    if slack is None and otlp is None and posthog is None:
        return None
    return Observe(
        slack=None if slack is None else _slack(slack),
        otlp=None if otlp is None else OtlpReceiver(otlp.url, dict(otlp.headers)),
        posthog=None if posthog is None else PosthogReceiver(posthog.url, posthog.key),
        env={name: (environ or {}).get(name, "") for name in sorted(checker.env_read)},
    )


def _slack(slack: Slack) -> SlackReceiver:
    if slack.webhook is not None:
        return SlackReceiver(slack.when, webhook=slack.webhook)
    return SlackReceiver(slack.when, channel=slack.channel or "", token=slack.token)
