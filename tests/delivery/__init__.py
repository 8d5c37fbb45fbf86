"""Clients over a network that loses requests and answers: nothing is lost, and nothing is done twice."""
