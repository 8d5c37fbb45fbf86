"""What lies in `project` is not for pytest: its processes are started by the stage."""

from __future__ import annotations

collect_ignore = ["project"]
