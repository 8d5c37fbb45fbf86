"""Faults of the network between any client and any server, and what FlowLang makes of them."""
