from __future__ import annotations

import re

from flowlang.diagnostics import CODES


def test_every_code_has_a_number_a_slug_and_one_sentence() -> None:
    for code, entry in CODES.items():
        assert entry.code == code
        assert re.fullmatch(r"FL[0-9]\d\d", code)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.slug)
        assert entry.sentence.endswith(".")


def test_slugs_are_unique_and_codes_are_in_order() -> None:
    assert len({entry.slug for entry in CODES.values()}) == len(CODES)
    assert list(CODES) == sorted(CODES)
