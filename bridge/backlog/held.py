"""Takes the batches of a cycle that is under way or left some over, gives where each stands; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from bridge.points import Outcome

Outcomes = Counter[Outcome]


class State(str, Enum):
    """Where a batch stands: to be posted, being posted, or was being posted when the process ended."""

    READY = "ready"
    POSTED = "posted"
    DOUBTFUL = "doubtful"


@dataclass
class Parcel:
    """A written batch: its points, its bytes before compression, the CRC-32 of its file."""

    points: int
    size: int
    check: int
    state: State = State.READY


@dataclass
class Held:
    """A cycle of which batches are held: under way, or ``kept`` as leftovers. ``decided`` are its final verdicts.

    ``unsent`` counts the points that were read and are not sent: not finite, left out. ``lost``: no reply came to a post,
    so that some of them may have been delivered.
    """

    start: int
    time: int
    parcels: dict[int, Parcel]
    unsent: Outcomes
    kept: bool = False
    lost: bool = False
    decided: Outcomes = field(default_factory=Counter)

    @property
    def waiting(self) -> int:
        """Points in its batches."""
        return sum(parcel.points for parcel in self.parcels.values())

    @property
    def undecided(self) -> Outcomes:
        """The points that are not in the totals yet."""
        return Counter({Outcome.WAITING: self.waiting}) + (Counter() if self.kept else self.unsent)


def batch_file(time: int, cycle: int, number: int) -> str:
    """The name of a batch's file: T, the number of the event that began its cycle, and its own."""
    return f"{time}-{cycle}-{number}.json.gz"
