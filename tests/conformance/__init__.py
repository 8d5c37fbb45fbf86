"""Cases of the expression language as data, and the runner that judges them."""
