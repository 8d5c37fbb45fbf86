"""Other systems' ways to send events: pure functions from a request to events of ours, and from answers to theirs."""
