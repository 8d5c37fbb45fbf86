"""Durable steps against raw Dramatiq messages on the same server, and all other figures of speed and size."""
