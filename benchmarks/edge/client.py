"""A client that costs little: prepared requests over connections that stay open, answers read by their lengths alone.

Reads one JSON line a measurement from its standard input, and writes when each request was answered and what it cost.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import selectors
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

#: The header that a webhook is signed by.
SIGNATURE = "stripe-signature"

#: Requests of a measurement are made beforehand, at most so many; the yardstick takes them again from the first.
PREPARED = 20_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be sent.

    Attributes:
        port: Where to.
        kind: `single`, `webhook` or `batch`; of a `sender`, what that has.
        connections: That are open at a time, each with one request under way.
        seconds: For how long.
        batch: Events of a request with many.
        secret: Of `webhook`.
        token: The API key of the others.
        stamp: Seconds since the epoch, of its signatures.
        run: Names the measurement: ids begin with it.
    """

    port: int
    kind: str
    connections: int
    seconds: float
    batch: int
    secret: str
    token: str
    stamp: int
    run: str


@dataclass(slots=True)
class Sent:
    """What came of it.

    Attributes:
        ends: When each request was answered, in seconds.
        cpu_s: What it cost this process.
        wrong: The first answer that was not 202.
    """

    ends: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    wrong: str = ""


def requests(load: Load, count: int) -> list[bytes]:
    """Make the bytes of requests, each with events of its own."""
    makers: dict[str, Callable[[Load, int], bytes]] = {"single": _single, "webhook": _webhook, "batch": _batch}
    return [makers[load.kind](load, n) for n in range(count)]


def event_of(load: Load, n: int) -> dict[str, Any]:
    """The n-th event of a measurement."""
    return {"name": "bench/chain-1", "id": f"{load.run}-{n}", "data": {"n": n}}


def _single(load: Load, n: int) -> bytes:
    return _request(load, "/events", json.dumps(event_of(load, n)).encode(), _key(load))


def _batch(load: Load, n: int) -> bytes:
    events = [event_of(load, n * load.batch + at) for at in range(load.batch)]
    return _request(load, "/events", json.dumps(events).encode(), _key(load))


def _key(load: Load) -> str:
    return f"authorization: Bearer {load.token}\r\n"


def webhook_of(load: Load, n: int) -> tuple[bytes, str]:
    """The n-th webhook of a measurement: its body, and the header that signs it."""
    body = json.dumps({"id": f"{load.run}-{n}", "type": "paid", "data": {"object": {"n": n}}}).encode()
    signed = hmac.new(load.secret.encode(), f"{load.stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return body, f"t={load.stamp},v1={signed}"


def _webhook(load: Load, n: int) -> bytes:
    body, signature = webhook_of(load, n)
    return _request(load, "/hooks/stripe", body, f"{SIGNATURE}: {signature}\r\n")


def _request(load: Load, path: str, body: bytes, more: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{load.port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


def drive(load: Load, prepared: list[bytes], *, again: bool = False) -> Sent:
    """Send until the time is over, or nothing is left.

    Args:
        load: How.
        prepared: The requests.
        again: Begin with the first when nothing is left.
    """
    sent = Sent()
    at = 0
    over = False
    with selectors.DefaultSelector() as selector:
        sockets = [socket.create_connection(("127.0.0.1", load.port)) for _ in range(load.connections)]
        before = time.process_time()
        until = time.monotonic() + load.seconds
        for each in sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            each.sendall(prepared[at])
            at += 1
            selector.register(each, selectors.EVENT_READ, b"")
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                one = key.fileobj
                data = key.data + one.recv(262_144)
                if not _whole(data):
                    selector.modify(one, selectors.EVENT_READ, data)
                    continue
                if not data.startswith(b"HTTP/1.1 202 "):
                    sent.wrong = sent.wrong or data[:300].decode("latin-1")
                    over = True
                now = time.monotonic()
                sent.ends.append(now)
                over = over or now > until
                if at == len(prepared) and again:
                    at = 0
                if over or at == len(prepared):
                    selector.unregister(one)
                    continue
                if key.data:
                    selector.modify(one, selectors.EVENT_READ, b"")
                one.sendall(prepared[at])
                at += 1
        sent.cpu_s = time.process_time() - before
        for each in sockets:
            each.close()
    return sent


def _whole(data: bytes) -> bool:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if not data:
            raise SystemExit("the server hung up")
        return False
    at = data.find(b"content-length: ", 0, end)
    return at >= 0 and len(data) >= end + 4 + int(data[at + 16 : data.find(b"\r", at)])


def main() -> None:
    """Measure as it is told, until the standard input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        load = Load(**order["load"])
        prepared = requests(load, order["count"])
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(asdict(drive(load, prepared, again=order["again"]))), flush=True)


if __name__ == "__main__":
    main()
