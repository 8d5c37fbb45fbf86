"""The HTTP edge: verify, bound, parse, hand to the use cases, and write what they answer."""
