"""Secrets and sensitive values are sent through all that a project can do, and looked for in all that comes out."""
