"""What lies in `project` is not for pytest: without the examples it is no whole project."""

from __future__ import annotations

collect_ignore = ["project"]
