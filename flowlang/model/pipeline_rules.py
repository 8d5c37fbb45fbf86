"""Which keys of a pipeline go together."""

from __future__ import annotations

from typing import Any, Final

from flowlang.diagnostics import Diagnostic, Label
from flowlang.model.yaml_nodes import YamlDocument

#: Key, the key that it excludes, and why.
_CONFLICTS: Final = (
    ("cancel_on", "batch", "with `batch` a run has many events, and `cancel_on` could not say which one it speaks of"),
)


def pipeline_findings(document: YamlDocument, data: dict[str, Any]) -> list[Diagnostic]:
    """What is wrong between the keys of a pipeline.

    Args:
        document: The pipeline's document, for places.
        data: Its data.
    """
    found: list[Diagnostic] = []
    for key, other, reason in _CONFLICTS:
        if key in data and other in data:
            labels = (Label(document.span_at((other,), key=True), "the other key"),)
            place = document.span_at((key,), key=True)
            found.append(
                Diagnostic("FL121", f"`{key}` and `{other}` exclude each other: {reason}", place, labels=labels)
            )
    return found
