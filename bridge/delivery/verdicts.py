"""Takes a reply and the batch that it answers, gives a verdict: what became of each point. Pure.

Microsoft's table of statuses is app/sdk-stats.md (azure-monitor-docs). Where it is silent, what need not be the points'
fault costs no point: 407, 405 and the like say that the way is wrong, 1xx, 204, 302 that something else answered.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from bridge.delivery.replies import ItemError, Reply, Track, location, plain
from bridge.points import Batch, Condition, Outcome, Receipt, Rejection

log = logging.getLogger(__name__)

LONGEST_WAIT = 3600.0
"""Seconds: no Retry-After is obeyed for longer."""

# From the mildest to the one that a person must know first.
_GRAVITY = (
    Condition.DELIVERING,
    Condition.UNREACHABLE,
    Condition.THROTTLED,
    Condition.QUOTA,
    Condition.CLOCK,
    Condition.REFUSED,
    Condition.INTERCEPTED,
    Condition.MISCONFIGURED,
)
_ROLE = "give the identity the role 'Monitoring Metrics Publisher' on the Application Insights resource"
_COPY = "copy the connection string of the resource from the Azure portal"


class Verdict(NamedTuple):
    """What one reply did: the points of the receipt and those in ``again`` are the points of the batch.

    ``again`` is to be posted at once: to ``location`` where that is set, else in these parts. ``blunt``: the batch was
    refused as a whole, so a lone point that counts as rejected was not named as the culprit.
    """

    receipt: Receipt = Receipt()
    again: tuple[Batch, ...] = ()
    location: str = ""
    blunt: bool = False


def judge(reply: Reply, batch: Batch, now: float) -> Verdict:  # noqa: PLR0911  # one return a row of the table
    """Decide over each point of a batch that is not empty; ``now`` is the time in epoch seconds."""
    status, track = reply.status, reply.track
    if status == 200 and not reply.body.strip():
        return Verdict(Receipt(accepted=batch.points, unconfirmed=batch.points))
    if status in (200, 206):
        return _by_item(reply, track, batch, now) if track else _kept(Condition.INTERCEPTED, reply, batch, now)
    if status == 400 and track and any(0 <= error.position < batch.points for error in track.errors):
        return _by_item(reply, track, batch, now)
    if status == 400 and _blames_configuration(reply.words):
        return _kept(Condition.MISCONFIGURED, reply, batch, now)
    if status in (400, 413):
        if batch.points > 1:
            return Verdict(again=batch.halves(), blunt=True)
        return Verdict(_rejected(batch.items()[0], status, reply.words), blunt=True)
    if status in (307, 308) and reply.location:
        return Verdict(again=(batch,), location=reply.location)
    return _kept(_condition(status), reply, batch, now)


def combine(receipts: Sequence[Receipt]) -> Receipt:
    """The sum of several receipts, under the gravest of their conditions."""
    gravest = max(receipts, key=lambda receipt: _GRAVITY.index(receipt.condition))
    return Receipt(
        accepted=sum(receipt.accepted for receipt in receipts),
        rejected=sum(receipt.rejected for receipt in receipts),
        expired=sum(receipt.expired for receipt in receipts),
        waiting=tuple(batch for receipt in receipts for batch in receipt.waiting),
        rejections=tuple(rejection for receipt in receipts for rejection in receipt.rejections),
        condition=gravest.condition,
        detail=gravest.detail or next((receipt.detail for receipt in receipts if receipt.detail), ""),
        not_before=gravest.not_before,
        unconfirmed=sum(receipt.unconfirmed for receipt in receipts),
        possibly_repeated=sum(receipt.possibly_repeated for receipt in receipts),
        posts=sum(receipt.posts for receipt in receipts),
        sent_bytes=sum(receipt.sent_bytes for receipt in receipts),
    )


def _by_item(reply: Reply, track: Track, batch: Batch, now: float) -> Verdict:
    """A reply that names the items it has something against, by their place in the batch."""
    if not track.errors and track.accepted >= batch.points:
        return Verdict(Receipt(accepted=batch.points))  # the usual reply: no need to unpack the batch
    items = batch.items()
    named = {error.position: error for error in reversed(track.errors) if 0 <= error.position < len(items)}
    if len(named) < len(track.errors):
        log.warning("Azure names an item twice, or one that was not sent: %s", plain(repr(track.errors)))
    unnamed = [item for index, item in enumerate(items) if index not in named]
    accepted = max(0, min(track.accepted, len(unnamed)))
    receipts = [Receipt(accepted=accepted)]
    again: list[bytes] = []
    target = ""
    if reply.status == 400 and not accepted:
        again += unnamed  # nothing is said against them, and surely they were not taken
    elif missing := len(unnamed) - accepted:
        receipts.append(_unnamed(missing, reply.status))
    waiting: dict[Condition, list[ItemError]] = {}
    for error in sorted(named.values()):
        item, fate = items[error.position], _fate(error)
        if fate.location:
            target = target or fate.location
            again.append(item)
        elif fate.outcome is Outcome.REJECTED:
            receipts.append(_rejected(item, error.status, error.message))
        elif fate.outcome is Outcome.EXPIRED:
            receipts.append(Receipt(expired=1))
        else:
            waiting.setdefault(fate.condition, []).append(error)
    for condition, errors in waiting.items():
        kept = batch if len(errors) == len(items) else Batch.pack([items[error.position] for error in errors])
        receipts.append(_kept(condition, reply, kept, now, errors[0]).receipt)
    return Verdict(combine(receipts), (Batch.pack(again),) if again else (), target)


class _Fate(NamedTuple):
    outcome: Outcome
    condition: Condition = Condition.DELIVERING
    location: str = ""


def _fate(error: ItemError) -> _Fate:
    """What an item's error means. The number before the colon is the service's own: 103 is too old, 104 too new."""
    if error.message.startswith("103:"):
        return _Fate(Outcome.EXPIRED)
    if error.message.startswith("104:"):
        return _Fate(Outcome.WAITING, Condition.CLOCK)
    if _blames_configuration(error.message):
        return _Fate(Outcome.WAITING, Condition.MISCONFIGURED)
    if error.status in (307, 308):
        return _Fate(Outcome.WAITING, Condition.MISCONFIGURED, location(error.message))
    if error.status in (401, 402, 403, 404, 408, 429, 439) or 500 <= error.status < 600:
        return _Fate(Outcome.WAITING, _condition(error.status))
    return _Fate(Outcome.REJECTED)


def _condition(status: int) -> Condition:
    """What a status says of the endpoint."""
    if status in (402, 439):
        return Condition.QUOTA
    if status == 429:
        return Condition.THROTTLED
    if status == 408 or 500 <= status < 600:
        return Condition.UNREACHABLE
    return Condition.MISCONFIGURED if status in (307, 308) or 400 <= status < 500 else Condition.INTERCEPTED


def _blames_configuration(words: str) -> bool:
    return any(phrase in words.lower() for phrase in ("invalid instrumentation key", "incorrect api was used"))


def _kept(condition: Condition, reply: Reply, batch: Batch, now: float, error: ItemError | None = None) -> Verdict:
    """All points wait, and a person learns why; ``error`` is what was said of the first of them, if they were named."""
    status, words = (error.status, error.message) if error else (reply.status, reply.words)
    wait = reply.wait(now) if condition is Condition.THROTTLED else None
    detail = _explain(condition, status, reply, now, wait)
    receipt = Receipt(
        waiting=(batch,),
        condition=condition,
        detail=f"{detail} (it says: {plain(words)})" if words.strip() else detail,
        not_before=None if wait is None else now + min(wait, LONGEST_WAIT),
        # Under 206 some points were taken; nobody can say which.
        possibly_repeated=batch.points if reply.status == 206 and not error else 0,
    )
    return Verdict(receipt)


def _explain(condition: Condition, status: int, reply: Reply, now: float, wait: float | None) -> str:
    """One sentence: what is the matter, and what to do."""
    host = urlsplit(reply.url).hostname or "the endpoint"
    if condition is Condition.CLOCK:
        ahead = f" by {now - reply.date:.0f} s" if reply.date is not None else ""
        return f"points lie in Azure's future (104): this machine's clock is ahead{ahead}, set it right (NTP)"
    if condition is Condition.QUOTA:
        return f"the daily cap of the resource is reached ({status}): points wait for its reset, or for a higher cap"
    if condition is Condition.THROTTLED:
        capped = f"; it asks for {wait:.0f} s, an hour is waited at most" if (wait or 0) > LONGEST_WAIT else ""
        return f"{host} throttles ({status}): points wait as it asks{capped}"
    if condition is Condition.UNREACHABLE:
        return f"{host} answers {status}: points wait, nothing needs doing unless it lasts"
    if condition is Condition.INTERCEPTED:
        return f"something other than Azure answers at {host} ({status}): look for a proxy or a log-in page in between"
    return {
        400: f"{host} does not know this instrumentation key, or not in this way: {_COPY}",
        401: f"Entra ID token missing or refused by {host} (401): {_ROLE},"
        " and set APPLICATIONINSIGHTS_AUTHENTICATION_STRING=Authorization=AAD",
        403: f"{host} lets this identity or this network not write (403): {_ROLE},"
        " and see that the resource accepts ingestion from here",
        404: f"{host} is not the ingestion endpoint of this resource (404): {_COPY}",
    }.get(status, f"{host} answers {status}, which an ingestion endpoint does not: look for a proxy, and {_COPY}")


def _unnamed(number: int, status: int) -> Receipt:
    reason = f"unnamed: Azure accepted {number} points fewer than it got, and did not say which"
    return Receipt(rejected=number, rejections=(Rejection("(unnamed)", {}, "", status, reason),), detail=reason)


def _rejected(item: bytes, status: int, words: str) -> Receipt:
    rejection = _rejection(item, status, plain(words) or f"HTTP {status}")
    return Receipt(rejected=1, rejections=(rejection,), detail=f"Azure rejects {rejection.metric}: {rejection.reason}")


def _rejection(item: bytes, status: int, reason: str) -> Rejection:
    # Not orjson: it refuses lone surrogates, and such an item must be shown like any other.
    try:
        envelope = json.loads(item)
        data = envelope["data"]["baseData"]
        return Rejection(data["metrics"][0]["name"], data["properties"], envelope["time"], status, reason)
    except (ValueError, LookupError, TypeError):
        return Rejection("(unreadable)", {}, "", status, reason)
