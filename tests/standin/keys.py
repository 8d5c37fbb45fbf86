"""The keys and secrets of the stand-in. They open nothing else, so they stand here in the open."""

from __future__ import annotations

from typing import Final

STRIPE_API_KEY: Final = "sk_test_standin_stripe"
MUX_TOKEN_ID: Final = "standin-mux-id"
MUX_TOKEN_SECRET: Final = "standin-mux-secret"
ACADEMY_API_KEY: Final = "standin-academy"
TRANSCRIPTS_API_KEY: Final = "standin-transcripts"
SEARCH_API_KEY: Final = "standin-search"
MAIL_API_KEY: Final = "standin-mail"
SLACK_BOT_TOKEN: Final = "xoxb-standin-slack"
TELEMETRY_KEY: Final = "standin-telemetry"

STRIPE_WEBHOOK_SECRET: Final = "whsec_standin_stripe"
ACADEMY_WEBHOOK_SECRET: Final = (
    "whsec_c3RhbmRpbi1hY2FkZW15LXdlYmhvb2stc2VjcmV0"  # base64, as Standard Webhooks wants it
)

LIFETIME_PRICE_ID: Final = "price_lifetime"
SPECIFIC_PRODUCT_IDS: Final = "prod_rust_course,prod_sql_course"


def environment(base_url: str) -> dict[str, str]:
    """Return the variables that make pipelines and handlers use the stand-in.

    Args:
        base_url: Where the stand-in answers, such as `http://127.0.0.1:8790`.
    """
    services = ("stripe", "mux", "academy", "transcripts", "search", "mail", "slack")
    return {
        **{f"{service.upper()}_BASE_URL": f"{base_url}/{service}" for service in services},
        "STRIPE_API_KEY": STRIPE_API_KEY,
        "MUX_TOKEN_ID": MUX_TOKEN_ID,
        "MUX_TOKEN_SECRET": MUX_TOKEN_SECRET,
        "ACADEMY_API_KEY": ACADEMY_API_KEY,
        "TRANSCRIPTS_API_KEY": TRANSCRIPTS_API_KEY,
        "SEARCH_API_KEY": SEARCH_API_KEY,
        "MAIL_API_KEY": MAIL_API_KEY,
        "SLACK_BOT_TOKEN": SLACK_BOT_TOKEN,
        "STRIPE_WEBHOOK_SECRET": STRIPE_WEBHOOK_SECRET,
        "ACADEMY_WEBHOOK_SECRET": ACADEMY_WEBHOOK_SECRET,
        "LIFETIME_PRICE_ID": LIFETIME_PRICE_ID,
        "SPECIFIC_PRODUCT_IDS": SPECIFIC_PRODUCT_IDS,
    }
