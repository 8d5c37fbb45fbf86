"""The OpenAPI document against the server that serves it: requests that are made up from it, and what is answered.

python -m tests.openapi --count 300     so many requests for each operation and way of making them up
"""
