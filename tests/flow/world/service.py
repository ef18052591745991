"""Takes posts, gives replies: Application Insights behind a connection, and which points are under way to it."""

from __future__ import annotations

import json
from collections.abc import Callable

from bridge.delivery import Delivery
from bridge.delivery.endpoint import Silence
from bridge.delivery.replies import Reply
from bridge.points import Batch, Receipt
from bridge.sandbox.endpoint import Endpoint, Request
from bridge.sandbox.limits import Limits
from bridge.sandbox.rules import seconds
from bridge.sandbox.script import AS_USUAL, Scripted
from tests.flow.world.metrics import Key, Point
from tests.unit.backlog.disk import Disk


class Service:
    """Application Insights behind a connection, as ``Delivery`` uses one. ``mood`` is a scripted reply, or "away"."""

    url = "http://sandbox"

    def __init__(self, now: Callable[[], float], pass_: Callable[[float], None], disk: Disk) -> None:
        self.endpoint = Endpoint(Limits(), now, None, 1_000_000, nan_per_item=False)
        self.mood: str | Scripted = AS_USUAL
        self.next: list[Scripted] = []
        self.slow: list[float] = []  # seconds that the next posts take
        self.refused = 0  # points
        self.flying: set[Point] = set()  # in the post that is under way, or the last one
        self.doubtful: set[Point] = set()  # taken or not, and no reply told
        self._pass = pass_
        self._disk = disk

    def send(self, body: bytes, timeout: float) -> Reply | Silence:
        self._disk.step("post")
        if self.mood == "away":
            self._pass(0.5)
            return Silence(sent=False, detail="refused")
        assert isinstance(self.mood, Scripted)
        scripted = self.next.pop(0) if self.next else self.mood
        request = Request("/v2.1/track", body, "gzip", "application/json")
        reply = self.endpoint.track(request, scripted)
        self._disk.step("reply")
        latency = 0.02
        if self.slow:
            latency = self.slow.pop()
        self._pass(min(latency, timeout))
        if scripted.silent or latency > timeout:
            self.doubtful |= self.flying
            return Silence(sent=True, detail="no reply")
        self.refused += (scripted.status == 413) * len(self.flying)
        self.refused += sum(one.status == 400 and one.message == "bad" for one in scripted.items.values())
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Reply(reply.status, headers, reply.body, self.url)

    def redirect(self, _: str) -> bool:
        return False

    def close(self) -> None:
        pass

    def rows(self) -> dict[float, dict[Key, list[float]]]:
        """What arrived, by time and series."""
        found: dict[float, dict[Key, list[float]]] = {}
        for row in self.endpoint.rows():
            time = seconds(row["timestamp"])
            assert time is not None
            key = row["name"], row["customDimensions"]["model"]
            found.setdefault(time, {}).setdefault(key, []).append(row["value"])
        return found


class Sink:
    """A Delivery of which is known what it posts."""

    def __init__(self, delivery: Delivery, service: Service) -> None:
        self._delivery = delivery
        self._service = service

    def paused(self) -> Receipt | None:
        return self._delivery.paused()

    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:
        self._service.flying = points_of(batch)
        return self._delivery.post(batch, timeout=timeout)


def points_of(batch: Batch) -> set[Point]:
    found = set()
    for item in map(json.loads, batch.items()):
        data, time = item["data"]["baseData"], seconds(item["time"])
        assert time is not None
        found.add(((data["metrics"][0]["name"], data["properties"]["model"]), time))
    return found
