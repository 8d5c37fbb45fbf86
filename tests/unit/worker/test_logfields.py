"""What log records are cleaned of: message, traceback and fields, in a context of its own and of secrets anywhere."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from flowlang.cli.logs import JsonLines, TextLines, clean_logs
from flowlang.redaction import HIDDEN, SECRETS, KnownSecrets, Mask
from flowlang.worker import logfields
from flowlang.worker.logfields import Cleaned, hiding

CARD = "4242424242424242"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> KnownSecrets:
    """Secrets of this test alone."""
    made = KnownSecrets()
    monkeypatch.setattr(logfields, "SECRETS", made)
    assert SECRETS is not made
    return made


def record(
    message: str = "paid with %s", args: Any = (CARD,), *, raised: bool = False, **extra: Any
) -> logging.LogRecord:
    info = None
    if raised:
        try:
            int(CARD + "x")
        except ValueError:
            info = sys.exc_info()
    made = logging.LogRecord("x", logging.ERROR, "x.py", 1, message, args, info)
    made.__dict__.update(extra)
    return made


def written(made: logging.LogRecord, mask: Mask) -> str:
    with hiding(lambda: mask):
        assert Cleaned().filter(made)
    return TextLines().format(made) + JsonLines().format(made)


@pytest.mark.parametrize(
    "made",
    [
        record(),
        record("none", ()),
        record("paid", (), raised=True),
        record("paid", (), card=CARD, more={"list": [CARD, 1], "text": f"x {CARD} y"}),
        record("paid", (), what=ValueError(CARD)),
        record("paid %(with)s", ({"with": CARD},)),
        record("wrong %d", ("no number", CARD)),
    ],
)
def test_nothing_hidden_is_left_in_a_record(made: logging.LogRecord) -> None:
    try:
        text = written(made, Mask([CARD]))
    except TypeError:  # the record itself is wrong, and whoever formats it says so
        text = f"{made.msg} {made.args}"
    assert CARD not in text
    assert (HIDDEN in text) == (made.msg != "none")


def test_secrets_are_hidden_in_every_record(known: KnownSecrets) -> None:
    known.add("sk_live_1")
    made = record("got %s", ("sk_live_1",))
    Cleaned().filter(made)
    assert made.getMessage() == f"got {HIDDEN}"


def test_outside_of_an_attempt_nothing_is_changed() -> None:
    made = record()
    Cleaned().filter(made)
    assert (made.msg, made.args) == ("paid with %s", (CARD,))


def test_handlers_of_others_are_cleaned_once() -> None:
    sink = logging.Handler()
    for _ in range(2):
        clean_logs([sink, None])
    assert len(sink.filters) == 1
