"""Takes a snapshot, gives it as plain JSON types: what ``/status.json`` is, and ``triton-bridge status`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from bridge.status import Snapshot


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as plain JSON types: enum members as their values, times as epoch seconds.

    The account stands at the top, and adds up: ``read`` = the sum of ``points``, ``due`` = that of ``cycles``.
    """
    document = _plain(snapshot)
    memory = document.pop("memory")
    account = snapshot.memory.account
    points = {one.value: count for one, count in snapshot.points.items()}
    derived = {
        "words": snapshot.state.words,
        "remedy": snapshot.state.remedy,
        "healthy": snapshot.healthy,
        "live": snapshot.live,
        "troubles": list(snapshot.troubles),
        "next_cycle": snapshot.next_cycle,
        "query": snapshot.about.query,
        "absent": list(snapshot.absent),
        "monthly_bytes": snapshot.monthly_bytes,
        "hour": {**_plain(snapshot.hour), "read": snapshot.hour.read},
        "points": points,
        "read": account.read,
        "due": account.due,
    }
    return {**document, **memory.pop("account"), **memory, **derived}


def _plain(value: Any) -> Any:
    """Objects as mappings with text keys. (``asdict`` makes a Counter of a Counter's items.)"""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key.value if isinstance(key, Enum) else key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
