"""Takes a snapshot, gives what a probe says: whether it is well, and why, in words that name what to do.

Liveness says that the loop makes progress and nothing of Azure or Prometheus: a restart mends neither. Readiness says
that the bridge is configured and Prometheus answers; an Azure that is away is no reason against it.
"""

from __future__ import annotations

from typing import NamedTuple

from bridge.states import State
from bridge.status import Snapshot

_NOT_CONFIGURED = {State.MISCONFIGURED, State.SELECTION_UNREADABLE}


class Probe(NamedTuple):
    """Each of ``reasons`` is a sentence."""

    ok: bool
    reasons: tuple[str, ...]


def liveness(snapshot: Snapshot) -> Probe:
    """``/livez``."""
    if snapshot.live:
        return Probe(ok=True, reasons=(f"the loop made its last progress {snapshot.silent:.0f} s ago",))
    stuck = f"the loop has made no progress for {snapshot.silent:.0f} s: start the bridge again, and please report it"
    return Probe(ok=False, reasons=(stuck,))


def readiness(snapshot: Snapshot) -> Probe:
    """``/readyz``."""
    if snapshot.prometheus_answers is None:
        return Probe(ok=False, reasons=(State.STARTING.remedy,))
    against = []
    if not snapshot.prometheus_answers:
        against.append(f"Prometheus does not answer: {State.PROMETHEUS_UNREACHABLE.remedy} ({snapshot.detail})")
    if snapshot.state in _NOT_CONFIGURED:
        against.append(f"{snapshot.state.words}: {snapshot.state.remedy} ({snapshot.detail})")
    return Probe(ok=not against, reasons=tuple(against) or ("configured, and Prometheus answers",))
