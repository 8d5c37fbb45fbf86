"""Files to a checked project."""
