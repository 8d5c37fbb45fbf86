"""What lies in `project` is not for pytest: its stories are told by the tests here, on one clock."""

from __future__ import annotations

collect_ignore = ["project"]
