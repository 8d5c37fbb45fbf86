"""Runs attempts, fires timers and recovers what a dead worker held."""
