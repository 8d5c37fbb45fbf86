"""Webhook signatures against published vectors, the providers' own libraries, and whatever a stranger may send."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import stripe
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Store
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.model.providers import PROVIDERS
from flowlang.plan import WebhookOptions
from flowlang.server.signatures import SCHEMES, Context, Refused, SecretError, Verdict, Verified
from flowlang.server.signatures.chains import roots_of
from flowlang.server.signatures.paypal import certificate_url
from flowlang.server.signatures.slack import challenge
from flowlang.server.signatures.verdict import mac_hex
from tests.webhooks.authority import NAME, Authority, between, certificate, made, root, roots, stranger
from tests.webhooks.mutations import SIGNED, genuine
from tests.webhooks.senders import COVERING, NOW, OPTIONS, SECRETS, TIMED, keys_of, signed
from tests.webhooks.vectors import VECTORS, vectors, verdict

bodies = st.text().map(lambda text: text.encode("utf-8", "replace"))
ROOTS = roots()
OVER = made("over", root(), may_vouch=True, ends=datetime(2021, 1, 1, tzinfo=UTC))
MAY_NOT = made("may-not", between(), may_vouch=False, hosts=("example.com",))
SECRETIVE = [name for name in SECRETS if SCHEMES[name].secret]


def published() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{VECTORS} is not here"))]
    return [pytest.param(case, id=case["id"]) for case in vectors()]


@pytest.mark.parametrize("case", published())
def test_published_deliveries_are_judged_as_published(case: dict[str, Any]) -> None:
    assert isinstance(verdict(case), Verified) is case["valid"], verdict(case)


def test_what_a_project_may_name_is_what_can_be_verified() -> None:
    assert set(PROVIDERS) == set(SCHEMES) == set(SECRETS)
    assert {name: known.secret for name, known in PROVIDERS.items()} == {
        name: scheme.secret for name, scheme in SCHEMES.items()
    }


@settings(max_examples=100)
@given(bodies, st.integers(NOW - 300, NOW + 300))
def test_stripes_own_library_and_ours_sign_and_verify_alike(body: bytes, at: int) -> None:
    scheme = SCHEMES["stripe"]
    secret = SECRETS["stripe"][0]
    theirs = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    assert scheme.sign(body, keys_of("stripe")[0], at, "") == {"stripe-signature": theirs}
    assert scheme.verify({"stripe-signature": theirs}, body, keys_of("stripe"), NOW) == Verified()
    assert stripe.WebhookSignature.verify_header(body, theirs, secret) is True


@settings(max_examples=100)
@given(bodies, st.integers(NOW - 300, NOW + 300), st.from_regex(r"msg_[A-Za-z0-9]{1,30}", fullmatch=True))
def test_the_standard_library_and_ours_sign_alike(body: bytes, at: int, ident: str) -> None:
    scheme = SCHEMES["standard-webhooks"]
    key = keys_of("standard-webhooks")[0]
    theirs = standardwebhooks.Webhook(SECRETS["standard-webhooks"][0]).sign(
        ident, datetime.fromtimestamp(at, UTC), body.decode()
    )
    headers = scheme.sign(body, key, at, ident)
    assert headers == {"webhook-id": ident, "webhook-timestamp": str(at), "webhook-signature": theirs}
    assert scheme.verify(headers, body, [key], NOW) == Verified(ident)


@pytest.mark.parametrize("provider", SECRETS)
def test_what_is_signed_now_is_taken(provider: str) -> None:
    assert isinstance(signed(provider).verdict(), Verified)


@pytest.mark.parametrize("provider", TIMED)
@pytest.mark.parametrize(("offset", "taken"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_the_window_is_five_minutes_in_both_directions(provider: str, offset: int, taken: bool) -> None:
    assert isinstance(signed(provider, now_s=NOW + offset).verdict(), Verified) is taken


@pytest.mark.parametrize(
    ("offset", "taken"), [(-4 * 86400 - 1, False), (-4 * 86400, True), (0, True), (300, True), (301, False)]
)
def test_paypal_is_taken_for_as_long_as_it_tries(offset: int, taken: bool) -> None:
    delivery = signed("paypal", now_s=NOW + offset)
    context = replace(delivery.context, certificate=certificate(begins_s=NOW - 10 * 86400))
    assert isinstance(replace(delivery, context=context).verdict(), Verified) is taken


@pytest.mark.parametrize("provider", SECRETIVE)
def test_any_secret_of_the_list_may_have_signed_and_no_other(provider: str) -> None:
    delivery = signed(provider)
    old, new = keys_of(provider), keys_of(provider, other=True)
    assert isinstance(delivery.verdict(new + old), Verified)
    assert isinstance(delivery.verdict(old + new), Verified)
    assert isinstance(delivery.verdict(new), Refused)
    assert isinstance(delivery.verdict([]), Refused)


@pytest.mark.parametrize("provider", COVERING)
@settings(max_examples=30)
@given(body=bodies.filter(bool), where=st.integers(0), bit=st.integers(0, 7))
def test_one_changed_bit_of_the_body_is_noticed(provider: str, body: bytes, where: int, bit: int) -> None:
    delivery = signed(provider, body)
    changed = bytearray(delivery.body)
    changed[where % len(changed)] ^= 1 << bit
    assert isinstance(delivery.verdict(), Verified)
    if provider == "transloadit" and reads_alike(delivery.body, bytes(changed)):
        return  # `+` and `%20` are two spellings of one form; what is signed is the text of the field
    assert isinstance(replace(delivery, body=bytes(changed)).verdict(), Refused)


def reads_alike(one: bytes, other: bytes) -> bool:
    from flowlang.server.forms import FormError, read_form  # noqa: PLC0415 - for this alone

    try:
        first, second = read_form(one), read_form(other)
    except FormError:
        return False
    return all(first[name] == second.get(name) for name in ("transloadit", "signature"))


def stripe_header(header: str) -> Mapping[str, str]:
    return {"stripe-signature": header}


GOOD = SCHEMES["stripe"].sign(b"{}", b"k", NOW, "")["stripe-signature"].partition("v1=")[2]


@pytest.mark.parametrize(
    ("why", "header", "reason"),
    [
        ("digits of another script", f"t={str(NOW).translate(str.maketrans('0123456789', '٠١٢٣٤٥٦٧٨٩'))},v1={GOOD}", "not a number"),
        ("a sign", f"t=+{NOW},v1={GOOD}", "not a number"),
        ("space around", f"t= {NOW},v1={GOOD}", "not a number"),
        ("an underscore", f"t=1_700_000_000,v1={GOOD}", "not a number"),
        ("very many digits", f"t={'9' * 3000},v1={GOOD}", "not a number"),
        ("two time stamps", f"t={NOW},t={NOW},v1={GOOD}", "one time stamp"),
        ("a header of 5 kB", f"t={NOW}," + ",".join(["v9=x"] * 1200) + f",v1={GOOD}", "too long"),
        ("nine signatures", f"t={NOW}," + "v1=x," * 8 + f"v1={GOOD}", "1 to 8"),
        ("upper case", f"t={NOW},v1={GOOD.upper()}", "no signature matches"),
        ("another version", f"t={NOW},v0={GOOD}", "1 to 8"),
        ("letters beyond ASCII", f"t={NOW},v1=é{GOOD[1:]}", "no signature matches"),
        ("half a surrogate", f"t={NOW},v1=\ud800", "no signature matches"),
    ],
)  # fmt: skip
def test_odd_stripe_headers_are_refused_with_a_reason(why: str, header: str, reason: str) -> None:
    verdict = SCHEMES["stripe"].verify(stripe_header(header), b"{}", [b"k"], NOW)
    assert isinstance(verdict, Refused), why
    assert reason in verdict.reason, why


def test_eight_signatures_are_taken() -> None:
    header = f"t={NOW}," + "v1=x," * 7 + f"v1={GOOD}"
    assert SCHEMES["stripe"].verify(stripe_header(header), b"{}", [b"k"], NOW) == Verified()


@pytest.mark.parametrize("provider", ["slack", "customer-io", "standard-webhooks", "svix", "mux", "sanity", "hmac"])
def test_a_time_in_digits_of_another_script_is_no_time(provider: str) -> None:
    delivery = signed(provider)
    odd = {name: value.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")) for name, value in delivery.headers.items()}
    stamped = {name: odd[name] if str(NOW) in value else value for name, value in delivery.headers.items()}
    assert stamped != delivery.headers
    assert isinstance(replace(delivery, headers=stamped).verdict(), Refused)


@pytest.mark.parametrize("provider", ["standard-webhooks", "svix", "shopify", "twilio", "sanity", "paypal", "postmark"])
def test_a_second_spelling_of_the_same_base64_is_not_the_same_signature(provider: str) -> None:
    delivery = signed(provider)
    names = {"twilio": "x-twilio-signature", "paypal": "paypal-transmission-sig", "postmark": "authorization"}
    name = names.get(provider) or next(each for each in delivery.headers if "sign" in each or "hmac" in each)
    text = delivery.headers[name]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    letters += "-_" if provider == "sanity" else "+/"
    bare = text.rstrip("=")
    twin = bare[:-1] + letters[letters.index(bare[-1]) ^ 1] + text[len(bare) :]
    ours, theirs = (
        re.sub("^(v1[,=]|Basic |t=.*,v1=)", "", each).translate(str.maketrans("-_", "+/")) for each in (text, twin)
    )
    alike = base64.b64decode(ours + "==") == base64.b64decode(theirs + "==")
    assert alike is (len(ours.rstrip("=")) % 4 != 0)
    assert isinstance(delivery.changed(name, twin).verdict(), Refused)


@pytest.mark.parametrize(
    ("provider", "secret"),
    [(provider, secret) for provider in SCHEMES for secret in ("", "  ", "\n")]
    + [
        ("standard-webhooks", "whsec_"),
        ("standard-webhooks", "whsec_!!!"),
        ("svix", "whpk_AAAA"),
        ("svix", "whsk_!!!"),
        ("postmark", "!!!"),
        ("postmark", ":!!!"),
        ("postmark", "!!!:"),
    ],
)
def test_a_secret_that_protects_nothing_is_refused_at_load_and_not_shown(provider: str, secret: str) -> None:
    with pytest.raises(SecretError) as caught:
        SCHEMES[provider].load_secret(secret)
    assert "!!!" not in str(caught.value)


def test_an_ed25519_key_verifies_and_does_not_sign() -> None:
    scheme = SCHEMES["standard-webhooks"]
    key = scheme.load_secret("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
    with pytest.raises(SecretError, match="signs nothing"):
        scheme.sign(b"{}", key, NOW, "msg_1")
    as_if_a_secret = scheme.sign(b"{}", bytes(key), NOW, "msg_1")
    assert isinstance(scheme.verify(as_if_a_secret, b"{}", [key], NOW), Refused)


@pytest.mark.parametrize("kind", [kind for kind in SIGNED if kind != "transloadit"])
def test_a_signature_header_of_more_than_4_kb_is_refused_whatever_is_in_it(kind: str) -> None:
    delivery, keys = genuine(kind)
    name = next(each for each in SIGNED[kind] if "sig" in each or "hmac" in each or each == "authorization")
    padding = {"standard-webhooks": " ", "svix": " ", "ed25519": " "}.get(kind, ",") + "x" * 4096
    assert isinstance(delivery.changed(name, delivery.headers[name] + padding).verdict(keys), Refused)
    short = delivery.changed(name, delivery.headers[name] + padding[:10]).verdict(keys)
    assert isinstance(short, Verified) is (kind in {"stripe", "mux", "sanity", "standard-webhooks", "svix", "ed25519"})


@pytest.mark.parametrize("kind", ["standard-webhooks", "svix", "ed25519"])
@pytest.mark.parametrize(("others", "taken"), [(7, True), (8, False)])
def test_a_list_has_at_most_eight_signatures(kind: str, others: int, taken: bool) -> None:
    delivery, keys = genuine(kind)
    name = SIGNED[kind][-1]
    verdict = delivery.changed(name, "v1,x " * others + delivery.headers[name]).verdict(keys)
    assert isinstance(verdict, Verified) is taken


def test_githubs_old_header_counts_for_nothing() -> None:
    delivery = signed("github")
    sha1 = "sha1=" + mac_hex(keys_of("github")[0], delivery.body, algorithm="sha1")
    assert isinstance(replace(delivery, headers={"x-hub-signature": sha1}).verdict(), Refused)
    assert isinstance(delivery.changed("x-hub-signature-256", sha1).verdict(), Refused)
    assert isinstance(delivery.changed("x-hub-signature", "sha1=wrong").verdict(), Verified)


# -- what is particular to some --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"type": "url_verification", "challenge": "abc"}, "abc"),
        ({"type": "url_verification"}, ""),
        ({"type": "url_verification", "challenge": "x" * 300}, ""),
        ({"type": "event_callback"}, None),
        ([], None),
        ("url_verification", None),
    ],
)
def test_slack_asks_once_whether_the_address_is_ours(body: Any, answer: str | None) -> None:
    assert challenge(body) == answer


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("why", "headers", "body", "query"),
    [
        ("another body", {}, b'{"id": "e2"}', None),
        ("an empty form in the place of JSON", FORM, b"", None),
        ("the hash is left out", {}, None, ""),
        ("two hashes", {}, None, "bodySHA256=0&bodySHA256=0"),
        ("an unknown algorithm", {"x-twilio-webhooks-signature-settings": "key=a,algorithm=MD5"}, None, None),
        ("two algorithms", {"x-twilio-webhooks-signature-settings": "algorithm=HMAC_SHA1,algorithm=HMAC_SHA1"}, None, None),
        ("the other algorithm", {"x-twilio-webhooks-signature-settings": "algorithm=HMAC_SHA256"}, None, None),
    ],
)  # fmt: skip
def test_twilio_binds_the_body(why: str, headers: dict[str, str], body: bytes | None, query: str | None) -> None:
    delivery = signed("twilio")
    assert isinstance(delivery.verdict(), Verified)
    context = delivery.context if query is None else replace(delivery.context, query=query)
    other = replace(delivery, body=delivery.body if body is None else body, context=context)
    assert isinstance(replace(other, headers=delivery.headers | headers).verdict(), Refused), why


ADDRESS = "https://example.com/hooks/twilio"
SMS = "AccountSid=AC1&Body=Hello+there%21&From=%2B15551234567"


def by_get(url: str, query: str) -> dict[str, str]:
    """The signature of Twilio's own library over an address that it calls by GET."""
    from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # noqa: PLC0415 - slow

    return {"x-twilio-signature": RequestValidator("12345").compute_signature(f"{url}?{query}" if query else url, {})}


@pytest.mark.parametrize(
    ("why", "method", "headers", "body", "query", "taken"),
    [
        ("as Twilio sends it", "GET", by_get(ADDRESS, SMS), b"", SMS, True),
        ("its port is written", "GET", by_get("https://example.com:443/hooks/twilio", SMS), b"", SMS, True),
        ("a type of a body that is not there", "GET", by_get(ADDRESS, SMS) | FORM, b"", SMS, True),
        ("another query", "GET", by_get(ADDRESS, SMS), b"", SMS.replace("Hello", "Bye"), False),
        ("one more field", "GET", by_get(ADDRESS, SMS), b"", f"{SMS}&a=b", False),
        ("another spelling of the same query", "GET", by_get(ADDRESS, SMS), b"", SMS.replace("+there", "%20there"), False),
        ("no query", "GET", by_get(ADDRESS, ""), b"", "", False),
        ("a body besides", "GET", by_get(ADDRESS, SMS), b"a=1", SMS, False),
        ("the hash of a body that is gone", "GET", by_get(ADDRESS, f"bodySHA256={'0' * 64}"), b"", f"bodySHA256={'0' * 64}", False),
        ("sent again as an empty form", "POST", by_get(ADDRESS, SMS) | FORM, b"", SMS, False),
        ("sent again as a form", "POST", by_get(ADDRESS, SMS) | FORM, SMS.encode(), "", False),
        ("sent again as JSON", "POST", by_get(ADDRESS, SMS) | {"content-type": "application/json"}, b"{}", SMS, False),
        ("no signature", "GET", {}, b"", SMS, False),
    ],
)  # fmt: skip
def test_twilio_may_call_by_get_and_signs_the_query(
    why: str, method: str, headers: dict[str, str], body: bytes, query: str, taken: bool
) -> None:
    context = Context(WebhookOptions(url=ADDRESS), query, method=method)
    assert isinstance(SCHEMES["twilio"].verify(headers, body, [b"12345"], NOW, context), Verified) is taken, why


@pytest.mark.parametrize(
    ("written", "came", "taken"),
    [
        ("", "a=1", True),
        ("tenant=1", "tenant=1&a=1", True),
        ("tenant=1", "a=1", True),
        ("tenant=2", "tenant=1&a=1", False),
        ("tenant=1", "a=2", False),
        ("tenant=1", "", False),
    ],
)
def test_a_query_of_the_address_itself_is_there_or_was_taken_off_on_the_way(
    written: str, came: str, taken: bool
) -> None:
    called = "tenant=1&a=1" if written else "a=1"
    context = Context(WebhookOptions(url=f"{ADDRESS}?{written}" if written else ADDRESS), came, method="GET")
    found = SCHEMES["twilio"].verify(by_get(ADDRESS, called), b"", [b"12345"], NOW, context)
    assert isinstance(found, Verified) is taken


@pytest.mark.parametrize(
    ("configured", "called", "taken"),
    [
        ("https://example.com/h", "https://example.com/h", True),
        ("https://example.com/h", "https://example.com:443/h", True),
        ("https://example.com:443/h", "https://example.com/h", True),
        ("http://example.com/h", "http://example.com:80/h", True),
        ("https://example.com:8443/h", "https://example.com:8443/h", True),
        ("https://example.com:8443/h", "https://example.com/h", True),
        ("https://example.com/h", "https://example.com:8443/h", False),
        ("https://example.com/h", "http://example.com/h", False),
        ("https://example.com/h", "https://example.org/h", False),
        ("https://example.com:port/h", "https://example.com/h", False),
        ("", "", False),
    ],
)
def test_twilios_address_is_taken_with_and_without_its_port(configured: str, called: str, taken: bool) -> None:
    from twilio.request_validator import RequestValidator  # noqa: PLC0415 - slow

    theirs = RequestValidator("12345").compute_signature(called, {"a": "1"})
    context = Context(WebhookOptions(url=configured))
    verdict = SCHEMES["twilio"].verify(FORM | {"x-twilio-signature": theirs}, b"a=1", [b"12345"], NOW, context)
    assert isinstance(verdict, Verified) is (taken and bool(called))


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://api.paypal.com/v1/notifications/certs/CERT-360caa42", True),
        ("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42.pem", True),
        ("http://api.paypal.com/v1/notifications/certs/CERT-1", False),
        ("https://api.paypal.com.evil.example/v1/certs/CERT-1", False),
        ("https://evilpaypal.com/v1/certs/CERT-1", False),
        ("https://api.paypal.com@evil.example/v1/certs/CERT-1", False),
        ("https://evil.example/#.paypal.com/v1/certs/CERT-1", False),
        ("https://api.paypal.com:8443/v1/certs/CERT-1", False),
        ("https://api.paypal.com/../admin", False),
        ("https://api.paypal.com/v1/certs/CERT-1?to=evil.example", False),
        ("https://api.paypal.com/v1/certs/CERT-1#x", False),
        ("https://API.paypal.com/v1/certs/CERT-1", False),
        ("https://api.paypal.com\\@evil.example/x", False),
        ("https://api.paypal.com/v1/\ncerts/CERT-1", False),
        (" https://api.paypal.com/v1/certs/CERT-1", False),
        ("https://аpi.paypal.com/v1/certs/CERT-1", False),
        ("file:///etc/passwd", False),
        ("https://[::1]/x", False),
        ("https://[paypal.com/x", False),
        ("", False),
        ("https://api.paypal.com/" + "a" * 600, False),
    ],
)
def test_a_certificate_is_fetched_from_paypal_and_nowhere_else(url: str, taken: bool) -> None:
    assert (certificate_url({"paypal-cert-url": url}) == url) is taken


def paypals(by: Authority | None = None, **more: Any) -> Authority:
    """PayPal's certificate, unless something else is said of it."""
    wanted: dict[str, Any] = {"may_vouch": False, "hosts": (NAME,)}
    return made("paypal", by or between(), **wanted | more)


LEAF = paypals().certificate


def judged(pem: bytes | None, roots: Store | None = ROOTS, now_s: int = NOW) -> Verdict:
    """What is said of a delivery that PayPal's key has signed."""
    delivery = signed("paypal", now_s=now_s)
    return replace(delivery, context=replace(delivery.context, certificate=pem, roots=roots)).verdict(now_s=now_s)


def at(days: int) -> datetime:
    return datetime.fromtimestamp(NOW, UTC) + timedelta(days=days)


NOBODY = "nobody who is trusted vouches"
UNREADABLE = "cannot be read"


@pytest.mark.parametrize(
    ("why", "pem"),
    [
        ("by one whom the root vouches for", certificate()),
        ("in another order", between().pem + paypals().pem),
        ("with the root", certificate() + root().pem),
        ("by the root itself", paypals(root()).pem),
        ("with others that have nothing to do with it", certificate() + stranger().pem),
        ("with a text before each", b"subject=CN = paypal\n" + paypals().pem + b"\nissuer=\n" + between().pem),
        ("for a host of the sandbox", certificate("messageverificationcerts.sandbox.paypal.com")),
        ("for several hosts", paypals(hosts=("example.com", NAME)).pem + between().pem),
        ("until this second", certificate(begins_s=NOW - 86_400, days=1)),
        ("from this second on", certificate(begins_s=NOW)),
    ],
)
def test_a_certificate_that_a_trusted_root_vouches_for_is_paypals(why: str, pem: bytes) -> None:
    assert isinstance(judged(pem), Verified), why


@pytest.mark.parametrize(
    ("why", "pem", "reason"),
    [
        ("by itself", made("paypal", None, may_vouch=False, hosts=(NAME,)).pem, NOBODY),
        ("by itself, and may vouch", made("paypal", None, may_vouch=True, hosts=(NAME,)).pem, NOBODY),
        ("by a stranger", paypals(stranger()).pem + stranger().pem, NOBODY),
        ("by a stranger of the trusted one's name", paypals(replace(between(), key=stranger().key)).pem + between().pem, NOBODY),
        ("without who vouches for it", paypals().pem, NOBODY),
        ("by one who may not vouch", paypals(MAY_NOT).pem + MAY_NOT.pem + between().pem, NOBODY),
        ("by one whose time is over", paypals(OVER).pem + OVER.pem, NOBODY),
        ("for clients", paypals(use=ExtendedKeyUsageOID.CLIENT_AUTH).pem + between().pem, NOBODY),
        ("that may vouch", paypals(may_vouch=True).pem + between().pem, NOBODY),
        ("somebody else's", certificate("paypal.com.evil.example"), "somebody else's"),
        ("a name that only ends so", certificate("evilpaypal.com"), "somebody else's"),
        ("of no host", paypals(hosts=()).pem + between().pem, "somebody else's"),
        ("of all hosts", paypals(hosts=("*.paypal.com",)).pem + between().pem, "somebody else's"),
        ("not yet valid", certificate(begins_s=NOW + 10), "not valid now"),
        ("no longer valid", certificate(begins_s=NOW - 10 * 86_400, days=5), "not valid now"),
        ("a key that is not RSA", paypals(public=ec.generate_private_key(ec.SECP256R1()).public_key()).pem + between().pem, "none that is taken"),
        ("no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", UNREADABLE),
        ("too many", certificate() + between().pem * 10, UNREADABLE),
        ("nothing", b"", UNREADABLE),
        ("none", None, "no certificate"),
    ],
)  # fmt: skip
def test_a_certificate_that_is_not_paypals_verifies_nothing(why: str, pem: bytes | None, reason: str) -> None:
    verdict = judged(pem)
    assert isinstance(verdict, Refused), why
    assert reason in verdict.reason, why


def test_a_certificate_counts_for_its_time_alone_whatever_the_clock_says() -> None:
    leaf = paypals(begins=at(0), ends=at(30)).pem + between().pem
    taken = [isinstance(judged(leaf, now_s=NOW + days * 86_400), Verified) for days in (-1, 0, 15, 30, 31)]
    assert taken == [False, True, True, True, False]


def test_without_roots_nobody_is_trusted() -> None:
    assert judged(certificate(), roots=None) == Refused("there is no root to trust")
    assert roots_of([]) is None
    assert roots_of([b"no certificate"]) is None


def test_who_vouches_may_be_among_the_roots_when_the_sender_leaves_it_out() -> None:
    assert isinstance(judged(paypals().pem, roots_of([b"no certificate", between().der])), Verified)
    assert isinstance(judged(paypals().pem, roots_of([stranger().der])), Refused)


@settings(max_examples=300)
@given(st.integers(0), st.integers(1, 255), st.booleans())
def test_a_changed_byte_of_a_certificate_is_noticed_and_raises_nothing(where: int, by: int, first: bool) -> None:
    genuine = LEAF if first else between().certificate
    changed = bytearray(genuine.public_bytes(Encoding.DER))
    changed[where % len(changed)] ^= by
    both = (bytes(changed), between().der) if first else (LEAF.public_bytes(Encoding.DER), bytes(changed))
    if isinstance(judged(b"".join(armoured(each) for each in both)), Verified):
        # What a certificate says, and who signed it, is the same: a bit that counts for nothing is said to count or not.
        found = x509.load_der_x509_certificate(bytes(changed))
        assert found.tbs_certificate_bytes == genuine.tbs_certificate_bytes
        assert found.signature == genuine.signature


@given(st.lists(st.binary(max_size=200) | st.just(LEAF.public_bytes(Encoding.DER)[:400]), max_size=4))
def test_what_is_no_certificate_is_refused_and_raises_nothing(parts: list[bytes]) -> None:
    assert isinstance(judged(b"".join(armoured(each) for each in parts)), Refused)


def armoured(der: bytes) -> bytes:
    """As PEM."""
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
@pytest.mark.parametrize("layout", ["", "{body}", "v0:{timestamp}:{body}", "{delivery}{timestamp}{body}!"])
def test_a_sender_of_its_own_kind_is_described(algorithm: str, encoding: str, layout: str) -> None:
    options = WebhookOptions(
        header="x-sig", algorithm=algorithm, encoding=encoding, prefix="p=", signed=layout,
        timestamp="" if layout == "{body}" else "x-time", delivery="x-id", tolerance_ms=60_000,
    )  # fmt: skip
    scheme, context = SCHEMES["hmac"], Context(options)
    headers = scheme.sign(b"{}", b"k", NOW, "d1", context)
    assert scheme.verify(headers, b"{}", [b"k"], NOW + 60, context) == Verified("d1")
    assert isinstance(scheme.verify(headers, b"{} ", [b"k"], NOW, context), Refused)
    late = scheme.verify(headers, b"{}", [b"k"], NOW + 61, context)
    assert isinstance(late, Refused) is (layout != "{body}")


# -- whatever a stranger may send -------------------------------------------------------------------------------------

NAMES = sorted({name for provider in SECRETS for name in signed(provider).headers} | {"authorization"})
headers_of_strangers = st.dictionaries(
    st.sampled_from(NAMES),
    st.text(st.characters(), max_size=60)
    | st.from_regex(r"(t=[0-9]{0,14}|v[01]=[0-9a-f]*|v1a?,[A-Za-z+/=]*|[, ]|Basic [a-z=]*){0,6}", fullmatch=True),
)


@pytest.mark.parametrize("provider", SECRETS)
@settings(max_examples=30)
@given(
    headers=headers_of_strangers, body=st.binary(max_size=50), now_s=st.integers(0, 2**60), query=st.text(max_size=30)
)
def test_nothing_that_a_stranger_sends_is_taken_or_raises(
    provider: str, headers: dict[str, str], body: bytes, now_s: int, query: str
) -> None:
    context = Context(OPTIONS.get(provider, WebhookOptions()), query, certificate(), roots())
    assert isinstance(SCHEMES[provider].verify(headers, body, keys_of(provider), now_s, context), Refused)
