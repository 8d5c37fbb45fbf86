"""Webhook signatures against published vectors, the providers' own libraries, and whatever a stranger may send."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.server.signatures import SCHEMES, Refused, SecretError, Verified

VECTORS = Path("../shared/webhook-vectors.json")
NOW = 1_700_000_000
KEYS = {
    "stripe": "whsec_test",
    "standard-webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "svix": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
bodies = st.text().map(lambda text: text.encode("utf-8", "replace"))


def vectors() -> list[Any]:
    if not VECTORS.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason=f"{VECTORS} is not here"))]
    ours = [case for case in json.loads(VECTORS.read_text()) if case["provider"] in SCHEMES]
    return [pytest.param(case, id=case["id"]) for case in ours]


@pytest.mark.parametrize("case", vectors())
def test_published_deliveries_are_judged_as_published(case: dict[str, Any]) -> None:
    scheme = SCHEMES[case["provider"]]
    secrets = case.get("secrets", [case["secret"]])
    if secrets[0].startswith("whpk_"):
        with pytest.raises(SecretError, match="Ed25519"):
            scheme.load_secret(secrets[0])
        return
    headers = {name.lower(): value for name, value in case["headers"].items()}
    keys = [scheme.load_secret(text) for text in secrets]
    verdict = scheme.verify(headers, case["body"].encode(), keys, case["now"])
    assert isinstance(verdict, Verified) is case["valid"], verdict


@settings(max_examples=500)
@given(bodies, st.integers(NOW - 300, NOW + 300))
def test_stripes_own_library_and_ours_sign_and_verify_alike(body: bytes, at: int) -> None:
    scheme = SCHEMES["stripe"]
    key = scheme.load_secret(KEYS["stripe"])
    theirs = stripe.WebhookSignature.generate_signature_header(body.decode(), KEYS["stripe"], at)
    assert scheme.sign(body, key, at, "") == {"stripe-signature": theirs}
    assert scheme.verify({"stripe-signature": theirs}, body, [key], NOW) == Verified()
    assert stripe.WebhookSignature.verify_header(body, theirs, KEYS["stripe"]) is True


@settings(max_examples=500)
@given(bodies, st.integers(NOW - 300, NOW + 300), st.from_regex(r"msg_[A-Za-z0-9]{1,30}", fullmatch=True))
def test_the_standard_library_and_ours_sign_alike(body: bytes, at: int, ident: str) -> None:
    scheme = SCHEMES["standard-webhooks"]
    key = scheme.load_secret(KEYS["standard-webhooks"])
    theirs = standardwebhooks.Webhook(KEYS["standard-webhooks"]).sign(
        ident, datetime.fromtimestamp(at, UTC), body.decode()
    )
    headers = scheme.sign(body, key, at, ident)
    assert headers == {"webhook-id": ident, "webhook-timestamp": str(at), "webhook-signature": theirs}
    assert scheme.verify(headers, body, [key], NOW) == Verified(ident)


@pytest.mark.parametrize("provider", SCHEMES)
@pytest.mark.parametrize(("offset", "taken"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_the_window_is_five_minutes_in_both_directions(provider: str, offset: int, taken: bool) -> None:
    scheme = SCHEMES[provider]
    key = scheme.load_secret(KEYS[provider])
    verdict = scheme.verify(scheme.sign(b"{}", key, NOW + offset, "msg_1"), b"{}", [key], NOW)
    assert isinstance(verdict, Verified) is taken


@pytest.mark.parametrize("provider", SCHEMES)
def test_any_secret_of_the_list_may_have_signed_and_no_other(provider: str) -> None:
    scheme = SCHEMES[provider]
    old, new, stranger = b"old", b"new", b"stranger"
    assert isinstance(scheme.verify(scheme.sign(b"{}", old, NOW, "m"), b"{}", [new, old], NOW), Verified)
    assert isinstance(scheme.verify(scheme.sign(b"{}", stranger, NOW, "m"), b"{}", [new, old], NOW), Refused)
    assert isinstance(scheme.verify(scheme.sign(b"{}", old, NOW, "m"), b"{}", [], NOW), Refused)


@pytest.mark.parametrize("provider", SCHEMES)
@given(body=st.binary(min_size=1), where=st.integers(0), bit=st.integers(0, 7))
def test_one_changed_bit_of_the_body_is_noticed(provider: str, body: bytes, where: int, bit: int) -> None:
    scheme = SCHEMES[provider]
    key = scheme.load_secret(KEYS[provider])
    headers = scheme.sign(body, key, NOW, "msg_1")
    changed = bytearray(body)
    changed[where % len(body)] ^= 1 << bit
    assert scheme.verify(headers, body, [key], NOW) != scheme.verify(headers, bytes(changed), [key], NOW)


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


def test_a_second_spelling_of_the_same_base64_is_not_the_same_signature() -> None:
    scheme = SCHEMES["standard-webhooks"]
    headers = scheme.sign(b"{}", b"k", NOW, "m")
    text = headers["webhook-signature"].removeprefix("v1,")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = text[:-2] + letters[letters.index(text[-2]) | 1] + "="
    assert twin != text
    assert base64.b64decode(twin) == base64.b64decode(text)
    assert isinstance(scheme.verify({**headers, "webhook-signature": f"v1,{twin}"}, b"{}", [b"k"], NOW), Refused)


@pytest.mark.parametrize(
    ("provider", "secret"),
    [(provider, secret) for provider in SCHEMES for secret in ("", "  ", "\n")]
    + [("standard-webhooks", "whsec_"), ("standard-webhooks", "whsec_!!!"), ("svix", "whpk_AAAA")],
)
def test_a_secret_that_protects_nothing_is_refused_at_load_and_not_shown(provider: str, secret: str) -> None:
    with pytest.raises(SecretError) as caught:
        SCHEMES[provider].load_secret(secret)
    assert "!!!" not in str(caught.value)


headers_of_strangers = st.dictionaries(
    st.sampled_from([f"{prefix}-{name}" for prefix in ("webhook", "svix") for name in ("id", "timestamp", "signature")] + ["stripe-signature"]),
    st.text(st.characters(), max_size=60) | st.from_regex(r"(t=[0-9]{0,14}|v[01]=[0-9a-f]*|v1,[A-Za-z+/=]*|[, ]){0,6}", fullmatch=True),
)  # fmt: skip


@pytest.mark.parametrize("provider", SCHEMES)
@given(headers=headers_of_strangers, body=st.binary(max_size=50), now_s=st.integers(0, 2**40))
def test_nothing_that_a_stranger_sends_is_taken_or_raises(
    provider: str, headers: dict[str, str], body: bytes, now_s: int
) -> None:
    scheme = SCHEMES[provider]
    assert isinstance(scheme.verify(headers, body, [scheme.load_secret(KEYS[provider])], now_s), Refused)


@pytest.mark.parametrize("provider", SCHEMES)
@given(data=st.data())
def test_a_changed_header_never_raises_and_is_taken_only_if_it_says_the_same(
    provider: str, data: st.DataObject
) -> None:
    scheme = SCHEMES[provider]
    headers = scheme.sign(b"{}", b"k", NOW, "msg_1")
    name = data.draw(st.sampled_from(sorted(headers)))
    text = headers[name]
    where = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters())
    changed = text[:where] + letter + text[where + 1 :]
    verdict = scheme.verify({**headers, name: changed}, b"{}", [b"k"], NOW)
    assert isinstance(verdict, Verified) is (changed == text)
