"""Whether a certificate is its owner's: from it, by others that vouch, to a root that is trusted.

The certificates come from outside, so nothing in them may raise: they are read one by one, and refused with a reason.
Paths are looked for by `cryptography`, with the rules of the web for servers: names, times, uses, and who may vouch.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from flowlang.server.signatures.verdict import Refused

_MOST = 10  #: certificates that come together; a server sends two or three
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


def roots_of(certificates: Iterable[bytes]) -> Store | None:
    """Those that are trusted to vouch for others.

    Args:
        certificates: In DER. One that cannot be read vouches for nobody, and does not keep the others from it.

    Returns:
        None when there are none.
    """
    found = []
    with warnings.catch_warnings():  # some public roots are older than the rules on serial numbers
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for each in certificates:
            try:
                found.append(x509.load_der_x509_certificate(each))
            except Exception:  # noqa: BLE001, S112 - see `vouched`
                continue
    return Store(found) if found else None


def vouched(
    pem: bytes, owns: Callable[[str], bool], roots: Store | None, now_s: int
) -> CertificatePublicKeyTypes | Refused:
    """Find the certificate of an owner, and judge whether it is one; never raises.

    Args:
        pem: It, and those that vouch for it, in any order.
        owns: Whether the owner has a name of a host.
        roots: That are trusted.
        now_s: Seconds since the epoch.

    Returns:
        The owner's key, or why there is none to go by.
    """
    try:
        texts = _PEM.findall(pem)
        if not 0 < len(texts) <= _MOST:
            return Refused("the certificate cannot be read")
        found = [x509.load_pem_x509_certificate(text) for text in texts]
        named = [(each, name) for each in found for name in _hosts(each) if owns(name)]
        now = datetime.fromtimestamp(now_s, UTC)
        if not named:
            return Refused("the certificate is somebody else's")
        leaf, name = named[0]
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            return Refused("the certificate is not valid now")
        if roots is None:
            return Refused("there is no root to trust")
        others = [each for each in found if each is not leaf]
        PolicyBuilder().store(roots).time(now).build_server_verifier(x509.DNSName(name)).verify(leaf, others)
        return leaf.public_key()
    except VerificationError:
        return Refused("nobody who is trusted vouches for the certificate")
    except Exception:  # noqa: BLE001 - a stranger writes the bytes, and what reads them has errors of many kinds
        return Refused("the certificate cannot be read")


def _hosts(certificate: x509.Certificate) -> list[str]:
    """The host names that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)
