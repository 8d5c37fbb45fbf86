"""The benchmark of the edge measures what it says: in a moment, without a look at how fast it was."""

from __future__ import annotations

import re

import pytest

from benchmarks.edge.__main__ import KINDS, main
from benchmarks.edge.client import Load, requests
from flowlang.server.signatures import SCHEMES


def test_each_kind_is_answered_and_has_the_yardstick_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--seconds", "0.3", "--rounds", "1", "--connections", "4", "--sender-connections", "2", "--batch", "10"]
    assert main(small) in {0, 1}
    said = capsys.readouterr().out
    for kind in KINDS:
        (rate, bare) = re.findall(rf"^{kind} +([0-9,]+) events/s +bare +([0-9,]+)/s", said, re.MULTILINE)[0]
        assert int(rate.replace(",", "")) > 0
        assert int(bare.replace(",", "")) > 0
    assert len(re.findall(r"goal ≥ [0-9.]+x  (?:met|NOT met)$", said, re.MULTILINE)) == len(KINDS)
    for about in KINDS.values():
        assert len(re.findall(rf"^{re.escape(about.shown)}\b.*: of ", said, re.MULTILINE)) == 1


def test_what_nobody_measures_is_refused_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "single,batches"])
    assert "there is no kind 'batches'; there are single, webhook, batch" in capsys.readouterr().err


def test_webhooks_are_signed_as_their_sender_signs() -> None:
    load = Load(80, "webhook", 1, 1.0, 100, "whsec_x", "token", 1_893_456_000, "run")
    head, _, body = requests(load, 1)[0].partition(b"\r\n\r\n")
    (signed,) = re.findall(rb"stripe-signature: ([^\r]+)", head)
    scheme = SCHEMES["stripe"]
    key = scheme.load_secret("whsec_x")
    assert scheme.sign(body, key, load.stamp, "")["stripe-signature"] == signed.decode()
