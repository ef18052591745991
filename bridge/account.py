"""Takes the ledger's numbers, gives them away as one picture that does not change: the account, per cycle and in total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from bridge.points import Outcome, Rejection, Settlement


class Gap(NamedTuple):
    """A grid time that is not settled: what to ask for is (start, time], in epoch s.

    ``interval`` (s) and ``digest`` (of the selection) are those that were in force when it fell due.
    """

    start: float
    time: float
    interval: float
    digest: str


@dataclass(frozen=True)
class Detail:
    """One cycle as last seen: (start, time] in epoch s, and what became of the points that were read for it."""

    start: float
    time: float
    settlement: Settlement
    outcomes: Mapping[Outcome, int]


class Fate(str, Enum):
    """What became of a stretch of time: of its cycles, all alike. The first four are settled."""

    DELIVERED = "delivered"
    REPAIRED = "repaired"  # later than in its own turn
    NOTHING = "nothing"  # to send: there was no point to post
    REJECTED = "rejected"  # some or all points
    NO_DATA = "no_data"
    WAITING = "waiting"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Account:
    """What became of every cycle and every point since ``origin`` (epoch s; None: nothing has begun), over restarts.

    ``cycles`` adds up: due = settled + waiting + expired + no data. So do points, by the last reading of each cycle:
    read = ``points`` + ``waiting``. The numbers in ``points``, and all of ``cycles`` but the waiting ones, never fall.
    ``waiting`` is what the readings of waiting cycles hold, their not finite and left out points among them; of gaps,
    the newest 3,000 readings count. ``leftovers`` of the waiting cycles have batches on disk, the others are gaps.

    ``details`` and ``rejections`` (with T, epoch s) are the newest, newest first. ``oldest_waiting`` (its T) and
    ``last_delivered`` (the newest T of which a point was accepted) are in epoch s. ``unknown`` are stretches (start,
    end] of which damage leaves open what was delivered: nothing is asked for there, unless by hand. ``timeline`` is what
    became of the last two days, as stretches (start, end], oldest first; where there is none, nothing was due.
    """

    origin: float | None
    cycles: Mapping[Settlement, int]
    points: Mapping[Outcome, int]
    waiting: Mapping[Outcome, int]
    leftovers: int
    possibly_repeated: int
    unconfirmed: int
    last_delivered: float | None
    oldest_waiting: float | None
    details: tuple[Detail, ...]
    rejections: tuple[tuple[float, Rejection], ...]
    unknown: tuple[tuple[float, float], ...]
    timeline: tuple[tuple[float, float, Fate], ...] = ()

    @property
    def due(self) -> int:
        """All cycles that fell due."""
        return sum(self.cycles.values())

    @property
    def read(self) -> int:
        """All points, by the last reading of each cycle."""
        return sum(self.points.values()) + sum(self.waiting.values())
