"""The language shown: for each of its keys an example, whose outcome is expected on every backend."""
