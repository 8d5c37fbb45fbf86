"""Signatures as data."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from flowlang.handler.signature import Param, Signature

SIGNATURE = Signature(
    name="mux.create_asset",
    params=(
        Param.from_json({"name": "url", "required": True, "annotation": "str", "has_default": False}),
        Param.from_json({"name": "title", "required": False, "annotation": None, "has_default": True}),
    ),
    accepts_extra=False,
    effect="keyed",
    timeout="2m",
    retry={"attempts": 3, "errors": ["transient"]},
    is_async=True,
    returns="dict[str, str]",
    path="handlers/mux.py",
    line=3,
    column=1,
)


def test_a_signature_survives_json() -> None:
    assert Signature.from_json(json.loads(json.dumps(SIGNATURE.to_json()))) == SIGNATURE


def test_parameters_are_found_by_name() -> None:
    assert SIGNATURE.param("title") is SIGNATURE.params[1]
    assert SIGNATURE.param("other") is None


def test_moving_a_handler_does_not_change_its_digest() -> None:
    moved = dataclasses.replace(SIGNATURE, path="handlers/video.py", line=90, column=5)
    assert moved.digest == SIGNATURE.digest
    assert moved.place == "handlers/video.py:90:5"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "mux.create"},
        {"params": SIGNATURE.params[:1]},
        {"params": (dataclasses.replace(SIGNATURE.params[0], annotation_text="int"), SIGNATURE.params[1])},
        {"accepts_extra": True},
        {"effect": "once"},
        {"timeout": None},
        {"retry": None},
        {"is_async": False},
        {"returns": None},
    ],
)
def test_what_a_handler_promises_is_in_its_digest(change: dict[str, Any]) -> None:
    assert dataclasses.replace(SIGNATURE, **change).digest != SIGNATURE.digest
