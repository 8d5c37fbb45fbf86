"""Files to a checked project."""

from flowlang.project.load import Project, load_project

__all__ = ["Project", "load_project"]
