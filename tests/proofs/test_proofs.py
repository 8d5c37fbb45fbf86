from __future__ import annotations

import pytest

from tests.proofs.catalog import proofs


@pytest.mark.parametrize("name", proofs())
def test_a_claim_of_the_failure_model_holds_at_its_small_size(name: str) -> None:
    proof = proofs()[name]
    figure = proof.measure(proof.small, 1, print)
    print(figure.text)
    assert figure.holds, figure.text
