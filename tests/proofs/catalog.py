"""All proofs: every module of this folder that has a `PROOF`."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from tests.proofs.figure import Proof


@cache
def proofs() -> dict[str, Proof]:
    """The proofs by name, in the order of their numbers."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("f[0-9]*.py"))
    found = [importlib.import_module(f"tests.proofs.{name}").PROOF for name in names]
    return {proof.name: proof for proof in sorted(found, key=lambda proof: int(proof.name[1:]))}
