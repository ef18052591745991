"""Takes numbered documents, gives lines of text, and back; pure. A line that was damaged or torn is known by its checksum.

A journal is one file: its first line holds a whole ledger (``dump``), each later line one event. A line is the CRC-32 of
the rest in hexadecimal, the number of the event, and JSON.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from bridge.backlog.chronicle import Chronicle
from bridge.backlog.eras import Era, Eras
from bridge.backlog.held import Held, Parcel, State
from bridge.backlog.ledger import Ledger, Row
from bridge.backlog.spans import Spans
from bridge.points import Outcome, Rejection, Settlement

_VERSION = 1  # another one for other fields, and for other events: what is not understood is set aside, never guessed


class Line(NamedTuple):
    """A number, and what JSON held."""

    number: int
    document: Any


def line(number: int, document: Any) -> bytes:
    """One line, its end included."""
    # Not orjson: it refuses the lone surrogates that a rejected point may hold.
    text = f"{number} {json.dumps(document, separators=(',', ':'))}".encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def lines(data: bytes) -> Iterator[Line | None]:
    """All lines; None for a damaged one. The last one is left out where it is torn: it was never finished."""
    found = [_line(text) for text in data.split(b"\n")]
    while found and found[-1] is None:
        found.pop()
    yield from found


def _line(text: bytes) -> Line | None:
    check, _, rest = text.partition(b" ")
    if check != b"%08x" % zlib.crc32(rest):
        return None
    number, _, document = rest.partition(b" ")
    return Line(int(number), json.loads(document))


def dump(ledger: Ledger) -> dict[str, Any]:
    """The ledger as JSON."""
    return {
        "version": _VERSION,
        "origin": ledger.origin,
        "newest": ledger.newest,
        "floor": ledger.spans.floor,
        "spans": list(ledger.spans),
        "unbegun": [ledger.unbegun.floor, list(ledger.unbegun)],
        "eras": list(ledger.eras),
        "selections": ledger.selections,
        "readings": [[time, reading] for time, reading in ledger.readings.items()],
        "held": [[cycle, _held(held)] for cycle, held in ledger.held.items()],
        "points": ledger.points,
        "cycles": ledger.cycles,
        "possibly_repeated": ledger.possibly_repeated,
        "unconfirmed": ledger.unconfirmed,
        "last_delivered": ledger.last_delivered,
        "rows": [[time, *row] for time, row in ledger.rows.items()],
        "rejections": [[time, *vars(rejection).values()] for time, rejection in ledger.rejections],
        "unknown": ledger.unknown,
        "orders": list(ledger.orders),
        "chronicle": ledger.chronicle.dump(),
    }


def restore(found: Line | None) -> Ledger | None:
    """The ledger of a journal's first line; None where that cannot be used."""
    if found is None or not isinstance(found.document, dict) or found.document.get("version") != _VERSION:
        return None
    ledger, saved = Ledger(), found.document
    ledger.number = found.number
    for name in ("origin", "newest", "selections", "possibly_repeated", "unconfirmed", "last_delivered"):
        setattr(ledger, name, saved[name])
    ledger.spans = Spans(saved["floor"], saved["spans"])
    ledger.unbegun = Spans(*saved["unbegun"])
    ledger.eras = Eras(Era(*era) for era in saved["eras"])
    ledger.readings = {time: _outcomes(reading) for time, reading in saved["readings"]}
    ledger.held = {cycle: _restored(held) for cycle, held in saved["held"]}
    ledger.points = _outcomes(saved["points"])
    ledger.cycles = Counter({Settlement(one): count for one, count in saved["cycles"].items()})
    ledger.rows = {t: Row(start, Settlement(one), _outcomes(counts)) for t, start, one, counts in saved["rows"]}
    ledger.rejections.extend((time, Rejection(*values)) for time, *values in saved["rejections"])
    ledger.unknown = [(start, end) for start, end in saved["unknown"]]
    ledger.orders.extend(saved["orders"])
    ledger.chronicle = Chronicle(saved.get("chronicle"))  # which the first version did not have
    return ledger


def _held(held: Held) -> list[Any]:
    parcels = [[number, *vars(parcel).values()] for number, parcel in held.parcels.items()]
    return [held.start, held.time, parcels, held.unsent, held.kept, held.lost, held.decided]


def _restored(saved: list[Any]) -> Held:
    start, time, parcels, unsent, kept, lost, decided = saved
    known = {n: Parcel(points, size, check, State(state)) for n, points, size, check, state in parcels}
    return Held(start, time, known, _outcomes(unsent), kept, lost, _outcomes(decided))


def _outcomes(counts: dict[str, int]) -> Counter[Outcome]:
    return Counter({Outcome(one): count for one, count in counts.items()})
