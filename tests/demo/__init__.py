"""The main job, once, to watch: a signed webhook and an event go in over HTTP, finished runs come out.

    python -m tests.demo

Everything is real but the services that the handlers call, which the stand-in plays: an embedded Valkey, the shipped
project, two worker processes, an HTTP process. `stage` starts and ends it all, `story` sends and waits, `report` tells.
"""
