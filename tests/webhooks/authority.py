"""Certificates made on the fly: a root, those that it vouches for, and PayPal's; and what is wrong with others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import Store

NAME = "messageverificationcerts.paypal.com"
_BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
_ENDS = datetime(2040, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Authority:
    """Who may vouch for others, or says so."""

    name: str
    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A key, the same one for the same name."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def made(
    name: str,
    by: Authority | None,
    *,
    may_vouch: bool,
    hosts: tuple[str, ...] = (),
    begins: datetime = _BEGAN,
    ends: datetime = _ENDS,
    public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None = None,
    use: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Authority:
    """A certificate of a name, by somebody or by itself."""
    own = key(name)
    signer, issuer = (own, name) if by is None else (by.key, by.name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(public or own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=may_vouch, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if may_vouch:
        signs = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
            key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = builder.add_extension(signs, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return Authority(name, own, builder.sign(signer, SHA256()))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@cache
def root() -> Authority:
    """Who is trusted."""
    return made("root", None, may_vouch=True)


@cache
def stranger() -> Authority:
    """Who is not."""
    return made("stranger", None, may_vouch=True)


@cache
def between() -> Authority:
    """For whom the root vouches, and who vouches for PayPal."""
    return made("between", root(), may_vouch=True)


@cache
def roots() -> Store:
    """What stands for the roots that all trust."""
    return Store([root().certificate])


@cache
def certificate(name: str = NAME, begins_s: int | None = None, days: int = 30) -> bytes:
    """PayPal's certificate, or one of another name, with what vouches for it."""
    begins = _BEGAN if begins_s is None else datetime.fromtimestamp(begins_s, UTC)
    ends = _ENDS if begins_s is None else begins + timedelta(days=days)
    leaf = made("paypal", between(), may_vouch=False, hosts=(name,), begins=begins, ends=ends)
    return leaf.pem + between().pem
