"""The figures of the failure model, each measured by a command and held by a small size of it in the suite."""
