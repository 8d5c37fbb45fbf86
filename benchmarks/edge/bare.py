"""The yardstick: uvicorn with an application that reads the body and answers 202.

python -m benchmarks.edge.bare PORT plain   as `pip install uvicorn` gives it: requests are read in Python, by h11
python -m benchmarks.edge.bare PORT tuned   with what our own server runs on: httptools and uvloop, both in C
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

ANSWER = b'{"status":"accepted"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Read all of the body, and answer."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 202, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    tuned = sys.argv[2] == "tuned"
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools" if tuned else "h11",
        loop="uvloop" if tuned else "asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
    )
