"""A stand-in for the services that the shipped pipelines call: one local HTTP server, behaving as they do.

Tests and `make demo` use it in their own process; `python -m tests.standin` runs it by itself. It owns the services'
answers, scripted faults and the ledger of calls. It leaves signing what those services would send to `webhooks`.
"""

from __future__ import annotations

from tests.standin.faults import Fault
from tests.standin.ledger import Call
from tests.standin.server import Standin

__all__ = ["Call", "Fault", "Standin"]
