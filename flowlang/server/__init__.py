"""The HTTP edge: verify, bound, parse, hand to the use cases, and render what they answer."""
