"""`flowlang webhooks`: what is deployed and what was turned away; a delivery signed as its sender does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowlang.cli.session import OK, REFUSED, Group, Session
from flowlang.cli.shapes import moment, plain
from flowlang.cli.wiring import load_project, service_of
from flowlang.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowlang.handler.env import Secrets
    from flowlang.plan import WebhookSource
    from flowlang.server.signatures.sending import Sent
    from flowlang.service.views import Refusal
    from flowlang.settings import Settings

_ANSWER_S = 30.0

#: What an answer means for whoever set the webhook up.
_MEANINGS = {
    401: "the signature was refused: the server has another secret, or its clock is minutes off; "
    "`flowlang webhooks list` has the reason",
    404: "the server has no such webhook: is the project deployed there?",
    413: "the body is larger than `limits.webhook_body` allows",
    415: "the webhook takes no body of this kind",
    503: "the server cannot take it now; a sender would send it again",
}


@click.group("webhooks", cls=Group)
def command() -> None:
    """List webhooks and what they turned away; sign and send a delivery."""


@command.command("list")
@click.pass_obj
def list_webhooks(session: Session) -> None:
    """List the webhooks that are deployed, their secrets, and what was turned away.

    Whether a secret is set is said of this process's environment, which the server's may differ from.
    """
    from flowlang.clock import SystemClock  # noqa: PLC0415 - only where it is needed
    from flowlang.handler.env import Env  # noqa: PLC0415 - the same

    with service_of(session) as service:
        manifest = service.catalog.manifest
        refusals = service.refusals()
    secrets = Env(places=lambda: manifest.secrets).secrets
    now_ms = SystemClock().now_ms()
    rows = [_row(source, secrets, now_ms, refusals) for source in manifest.webhooks]
    if session.as_json:
        session.console.document({"webhooks": rows, "refusals": plain(refusals)})
        return
    session.console.table(
        ["WEBHOOK", "PROVIDER", "ADDRESS", "SECRETS", "REFUSED"],
        [[row["name"], row["provider"], row["path"], _said(row), str(row["refused"])] for row in rows],
    )
    if not rows:
        session.console.say("no webhooks")
    if refusals:
        session.console.out("")
        session.console.table(
            ["WEBHOOK", "REFUSED BECAUSE", "COUNT", "FIRST", "LAST"],
            [
                [each.webhook, each.reason, str(each.count), moment(each.first_at), moment(each.last_at)]
                for each in refusals
            ],
        )


def _row(source: WebhookSource, secrets: Secrets, now_ms: int, refusals: Sequence[Refusal]) -> dict[str, Any]:
    from flowlang.server.signatures import SecretError  # noqa: PLC0415 - brings cryptography
    from flowlang.server.signatures.keys import load_keys  # noqa: PLC0415 - the same

    problem = None
    try:
        load_keys(source, secrets, now_ms // 1000)
    except SecretError as error:
        problem = str(error)
    return {
        "name": source.name,
        "provider": source.provider,
        "path": f"/hooks/{source.name}",
        "secrets": [{"name": name, "status": _status(source, name, secrets, now_ms)} for name in source.secrets],
        "problem": problem,
        "refused": sum(each.count for each in refusals if each.webhook == source.name),
    }


def _status(source: WebhookSource, name: str, secrets: Secrets, now_ms: int) -> str:
    """`set`, `missing`, or `ended` for one that no longer counts."""
    if name in source.until and source.until[name] < now_ms:
        return "ended"
    return "set" if name in secrets else "missing"


def _said(row: dict[str, Any]) -> str:
    said = ", ".join(f"{each['name']} {each['status']}" for each in row["secrets"]) or "none"
    is_known = row["problem"] is None or any(each["status"] == "missing" for each in row["secrets"])
    return said if is_known else f"{said} ({row['problem']})"


@command.command("test")
@click.argument("name")
@click.option(
    "-f",
    "--file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help="The body: JSON, or - for stdin.",
)
@click.option("--url", help="Of the server.  [default: that of `flowlang serve` with these settings]")
@click.option("--id", "ident", help="The delivery's id, for senders that have one in a header.  [default: a new one]")
@click.pass_obj
def test(session: Session, name: str, file: Path, url: str | None, ident: str | None) -> int:
    """Sign a body as its sender does, send it, and say what came of it.

    How it is signed is read from the project in this folder, the secret from the same variable as the server's.
    """
    from flowlang.clock import random_token  # noqa: PLC0415 - only where it is needed

    settings = session.settings()
    source, places = _source(settings, name)
    with click.open_file(str(file), "rb") as opened:
        body = opened.read()
    sent = _signed(source, places, body, ident or f"test-{random_token(8)}")
    base = (url or _address(settings)).rstrip("/")
    query = f"?{sent.query}" if sent.query else ""
    status, answer = _post(f"{base}/hooks/{name}{query}", sent.headers, sent.body)
    taken = 200 <= status < 300
    if session.as_json:
        session.console.document({"webhook": name, "status": status, "taken": taken, "answer": answer})
    elif not taken:
        session.console.fail(f"{name}: answered {status}: {_MEANINGS.get(status, answer)}")
    else:
        if answer:
            session.console.out(answer)
        kept = '"status":"dead_letter"' in answer
        came = "kept as a dead letter: `flowlang dead-letters list` says why" if kept else "taken"
        session.console.say(f"{name}: answered {status}: {came}")
    return OK if taken else REFUSED


def _source(settings: Settings, name: str) -> tuple[WebhookSource, tuple[str, ...]]:
    """A webhook of the project in this folder, and where its secrets are looked up."""
    manifest = load_project(settings).manifest
    if manifest is None:
        raise ConfigError("the project has errors: see `flowlang validate`")
    for source in manifest.webhooks:
        if source.name == name:
            return source, manifest.secrets
    names = ", ".join(each.name for each in manifest.webhooks) or "none"
    raise ConfigError(f"the project has no webhook {name!r}; it has {names}")


def _signed(source: WebhookSource, places: tuple[str, ...], body: bytes, ident: str) -> Sent:
    from flowlang.clock import SystemClock  # noqa: PLC0415 - only where it is needed
    from flowlang.handler.env import Env  # noqa: PLC0415 - the same
    from flowlang.server.signatures.keys import load_keys, valid  # noqa: PLC0415 - brings cryptography
    from flowlang.server.signatures.sending import sent  # noqa: PLC0415 - the same

    now_s = SystemClock().now_ms() // 1000
    keys = valid(load_keys(source, Env(places=lambda: places).secrets, now_s), now_s)
    return sent(source, body, keys, now_s, ident)


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.http_host, settings.http_host)  # noqa: S104 - not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"


def _post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    import httpx  # noqa: PLC0415 - only where it is needed

    try:
        with httpx.Client(trust_env=False, timeout=_ANSWER_S) as client:
            response = client.post(url, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(f"no server answers at {url.partition('/hooks/')[0]}: {error}") from error
    return response.status_code, response.text
