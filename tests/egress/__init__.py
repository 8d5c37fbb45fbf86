"""What built-in handlers may connect to, held to a corpus of ways around it: `python -m tests.egress` runs all of it."""
