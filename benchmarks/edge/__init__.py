"""How fast events come in over HTTP: one a request, signed, and a hundred a request, beside one that does nothing."""
