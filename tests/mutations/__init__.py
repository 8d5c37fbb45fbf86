"""Random mistakes in good pipelines, and how many of them the checker reports: `python -m tests.mutations`."""
