"""Where runs live: the memory and Redis backends of `engine.ports.Store`, the payload codec, and the keys."""
