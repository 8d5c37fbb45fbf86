"""How built-in handlers reach services: which addresses they may connect to, and one client that keeps to it."""
