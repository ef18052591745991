"""Takes verdicts, or a scripted reply, gives the reply as the service words it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate

from bridge.sandbox.refusals import Refused
from bridge.sandbox.script import Scripted

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

LOGIN_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head>"
    b"<body><form><p>Sign in to use this network.</p></form></body></html>\n"
)


@dataclass(frozen=True)
class Reply:
    """What goes back: status, body and its type, the text beside the status, and further headers."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def to_items(received: int, accepted: int, errors: Sequence[tuple[int, Refused]]) -> Reply:
    """The reply to a POST whose items were judged; ``errors`` holds (index, why).

    200 if there are no errors, 206 if some items were accepted, 400 if none; where all are refused with one status,
    that one: seen of 308, and of 206 ("Telemetry sampled out."). The status line carries the first message.
    """
    statuses = {refused.status for _, refused in errors}
    if not errors:
        status = 200
    elif accepted:
        status = 206
    else:
        status = statuses.pop() if len(statuses) == 1 else 400
    waits = [refused.retry_after for _, refused in errors if refused.retry_after is not None]
    return Reply(
        status,
        _track_response(received, accepted, errors),
        reason=errors[0][1].message if errors else "",
        # "Breeze returns retry-after for status code 429 only" (the JavaScript SDK's source).
        headers={"Retry-After": str(max(waits))} if waits and status == 429 else {},
    )


def to_whole(refused: Refused) -> Reply:
    """The reply to a POST that cannot be taken apart: no item is named, the reason stands in the status line."""
    return Reply(refused.status, _track_response(0, 0, ()), reason=refused.message)


def as_scripted(reply: Reply, scripted: Scripted, now: float) -> Reply:
    """The reply with what the script changes of it; ``now`` (epoch s) is what dates count from."""
    if scripted.empty:
        reply = Reply(200)
    if scripted.html:
        reply = Reply(200, LOGIN_PAGE, HTML)
    if scripted.body is not None:
        reply = replace(reply, body=scripted.body)
    if scripted.status not in (None, reply.status):
        reply = replace(reply, status=scripted.status, reason="")
    headers = dict(reply.headers)
    if scripted.location is not None:
        headers["Location"] = scripted.location
    if isinstance(scripted.retry_after, str):
        offset = float(scripted.retry_after.partition(":")[2])
        headers["Retry-After"] = formatdate(now + offset, usegmt=True)
    elif scripted.retry_after is not None:
        headers["Retry-After"] = f"{scripted.retry_after:g}"
    return replace(reply, headers={**headers, **scripted.headers})


def to_json(value: object) -> bytes:
    """JSON as the service writes it: no spaces, UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _track_response(received: int, accepted: int, errors: Sequence[tuple[int, Refused]]) -> bytes:
    named = [{"index": index, "statusCode": refused.status, "message": refused.message} for index, refused in errors]
    return to_json({"itemsReceived": received, "itemsAccepted": accepted, "appId": None, "errors": named})
