"""`mail.send`: a mail by SMTP.

Read from the environment: `SMTP_HOST`, `SMTP_PORT`, `SMTP_SECURITY` (`starttls`, `tls` or `none`), `SMTP_FROM` and
`SMTP_USER`; and `SMTP_PASSWORD`, also from the file that `SMTP_PASSWORD_FILE` names.
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime, parseaddr
from typing import Final

from flowlang import Context, Permanent, Transient, handler

PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
MAX_RECIPIENTS: Final = 50  #: of one mail
LONGEST_S: Final = 30.0  #: that the server may say nothing


@dataclass(frozen=True, slots=True)
class Sent:
    """The mail's Message-ID, and who of several recipients was refused."""

    id: str
    refused: list[str]


@handler("mail.send", effect="keyed", timeout="1m")
def send(
    to: str | list[str],
    subject: str,
    ctx: Context,
    *,
    text: str | None = None,
    html: str | None = None,
    sender: str | None = None,
    reply_to: str | None = None,
) -> Sent:
    """Send a mail of text, of HTML, or of both as one another's alternative.

    Its Message-ID follows from the step, so that a mail that was sent twice can be told from two.

    Args:
        to: One recipient or several: `ada@example.com` or `Ada <ada@example.com>`.
        subject: On one line.
        ctx: The attempt.
        text: The mail as plain text.
        html: The mail as HTML.
        sender: Whom it is from; `SMTP_FROM` by default.
        reply_to: Whom answers go to.
    """
    author = _address(sender or ctx.env["SMTP_FROM"])
    message = _content(text, html)
    message["From"] = author
    message["To"] = _recipients([to] if isinstance(to, str) else to)
    if reply_to is not None:
        message["Reply-To"] = _address(reply_to)
    message["Subject"] = _line(subject)
    message["Date"] = format_datetime(ctx.deadline - timedelta(seconds=ctx.remaining()))
    name = hashlib.sha256(f"mail {ctx.idempotency_key}".encode()).hexdigest()[:40]
    message["Message-ID"] = f"<{name}@{author.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    with _classes(), _connection(ctx) as server:
        refused = server.send_message(message)
    return Sent(str(message["Message-ID"]), sorted(refused))


def _content(text: str | None, html: str | None) -> EmailMessage:
    message = EmailMessage(policy=POLICY)
    if text is not None:
        message.set_content(text)
    if html is not None and text is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    elif text is None:
        raise Permanent("a mail has `text`, `html`, or both", code="mail.empty")
    return message


def _recipients(to: list[str]) -> list[Address]:
    if not 1 <= len(to) <= MAX_RECIPIENTS:
        raise Permanent(f"a mail has 1 to {MAX_RECIPIENTS} recipients, not {len(to)}", code="mail.recipients")
    return [_address(each) for each in to]


def _line(subject: str) -> str:
    if not subject.isprintable():
        raise Permanent("a subject is one line of text", code="mail.header")
    return subject


def _address(text: str) -> Address:
    """Read an address; what could begin another header, or name a second address, is none."""
    name, spec = parseaddr(text)
    user, _, domain = spec.rpartition("@")
    plain = spec.isascii() and spec.isprintable() and not set(' ,;:<>()[]\\"') & set(spec)
    named = text.strip() == spec or (text.strip().endswith(f"<{spec}>") and text.count("<") == 1)
    if user and domain and plain and named and name.isprintable() and text.isprintable():
        with contextlib.suppress(HeaderParseError, ValueError, IndexError):
            return Address(name, user, domain)
    raise Permanent(f"{text[:100]!r} is no address of mail, such as `Ada <ada@example.com>`", code="mail.address")


@contextmanager
def _connection(ctx: Context) -> Iterator[smtplib.SMTP]:
    """Connect to the server, protected and logged in as the settings say."""
    security = ctx.env.get("SMTP_SECURITY", "starttls").lower()
    if security not in PORTS:
        raise Permanent("SMTP_SECURITY is `starttls`, `tls` or `none`", code="setting.wrong")
    port = ctx.env.get("SMTP_PORT", str(PORTS[security]))
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65_535):
        raise Permanent("SMTP_PORT is a number from 1 to 65535", code="setting.wrong")
    host, user = ctx.env["SMTP_HOST"], ctx.env.get("SMTP_USER")
    if user is not None and security == "none":
        raise Permanent("SMTP_USER and its password are sent over `starttls` or `tls` alone", code="setting.wrong")
    wait = max(0.1, min(LONGEST_S, ctx.remaining()))
    tls = ssl.create_default_context(cafile=ctx.env.get("SSL_CERT_FILE"))
    server = (
        smtplib.SMTP_SSL(host, int(port), timeout=wait, context=tls)
        if security == "tls"
        else smtplib.SMTP(host, int(port), timeout=wait)
    )
    try:
        if security == "starttls":
            server.starttls(context=tls)
        if user is not None:
            server.login(user, ctx.secrets["SMTP_PASSWORD"])
        yield server
    finally:  # a mail that was taken stays taken, however badly we part
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


@contextmanager
def _classes() -> Iterator[None]:
    """Give what an SMTP server refuses its class: 4xx passes, 5xx does not."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _refusal(max(codes, default=550), "all recipients were refused") from None
    except smtplib.SMTPNotSupportedError as error:
        raise Permanent(f"the server cannot do what the settings want: {error}", code="mail.unsupported") from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(error.smtp_code, type(error).__name__) from None
    except smtplib.SMTPServerDisconnected as error:
        raise Transient(f"the mail server hung up: {error}", code="mail.network") from None


def _refusal(code: int, what: str) -> Permanent | Transient:
    kind = Permanent if 500 <= code <= 599 else Transient
    return kind(f"the mail server refused the mail with {code}: {what}", code=f"mail.{code}")
