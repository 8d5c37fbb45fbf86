"""What a webhook of `flowlang.yaml` becomes in the plan."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowlang.plan import NO_OPTIONS, WebhookOptions, WebhookSource
from tests.unit.compiler.compiling import compile_text

PIPELINE = "flowlang: 1\npipeline: p\nsteps: [{id: a, set: {x: 1}}]\n"
ENDS = int(datetime(2030, 1, 31, 9, tzinfo=UTC).timestamp() * 1000)


def lowered(webhook: str) -> WebhookSource:
    compiled = compile_text(PIPELINE, project=f"flowlang: 1\nproject: test\nwebhooks:\n  w: {webhook}\n")
    assert compiled.manifest is not None, compiled.diagnostics
    (source,) = compiled.manifest.webhooks
    return source


@pytest.mark.parametrize(
    ("secret", "names", "until"),
    [
        ('"${{ secrets.A }}"', ("A",), {}),
        ('["${{ secrets.A }}", "${{ secrets.B }}"]', ("A", "B"), {}),
        ('{value: "${{ secrets.A }}"}', ("A",), {}),
        ('{value: "${{ secrets.A }}", not_after: 2030-01-31T09:00:00Z}', ("A",), {"A": ENDS}),
        ('{value: "${{ secrets.A }}", not_after: "2030-01-31T10:00:00+01:00"}', ("A",), {"A": ENDS}),
        ('["${{ secrets.A }}", {value: "${{ secrets.B }}", not_after: 2030-01-31T09:00:00Z}]', ("A", "B"), {"B": ENDS}),
        ('["${{ secrets.A }}", {value: "${{ secrets.A }}", not_after: 2030-01-31T09:00:00Z}]', ("A",), {}),
        (
            '[{value: "${{ secrets.A }}", not_after: 2030-01-31T09:00:00Z}, {value: "${{ secrets.A }}", not_after: 2020-01-31T09:00:00Z}]',
            ("A",),
            {"A": ENDS},
        ),
    ],
)  # fmt: skip
def test_each_secret_counts_until_its_last_end_if_it_has_one_wherever_it_is_written(
    secret: str, names: tuple[str, ...], until: dict[str, int]
) -> None:
    source = lowered(f"{{provider: stripe, secret: {secret}, event: w/x}}")
    assert (source.secrets, source.until) == (names, until)


def test_options_are_lowered_with_headers_in_lower_case() -> None:
    source = lowered(
        '{provider: hmac, secret: "${{ secrets.A }}", event: w/x, options: {header: X-Sig, timestamp: X-Time, '
        "delivery: X-Id, algorithm: sha512, encoding: base64url, prefix: v1=, tolerance: 10m, content: [json, form], "
        'signed: "v1:{timestamp}:{delivery}:{body}"}}'
    )
    assert source.options == WebhookOptions(
        header="x-sig",
        timestamp="x-time",
        delivery="x-id",
        algorithm="sha512",
        encoding="base64url",
        prefix="v1=",
        tolerance_ms=600_000,
        content=("json", "form"),
        signed="v1:{timestamp}:{delivery}:{body}",
    )


def test_a_webhook_without_options_is_stored_as_it_was_before_there_were_any() -> None:
    assert lowered('{provider: stripe, secret: "${{ secrets.A }}", event: w/x}').options is NO_OPTIONS


def test_what_nobody_signs_has_a_provider_of_that_name_in_the_plan() -> None:
    source = lowered("{unsigned: true, event: w/x, options: {delivery: X-Id}}")
    assert (source.provider, source.secrets, source.options.delivery) == ("unsigned", (), "x-id")


@pytest.mark.parametrize("url", ["https://example.com/h", "http://example.com:8080/h?a=1", "https://[::1]/h"])
def test_the_address_of_twilio_is_one(url: str) -> None:
    written = f'{{provider: twilio, secret: "${{{{ secrets.A }}}}", event: w/x, options: {{url: "{url}"}}}}'
    assert lowered(written).options.url == url


@pytest.mark.parametrize(
    "url", ["example.com/h", "ftp://example.com", "https://", "https://a:b/h", "https://[::1/h", ""]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    written = f'{{provider: twilio, secret: "${{{{ secrets.A }}}}", event: w/x, options: {{url: "{url}"}}}}'
    compiled = compile_text(PIPELINE, project=f"flowlang: 1\nproject: test\nwebhooks:\n  w: {written}\n")
    assert "FL104" in [each.code for each in compiled.diagnostics]
