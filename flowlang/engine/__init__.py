"""What happens next: pure decisions over runs. No I/O, no clock, no randomness; those are arguments."""
