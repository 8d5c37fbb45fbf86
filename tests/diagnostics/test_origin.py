"""The mistakes of the origin, each in a file of its name: what validating must catch (requirements.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.diagnostics import Severity
from tests.diagnostics.test_project_golden import load_case

PROJECTS = Path(__file__).parent / "project"

#: Mistake → the file that makes it, and how much it weighs.
MISTAKES = {
    "an invoked pipeline that does not exist": ("FL301_invoked_pipeline_does_not_exist", Severity.ERROR),
    "a trigger on an event that nothing sends": ("FL305_trigger_that_nothing_sends", Severity.WARNING),
    "an event declared and never used": ("FL306_event_declared_and_never_used", Severity.WARNING),
    "an event cycle with no outside producer": ("FL313_cycle_with_no_outside_producer", Severity.WARNING),
    "a self-cycle without delay or bound": ("FL314_self_cycle_without_delay_or_bound", Severity.ERROR),
    "an unbounded poll": ("FL112_unbounded_poll", Severity.ERROR),
    "a wait without correlation": ("FL219_wait_without_correlation", Severity.ERROR),
    "emitted fields that the consumer's schema does not have": (
        "FL311_emitted_fields_that_the_consumer_lacks",
        Severity.ERROR,
    ),
    "required fields that are missing": ("FL310_required_fields_missing", Severity.ERROR),
    "a webhook taken without a signature": ("FL601_webhook_without_signature", Severity.ERROR),
    "a retry on a handler that is not safe to repeat": ("FL406_retry_on_what_is_not_safe_to_repeat", Severity.ERROR),
    "a swallowed error": ("FL501_swallowed_error", Severity.WARNING),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_the_origin_is_found(mistake: str, tmp_path: Path) -> None:
    name, severity = MISTAKES[mistake]
    project = load_case(PROJECTS / f"{name}.project", tmp_path)
    assert (name[:5], severity) in {(item.code, item.severity) for item in project.diagnostics}
