"""Takes a few words, gives telemetry items, and speaks HTTP to a sandbox."""

import copy
import http.client
import json
import socket
from typing import Any, NamedTuple

from bridge.sandbox import Sandbox

NOW = 1_795_250_000.0  # the sandbox's clock in tests, epoch seconds
TIME = "2026-11-21T08:33:20Z"  # the same
KEY = "aaaaaaaa-2222-3333-4444-555555555555"
ABSENT = object()


def metric(name: str = "requests", value: object = 1.5, **point: object) -> dict[str, Any]:
    return {
        "name": "Microsoft.ApplicationInsights.Metric",
        "time": TIME,
        "iKey": KEY,
        "tags": {"ai.cloud.role": "triton", "ai.cloud.roleInstance": "pod-1", "ai.internal.sdkVersion": "py3:otel1"},
        "data": {
            "baseType": "MetricData",
            "baseData": {
                "ver": 2,
                "metrics": [{"name": name, "value": value, **point}],
                "properties": {"model": "bert"},
            },
        },
    }


def event(name: object = "started", **base: object) -> dict[str, Any]:
    item = metric()
    item["data"] = {"baseType": "EventData", "baseData": {"ver": 2, "name": name, **base}}
    return item


def changed(place: str, value: object, item: dict[str, Any] | None = None) -> dict[str, Any]:
    """A metric with another value at a dotted place (a number is a list's index); ABSENT takes it away."""
    item = copy.deepcopy(item or metric())
    *way, last = (int(step) if step.isdigit() else step for step in place.split("/"))
    holder: Any = item
    for step in way:
        holder = holder[step]
    if value is ABSENT:
        del holder[last]
    else:
        holder[last] = value
    return item


class Answer(NamedTuple):
    """An HTTP reply, read to its end."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def messages(self) -> list[str]:
        return [error["message"] for error in self.json["errors"]]


def request(sandbox: Sandbox, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        return Answer(reply.status, reply.reason, reply.headers, reply.read())
    finally:
        connection.close()


def post(sandbox: Sandbox, items: object, path: str = "/v2.1/track", **headers: str) -> Answer:
    """POST a list or a dictionary as JSON, anything else as it is."""
    body = json.dumps(items) if isinstance(items, (list, dict)) else items
    return request(sandbox, "POST", path, body, **headers)


def raw(sandbox: Sandbox, data: bytes) -> bytes:
    """Send bytes and read until the sandbox closes the connection."""
    with connect(sandbox) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def ended(connection: socket.socket) -> bool:
    """Whether the sandbox has ended the connection, without another byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def arrived(sandbox: Sandbox) -> None:
    """Return when a POST has come in."""
    for _ in range(1_000_000):
        if sandbox.posts():
            return
    raise AssertionError("no POST came in")


def connect(sandbox: Sandbox) -> socket.socket:
    host, _, port = sandbox.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=10)
