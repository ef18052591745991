"""Takes a track POST, the time and a scripted reply, gives the reply, and keeps the rows and a record of the POST.

This is the ingestion endpoint without its sockets; ``server`` puts it on a port.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from bridge.sandbox import refusals, replies
from bridge.sandbox.limits import Limits, Meter
from bridge.sandbox.parsing import Item, decompress, parse
from bridge.sandbox.refusals import Refused
from bridge.sandbox.replies import Reply
from bridge.sandbox.rules import Row, identify, judge
from bridge.sandbox.script import AS_USUAL, Script, Scripted

# v2.1 knows Entra ID. The slash is doubled where an SDK joins it to an endpoint that ends with one.
TRACK_PATHS = ("/v2.1/track", "/v2/track", "//v2.1/track", "//v2/track")
MOST_POSTS = 10_000

# An item's verdict: refused, or accepted with a row, or accepted without one (events, requests and their like).
_Verdict = Refused | Row | None


@dataclass(frozen=True)
class Request:
    """A track POST as it was read; ``body`` is still encoded, or the reason why it could not be read."""

    path: str
    body: bytes | Refused
    encoding: str = ""
    content_type: str | None = None
    user_agent: str | None = None
    authorization: str | None = None


@dataclass(frozen=True)
class Post:
    """One POST that came in: what it was, and what became of it.

    ``status`` is None where the client got no reply. ``accepted`` is how many items were really taken, whatever the
    reply said. ``bytes`` is the body's size on the wire, ``at`` the sandbox's clock (epoch s), ``reason`` the text
    beside the status.
    """

    path: str
    status: int | None
    items: int
    accepted: int
    bytes: int
    encoding: str
    content_type: str | None
    user_agent: str | None
    at: float
    reason: str = ""


class Counts(NamedTuple):
    """How much there is: POSTs on record, rows, older rows that went for newer ones, scripted replies to be given."""

    posts: int
    rows: int
    dropped_rows: int
    replies_left: int


class Endpoint:
    """The service's rules with their memory. Every method may be called from several threads.

    ``keys`` are the instrumentation keys that exist (None: all). At most ``max_rows`` rows are kept, the oldest go.
    ``nan_per_item``: NaN and Infinity spoil the item that holds them instead of the whole POST.
    """

    def __init__(
        self,
        limits: Limits,
        now: Callable[[], float],
        keys: Collection[str] | None,
        max_rows: int,
        *,
        nan_per_item: bool,
    ) -> None:
        self.limits = limits
        self.now = now
        self._keys = None if keys is None else {key.lower() for key in keys}
        self._nan_per_item = nan_per_item
        self._lock = threading.Lock()
        self._rows: deque[Row] = deque(maxlen=max_rows)
        self._posts: deque[Post] = deque(maxlen=MOST_POSTS)
        self._rows_taken = 0
        self._meter = Meter(limits)
        self._script = Script()

    def rows(self, newest: int | None = None) -> list[Row]:
        """The customMetrics rows, or only the newest of them, in the order in which they came."""
        with self._lock:
            first = 0 if newest is None else max(0, len(self._rows) - newest)
            kept = islice(self._rows, first, None)
            return [{**row, "customDimensions": dict(row["customDimensions"])} for row in kept]

    def posts(self) -> list[Post]:
        """The newest POSTs (at most 10,000), in the order in which they came."""
        with self._lock:
            return list(self._posts)

    def counts(self) -> Counts:
        """How much is held, and how much went."""
        with self._lock:
            kept = len(self._rows)
            return Counts(len(self._posts), kept, self._rows_taken - kept, len(self._script))

    def script(self, entries: object) -> None:
        """The replies to give next, in place of what is left of an earlier script; see ``script.parse``."""
        with self._lock:
            self._script.load(entries)

    def next_reply(self) -> Scripted:
        """What the script says of the POST that begins now."""
        with self._lock:
            return self._script.next()

    def clear(self) -> None:
        """Forget the rows and the POSTs; the script and what the keys have used of their limits stay."""
        with self._lock:
            self._rows.clear()
            self._posts.clear()
            self._rows_taken = 0

    def track(self, request: Request, scripted: Scripted = AS_USUAL) -> Reply:
        """Judge a POST, take what is to be taken, and give the reply; a silent script keeps it from being sent."""
        with self._lock:
            now = self.now()
            received = taken = 0
            try:
                items = self._items(request)
            except Refused as refused:
                reply = replies.to_whole(refused)
            else:
                received = len(items)
                reply, taken = self._answer(items, request, scripted, now)
            reply = replies.as_scripted(reply, scripted, now)
            self._posts.append(
                Post(
                    path=request.path,
                    status=None if scripted.silent else reply.status,
                    items=received,
                    accepted=taken,
                    bytes=len(request.body) if isinstance(request.body, bytes) else 0,
                    encoding=request.encoding or "identity",
                    content_type=request.content_type,
                    user_agent=request.user_agent,
                    at=now,
                    reason=reply.reason,
                )
            )
            return reply

    def _items(self, request: Request) -> list[Item]:
        if isinstance(request.body, Refused):
            raise request.body
        text = decompress(request.body, request.encoding, self.limits.body)
        items = parse(text, nan_per_item=self._nan_per_item)
        if len(items) > self.limits.items:
            raise Refused(413, f"Batch must not exceed {self.limits.items} items")
        return items

    def _answer(self, items: list[Item], request: Request, scripted: Scripted, now: float) -> tuple[Reply, int]:
        """The reply to judged items, and how many of them were taken."""
        verdicts = list(self._verdicts(items, request, now))
        for index, refused in scripted.items.items():
            if index < len(verdicts):
                verdicts[index] = refused
        accepted = [index for index, verdict in enumerate(verdicts) if not isinstance(verdict, Refused)]
        errors = [(index, verdict) for index, verdict in enumerate(verdicts) if isinstance(verdict, Refused)]
        if scripted.short:
            accepted = accepted[: -scripted.short]
        if scripted.bad_index is not None:
            accepted = accepted[:-1]
            errors.append((scripted.bad_index, Refused(500)))
        if scripted.status is not None and scripted.status >= 300:
            all_alike = Refused(scripted.status, refusals.default_message(scripted.status, scripted.location))
            errors = [(index, scripted.items.get(index, all_alike)) for index in range(len(items))]
            reply = replies.to_items(len(items), 0, errors)
        else:
            reply = replies.to_items(len(items), len(accepted), errors)
        if not scripted.takes(scripted.status or reply.status):
            return reply, 0
        for index in accepted:
            self._take(items[index], verdicts[index], now)
        return reply, len(accepted)

    def _verdicts(self, items: list[Item], request: Request, now: float) -> Iterator[_Verdict]:
        """One verdict an item: by the access, by the limits of its key, and then by what the item itself is."""
        no_access = _access(request)
        keys = [no_access or self._key(item) for item in items]
        counts = Counter(key for key in keys if isinstance(key, str))
        stopped = {key: self._meter.admit(key, count, now) for key, count in counts.items()}
        for item, key in zip(items, keys, strict=True):
            refused = key if isinstance(key, Refused) else stopped[key]
            yield refused or _judged(item, now)

    def _key(self, item: Item) -> str | Refused:
        if item.error:
            return Refused(400, item.error)
        if item.size > self.limits.item_bytes:
            return refusals.item_too_long(self.limits.item_bytes)
        try:
            key = identify(item.value)
        except Refused as refused:
            return refused
        known = self._keys is None or key in self._keys
        return key if known else Refused(400, refusals.INVALID_KEY)

    def _take(self, item: Item, verdict: _Verdict, now: float) -> None:
        self._meter.spend(identify(item.value), item.size, now)
        if isinstance(verdict, dict):
            self._rows.append(verdict)
            self._rows_taken += 1


def _judged(item: Item, now: float) -> _Verdict:
    assert isinstance(item.value, dict)  # else it would have no key
    try:
        return judge(item.value, now)
    except Refused as refused:
        return refused


def _access(request: Request) -> Refused | None:
    """Entra ID: a Bearer token belongs to the v2.1 path. Whether it is a good one is for the real service to say."""
    if request.authorization is None:
        return None
    if request.path.endswith("/v2/track"):
        return Refused(400, refusals.NO_AUTHENTICATION_ON_V2)
    scheme, _, token = request.authorization.partition(" ")
    return None if scheme.lower() == "bearer" and token.strip() else Refused(401)
