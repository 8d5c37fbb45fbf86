"""`flowlang.yaml`: what all pipelines of a project share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from flowlang.model.base import Many, OneOrMany, Optional, Part, found, problem, short
from flowlang.model.fields import (
    Boolean,
    Labels,
    Moment,
    Name,
    NamedValues,
    PositiveDuration,
    Size,
    TemplateText,
    Text,
    choice,
    read_name,
    whole,
)
from flowlang.model.pipeline import Version
from flowlang.model.policy import Retry

_KIB = 1024
_SHARE = re.compile(r"([0-9]{1,3})%", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_EXCEPTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")

ErrorClass = Annotated[
    Literal["transient", "resource", "permanent", "bug"], choice("transient", "resource", "permanent", "bug")
]
Count = Annotated[int, whole(1)]


def _read_webhook_name(value: Any) -> str:
    name = read_name(value)
    if name in {"pipeline", "schedule"}:
        raise problem("FL119", f"takes another name: the events under `{name}/` belong to FlowLang")
    return name


def _read_share(value: Any) -> int:
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 100:
        raise problem("FL104", f"takes a share from `0%` to `100%`; found {found(value)}")
    return int(match[1])


def _read_exception(value: Any) -> str:
    if not isinstance(value, str) or not _EXCEPTION.fullmatch(value):
        raise problem("FL105", f"takes dotted names of Python exceptions; found {found(value)}", "`acme.Unavailable`")
    return value


def _read_map(value: Any) -> Any:
    if not isinstance(value, dict):
        raise problem("FL103", f"takes a map; found {found(value)}")
    return value


def _read_header(value: Any) -> str:
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise problem("FL105", f"takes the name of a header; found {found(value)}", "`X-Signature`")
    return value.lower()


def _read_provider(value: Any) -> str:
    """A name that may be a provider's; whether it is one is looked at with the project."""
    return read_name(value)


ProviderName = Annotated[str, BeforeValidator(_read_provider)]
HeaderName = Annotated[str, BeforeValidator(_read_header)]
Content = Annotated[Literal["json", "form"], choice("json", "form")]


class DatedSecret(Part):
    """A signing secret, and until when it counts."""

    called: ClassVar[str] = "a secret"

    value: TemplateText
    not_after: Optional[Moment] = None


class WebhookOptions(Part):
    """How a webhook's sender signs; which of the keys there are is the provider's."""

    called: ClassVar[str] = "`options`"

    url: Optional[Text] = None
    webhook_id: Optional[Text] = None
    allow_sha1: Boolean = False
    header: Optional[HeaderName] = None
    algorithm: Annotated[
        Literal["sha256", "sha384", "sha512", "sha1"], choice("sha256", "sha384", "sha512", "sha1")
    ] = "sha256"
    encoding: Annotated[Literal["hex", "base64", "base64url"], choice("hex", "base64", "base64url")] = "hex"
    prefix: Text = ""
    timestamp: Optional[HeaderName] = None
    signed: Optional[Text] = None
    tolerance: PositiveDuration = timedelta(minutes=5)
    delivery: Optional[HeaderName] = None
    content: OneOrMany[Content] = ()


class Webhook(Part):
    """A source of events that signs them."""

    called: ClassVar[str] = "a webhook"

    provider: Optional[ProviderName] = None
    secret: Optional[OneOrMany[Annotated[DatedSecret, short("value")]]] = None
    unsigned: Boolean = False
    options: WebhookOptions = WebhookOptions()
    event: TemplateText
    id: Optional[TemplateText] = None
    data: Any = "${{ body }}"
    dedupe: PositiveDuration = timedelta(days=7)


class Queue(Part):
    """When its work is taken, and how much of each worker it is sure of."""

    called: ClassVar[str] = "a queue"

    order: Annotated[int, whole(0)] = 10
    share: Optional[Annotated[int, BeforeValidator(_read_share)]] = None
    limit: Optional[Count] = None


class Defaults(Part):
    """What pipelines have that do not write it themselves."""

    called: ClassVar[str] = "`defaults`"

    retry: Optional[Retry] = None
    timeout: Optional[PositiveDuration] = None
    retention: Optional[PositiveDuration] = None
    allow: Optional[Many[Name]] = None
    labels: Labels = Field(default_factory=dict)


class Secrets(Part):
    """Where secrets are looked up, in this order."""

    called: ClassVar[str] = "`secrets`"

    from_: OneOrMany[Annotated[Literal["env", "files"], choice("env", "files")]] = ("env", "files")


class Limits(Part):
    """Bounds; sizes in bytes."""

    called: ClassVar[str] = "`limits`"

    event: Size = 512 * _KIB
    webhook_body: Size = 1024 * _KIB
    step_output: Size = 4 * 1024 * _KIB
    run: Size = 64 * 1024 * _KIB
    steps: Count = 10_000
    foreach: Count = 100_000
    lookback: PositiveDuration = timedelta(days=7)
    cleanup: PositiveDuration = timedelta(hours=1)
    dead_letters: Count = 100_000
    attempts: Count = 100_000


class Slack(Part):
    """Is told of dead letters, by an incoming webhook or with a token."""

    called: ClassVar[str] = "`slack`"

    webhook: Optional[TemplateText] = None
    channel: Optional[TemplateText] = None
    token: TemplateText = "${{ secrets.SLACK_TOKEN }}"  # noqa: S105 - names one
    when: OneOrMany[Annotated[Literal["dead_letter", "bug"], choice("dead_letter", "bug")]] = ("dead_letter",)


class Otlp(Part):
    """Gets spans of runs and attempts."""

    called: ClassVar[str] = "`otlp`"

    url: TemplateText
    headers: Annotated[dict[str, TemplateText], BeforeValidator(_read_map)] = Field(default_factory=dict)


class Posthog(Part):
    """Gets the outcomes of runs."""

    called: ClassVar[str] = "`posthog`"

    url: TemplateText
    key: TemplateText


class Observe(Part):
    """Who is told of runs."""

    called: ClassVar[str] = "`observe`"

    slack: Optional[Slack] = None
    otlp: Optional[Otlp] = None
    posthog: Optional[Posthog] = None


class Lint(Part):
    """Which findings are reported."""

    called: ClassVar[str] = "`lint`"

    select: Many[Text] = ("ALL",)
    ignore: Many[Text] = ()
    per_file: Annotated[dict[str, Many[Text]], BeforeValidator(_read_map)] = Field(default_factory=dict)


class _Shared(Part):
    """What both the project and the overlay of an environment may say."""

    webhooks: Annotated[
        dict[Annotated[str, BeforeValidator(_read_webhook_name)], Webhook], BeforeValidator(_read_map)
    ] = Field(default_factory=dict)
    queues: Annotated[dict[Name, Queue], BeforeValidator(_read_map)] = Field(default_factory=dict)
    retries: Annotated[dict[Name, Retry], BeforeValidator(_read_map)] = Field(default_factory=dict)
    errors: Annotated[
        dict[Annotated[str, BeforeValidator(_read_exception)], ErrorClass], BeforeValidator(_read_map)
    ] = Field(default_factory=dict)
    vars: NamedValues = Field(default_factory=dict)
    defaults: Defaults = Defaults()
    secrets: Secrets = Secrets()
    observe: Observe = Observe()
    limits: Limits = Limits()


class Environment(_Shared):
    """An overlay: what is written here replaces what the project says."""

    called: ClassVar[str] = "an environment"

    lease: Optional[PositiveDuration] = None
    retention: Optional[PositiveDuration] = None
    durable: Optional[Annotated[Literal["none", "fsync", "replica"], choice("none", "fsync", "replica")]] = None


class ProjectFile(_Shared):
    """The content of `flowlang.yaml`."""

    called: ClassVar[str] = "`flowlang.yaml`"

    flowlang: Version
    project: Name
    environments: Annotated[dict[Name, Environment], BeforeValidator(_read_map)] = Field(default_factory=dict)
    lint: Lint = Lint()
