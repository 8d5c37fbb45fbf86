"""`mail.send` against a real SMTP server: protection, login, refusals, and what a mail looks like on its way."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang import Permanent
from flowlang.integrations.mail import _address, send
from tests.built_in.asking import call, failure


@dataclass(slots=True)
class Post:
    """An SMTP server's side of things: what it is to say, and what it got.

    Attributes:
        sender: Answer to a sender, in place of 250.
        recipients: Answers to recipients by address.
        data: Answer to a mail.
        taken: The mails, with their recipients.
        protected: For each mail, whether its connection was encrypted.
        logins: Users and passwords that were given.
    """

    sender: str | None = None
    recipients: dict[str, str] = field(default_factory=dict)
    data: str | None = None
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    protected: list[bool] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802 - the names are aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.sender is not None:
            return self.sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.recipients:
            return self.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data is not None:
            return self.data
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append((list(envelope.rcpt_tos), message))
        assert server.transport is not None
        self.protected.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's context for `localhost`, and the certificate that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2099, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("smtp")
    pem, secret = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context, pem


@contextmanager
def posting(
    post: Post, certificate: tuple[ssl.SSLContext, Path] | None, security: str = "starttls"
) -> Iterator[dict[str, str]]:
    """Run the server, and give the settings to reach it by."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options: dict[str, Any] = {}
    if certificate is not None and security == "starttls":
        options = {"tls_context": certificate[0], "require_starttls": True}
    if certificate is not None and security == "tls":
        options = {"ssl_context": certificate[0]}
    controller = Controller(
        post,
        hostname="127.0.0.1",
        port=port,
        authenticator=post.authenticate,
        auth_require_tls=security != "tls",
        **options,
    )
    controller.start()
    try:
        yield {
            "SMTP_HOST": "localhost" if certificate else "127.0.0.1",
            "SMTP_PORT": str(port),
            "SMTP_SECURITY": security,
            "SMTP_FROM": "Shop <shop@example.com>",
            **({"SSL_CERT_FILE": str(certificate[1])} if certificate else {}),
        }
    finally:
        controller.stop()


MAIL = {"to": "ada@example.com", "subject": "Paid", "text": "Thank you"}


def test_a_mail_arrives_as_it_was_written(certificate: Any) -> None:
    post = Post()
    arguments = {
        "to": ["Ada Müller <ada@example.com>", "bob@example.com"],
        "subject": "Grüße €",
        "text": "Hällo\n.\nend",
        "html": "<p>Hällo</p>",
        "reply_to": "help@example.com",
    }
    with posting(post, certificate) as env:
        said = call(send, arguments, env=env)
    ((recipients, message),) = post.taken
    assert recipients == ["ada@example.com", "bob@example.com"]
    assert post.protected == [True]
    assert message["From"] == "Shop <shop@example.com>"
    assert str(message["To"]) == "Ada Müller <ada@example.com>, bob@example.com"
    assert message["Reply-To"] == "help@example.com"
    assert message["Subject"] == "Grüße €"
    assert message["Message-ID"] == said["id"]
    assert said["refused"] == []
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == ["Hällo", ".", "end"]
    assert html.get_content().strip() == "<p>Hällo</p>"


def test_a_repeated_attempt_sends_the_same_message_id_and_another_step_another() -> None:
    post = Post()
    with posting(post, None, "none") as env:
        ids = [call(send, MAIL, env=env, key=key)["id"] for key in ("step-1", "step-1", "step-2")]
    assert ids[0] == ids[1] != ids[2]
    assert [message["Message-ID"] for _, message in post.taken] == ids
    assert all(each.endswith("@example.com>") and "step" not in each for each in ids)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_user_logs_in_over_a_protected_connection(certificate: Any, security: str) -> None:
    post = Post()
    with posting(post, certificate, security) as env:
        call(send, MAIL, env={**env, "SMTP_USER": "shop"}, secrets={"SMTP_PASSWORD": "right"})
        failed = failure(send, MAIL, env={**env, "SMTP_USER": "shop"}, secrets={"SMTP_PASSWORD": "wr0ng-pass"})
    assert post.logins[0] == (b"shop", b"right")
    assert post.protected == [True]
    assert (failed.error_class, failed.code) == ("permanent", "mail.535")
    assert "wr0ng-pass" not in failed.message


def test_a_password_is_never_sent_in_the_open() -> None:
    post = Post()
    with posting(post, None, "none") as env:
        failed = failure(send, MAIL, env={**env, "SMTP_USER": "shop"}, secrets={"SMTP_PASSWORD": "right"})
        assert (failed.error_class, failed.code) == ("permanent", "setting.wrong")
        failed = failure(send, MAIL, env={**env, "SMTP_SECURITY": "starttls"})  # the server has no STARTTLS
    assert (failed.error_class, failed.code) == ("permanent", "mail.unsupported")
    assert (post.taken, post.logins) == ([], [])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_nothing(certificate: Any, security: str) -> None:
    post = Post()
    with posting(post, certificate, security) as env:
        strangers = {name: value for name, value in env.items() if name != "SSL_CERT_FILE"}
        failed = failure(send, MAIL, env=strangers)
        other_name = failure(send, MAIL, env={**env, "SMTP_HOST": "127.0.0.1"})
    assert (failed.error_class, failed.code) == ("permanent", "os.certificate")
    assert (other_name.error_class, other_name.code) == ("permanent", "os.certificate")
    assert post.taken == []


REFUSALS = [
    (Post(sender="550 no such sender"), "permanent", "mail.550"),
    (Post(sender="451 try later"), "transient", "mail.451"),
    (Post(recipients={"ada@example.com": "550 no such user"}), "permanent", "mail.550"),
    (Post(recipients={"ada@example.com": "450 greylisted"}), "transient", "mail.450"),
    (Post(data="552 too large"), "permanent", "mail.552"),
    (Post(data="452 disk full"), "transient", "mail.452"),
]


@pytest.mark.parametrize(
    ("post", "error_class", "code"),
    REFUSALS,
    ids=[code for *_, code in REFUSALS[:2]] + ["rcpt-550", "rcpt-450", "552", "452"],
)
def test_a_refusal_has_the_class_of_its_number(post: Post, error_class: str, code: str) -> None:
    with posting(post, None, "none") as env:
        failed = failure(send, MAIL, env=env)
    assert (failed.error_class, failed.code) == (error_class, code)
    assert post.taken == []


def test_one_recipient_of_two_may_be_refused() -> None:
    post = Post(recipients={"bob@example.com": "550 gone"})
    with posting(post, None, "none") as env:
        said = call(send, {**MAIL, "to": ["ada@example.com", "bob@example.com"]}, env=env)
    assert said["refused"] == ["bob@example.com"]
    assert [recipients for recipients, _ in post.taken] == [["ada@example.com"]]


def test_nobody_at_the_port_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_FROM": "a@example.com"}
    assert failure(send, MAIL, env=env).error_class == "transient"


INJECTIONS = [
    {"subject": "Paid\r\nBcc: all@example.com"}, {"subject": "Paid\nX: y"}, {"subject": "Paid\u2028X: y"}, {"to": "ada@example.com\r\nBcc: b@example.com"},
    {"to": "ada@example.com, bob@example.com"}, {"to": "ada@example.com;bob@example.com"}, {"to": "ada@example.com bob@example.com"},
    {"to": "<ada@example.com> <bob@example.com>"}, {"to": "Ada\r\n <ada@example.com>"}, {"to": "ada"}, {"to": ""}, {"to": "ada@"}, {"to": "@example.com"},
    {"to": "ada@example.com> SIZE=1"}, {"to": "a@b@example.com\n"}, {"to": "group: ada@example.com;"}, {"to": []}, {"to": ["a@example.com"] * 51},
    {"reply_to": "a@example.com\nBcc: b@example.com"}, {"sender": "Shop\n <a@example.com>"}, {"sender": "a@example.com\r\nDATA"}, {"text": None},
]  # fmt: skip


@pytest.mark.parametrize("wrong", INJECTIONS, ids=range(len(INJECTIONS)))
def test_what_would_begin_another_header_or_command_is_refused(wrong: dict[str, Any]) -> None:
    post = Post()
    with posting(post, None, "none") as env:
        failed = failure(send, {**MAIL, **wrong}, env=env)
    assert failed.error_class == "permanent"
    assert failed.code in {"mail.header", "mail.address", "mail.recipients", "mail.empty"}
    assert post.taken == []


@given(st.text(max_size=40))
@settings(max_examples=200)
def test_a_text_is_one_address_or_none(text: str) -> None:
    try:
        address = _address(text)
    except Permanent:
        return
    assert address.addr_spec in text
    assert address.addr_spec.count("@") == 1
    assert not set("\r\n ,;") & set(address.addr_spec)


@pytest.mark.parametrize(("setting", "code"), [
    ({"SMTP_SECURITY": "ssl"}, "setting.wrong"), ({"SMTP_PORT": "smtp"}, "setting.wrong"), ({"SMTP_PORT": "0"}, "setting.wrong"),
    ({"SMTP_FROM": "nobody"}, "mail.address"),
])  # fmt: skip
def test_wrong_settings_say_what_would_be_right(setting: dict[str, str], code: str) -> None:
    env = {"SMTP_HOST": "127.0.0.1", "SMTP_FROM": "a@example.com", **setting}
    failed = failure(send, MAIL, env=env)
    assert (failed.error_class, failed.code) == ("permanent", code)


def test_a_missing_setting_is_named() -> None:
    assert "SMTP_FROM" in failure(send, MAIL).message
    assert "SMTP_HOST" in failure(send, MAIL, env={"SMTP_FROM": "a@example.com"}).message
