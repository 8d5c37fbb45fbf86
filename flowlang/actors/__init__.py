"""The edge to Dramatiq: the broker that carries hints, and the actors that plans become."""
